"""The ledger: runs, coverage, leases, passes, log, quarantine, accounts, secrets.

The tables of docs/reference/tables.md. Instants are text on SQLite (canonical form, so
that they sort as they compare) and timestamptz on PostgreSQL.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INSTANT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")
STATES = "state IN ('queued','running','succeeded','failed','timed_out','cancelled','interrupted','lost','skipped')"


def upgrade() -> None:
    """Create every table of the ledger."""
    _coordination()
    _runs()
    _streams()
    _accounts()


def _coordination() -> None:
    op.create_table(
        "cmp_scope",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("epoch", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("holder", sa.Text),
        sa.Column("expires_at", INSTANT),
        sa.Column("commits", sa.BigInteger, nullable=False, server_default="0"),
    )
    op.create_table(
        "cmp_coverage",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("since", INSTANT, primary_key=True),
        sa.Column("until", INSTANT, nullable=False),
        sa.Column("query_fingerprint", sa.Text, nullable=False),
    )
    op.create_table(
        "cmp_pass",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("since", INSTANT, nullable=False),
        sa.Column("until", INSTANT, nullable=False),
        sa.Column("query_fingerprint", sa.Text, nullable=False),
        sa.Column("position", sa.Text),
        sa.Column("read", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.UniqueConstraint("scope", "request"),
    )
    op.create_table(
        "cmp_hint",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("parent", sa.Text, primary_key=True),
    )


def _runs() -> None:
    counts = ("read", "inserted", "updated", "unchanged", "rejected", "deleted")
    requests = ("requests_sent", "requests_retried", "requests_throttled")
    op.create_table(
        "cmp_run",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("stream", sa.Text, nullable=False),
        sa.Column("epoch", sa.BigInteger),
        sa.Column("state", sa.Text, sa.CheckConstraint(STATES), nullable=False),
        sa.Column("trigger", sa.Text, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("scheduled_for", INSTANT),
        sa.Column("not_before", INSTANT),
        sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="1"),
        sa.Column("dry_run", sa.Boolean, nullable=False),
        sa.Column("partial", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("window_kind", sa.Text),
        sa.Column("window_since", INSTANT),
        sa.Column("window_until", INSTANT),
        *(
            sa.Column(name, INSTANT)
            for name in ("queued_at", "started_at", "finished_at", "progress_at", "deadline_at")
        ),
        sa.Column("cancel_requested", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("instance", sa.Text),
        *(sa.Column(name, sa.BigInteger, nullable=False, server_default="0") for name in (*counts, *requests)),
        sa.Column("waited_s", sa.Float, nullable=False, server_default="0"),
        sa.Column("error", sa.Text),
    )
    _unique("cmp_one_running", ["scope"], "state='running'")
    _unique("cmp_one_queued", ["scope", "request"], "state='queued'")
    _unique("cmp_one_tick", ["scope", "scheduled_for"], "scheduled_for IS NOT NULL")
    op.create_index("cmp_run_queued_at", "cmp_run", ["queued_at"])
    op.create_index("cmp_run_stream", "cmp_run", ["account", "stream", "queued_at"])
    op.create_table(
        "cmp_log",
        sa.Column("run", sa.Text, primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("level", sa.Text, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("fields", sa.Text, nullable=False),
    )


def _unique(name: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, "cmp_run", columns, unique=True, sqlite_where=where, postgresql_where=where)


def _streams() -> None:
    op.create_table(
        "cmp_stream",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("query_fingerprint", sa.Text),
        sa.Column("identity", sa.Text),
        sa.Column("clock_offset_s", sa.Float),
        sa.Column("reconciled_at", INSTANT),
        sa.Column("reconcile_result", sa.Text),
    )
    op.create_table(
        "cmp_quarantine",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("first_seen", INSTANT, nullable=False),
        sa.Column("last_seen", INSTANT, nullable=False),
        sa.Column("times", sa.Integer, nullable=False, server_default="1"),
    )


def _accounts() -> None:
    op.create_table(
        "cmp_account",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
    )
    op.create_table(
        "cmp_secret",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("nonce", sa.LargeBinary, nullable=False),
        sa.Column("ciphertext", sa.LargeBinary, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
    )
