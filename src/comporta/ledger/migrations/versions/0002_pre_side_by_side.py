"""What accounts that run side by side need: what was used of a limit, and the budgets that processes share.

The budgets are on PostgreSQL only; on SQLite they have a file of their own beside the database
(``ledger.budget_file``).
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is missing."""
    _runs()
    _budgets()


def _runs() -> None:
    """Say of each run what its limit was, how much of it was used, and what went wrong how often."""
    op.add_column("cmp_run", sa.Column("rate_limit", sa.Text))
    op.add_column("cmp_run", sa.Column("limit_used", sa.Float))
    op.add_column("cmp_run", sa.Column("failures", sa.Text))


def _budgets() -> None:
    """Unlogged: it changes with every request, and after a crash nothing of it is worth having but the wait."""
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute(
        "CREATE UNLOGGED TABLE comporta.cmp_budget ("
        "key TEXT NOT NULL, version BIGINT NOT NULL, state BYTEA NOT NULL, PRIMARY KEY (key))"
    )
