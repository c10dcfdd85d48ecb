"""What a server that is always on needs: who is alive, which accounts a person paused, and what people were told.

An alert is one row for as long as it is open: what it is about is its key, so a second look updates it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INSTANT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")


def upgrade() -> None:
    """Add what is missing."""
    _instances()
    _pauses()
    _alerts()


def _instances() -> None:
    op.create_table(
        "cmp_instance",
        sa.Column("instance", sa.Text, primary_key=True),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("seen_at", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT),
    )


def _pauses() -> None:
    op.create_table(
        "cmp_pause",
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("paused_at", INSTANT, nullable=False),
    )


def _alerts() -> None:
    op.create_table(
        "cmp_alert",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("account", sa.Text),
        sa.Column("stream", sa.Text),
        sa.Column("level", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("next_step", sa.Text, nullable=False),
        sa.Column("fields", sa.Text, nullable=False),
        sa.Column("opened_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("closed_at", INSTANT),
        sa.Column("muted_until", INSTANT),
        sa.Column("told_at", INSTANT),
        sa.Column("told_closed_at", INSTANT),
        sa.Column("times", sa.BigInteger, nullable=False, server_default="1"),
    )
    op.create_index("cmp_alert_open", "cmp_alert", ["closed_at", "opened_at"])
