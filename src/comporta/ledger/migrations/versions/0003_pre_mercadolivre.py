"""What Mercado Livre needs: logins whose tokens are used once, notifications, and hints that can be told again.

A hint counts how often it was told, so that one that comes while its record is being fetched is not taken for done.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INSTANT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")


def upgrade() -> None:
    """Add what is missing."""
    _hints()
    _logins()
    _notifications()


def _hints() -> None:
    op.add_column("cmp_hint", sa.Column("times", sa.BigInteger, nullable=False, server_default="1"))
    op.add_column("cmp_hint", sa.Column("told_at", INSTANT))
    op.add_column("cmp_hint", sa.Column("tries", sa.Integer, nullable=False, server_default="0"))
    op.add_column("cmp_hint", sa.Column("not_before", INSTANT))


def _logins() -> None:
    """Keep what may be read of a login; the tokens themselves are in cmp_secret, closed."""
    op.create_table(
        "cmp_login",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text),
        sa.Column("issued_at", INSTANT),
        sa.Column("expires_at", INSTANT),
        sa.Column("token", sa.Text),
        sa.Column("attempt", sa.Text),
        sa.Column("attempted_at", INSTANT),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("reason", sa.Text),
        sa.Column("updated_at", INSTANT, nullable=False),
    )


def _notifications() -> None:
    """One row for each resource: told again, it waits again."""
    op.create_table(
        "cmp_notification",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, primary_key=True),
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("resource", sa.Text, primary_key=True),
        sa.Column("application_id", sa.Text),
        sa.Column("sent_at", INSTANT),
        sa.Column("received_at", INSTANT, nullable=False),
        sa.Column("times", sa.BigInteger, nullable=False, server_default="1"),
        sa.Column("state", sa.Text, nullable=False),
    )
    waiting = sa.text("state = 'waiting'")
    op.create_index(
        "cmp_notification_waiting",
        "cmp_notification",
        ["source", "user_id", "received_at"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
    op.create_index("cmp_notification_received", "cmp_notification", ["received_at"])
