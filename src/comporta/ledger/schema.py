"""The ledger's schema version: which there are, and that one of a newer version is refused.

The same revisions on every database; how each is looked at and brought up to date is its own business.
"""

from comporta.errors import NewerSchema

REVISIONS = ("0001", "0002", "0003", "0004")
"""Every revision this version knows, oldest first; a test compares it with the migrations folder."""


def is_current(revision: str | None, where: str) -> bool:
    """Say whether a schema is the one this version works with; refuse a newer one."""
    if revision is not None and revision not in REVISIONS:
        raise NewerSchema(f"{where}: the ledger has schema {revision!r}; this version knows up to {REVISIONS[-1]!r}")
    return revision == REVISIONS[-1]
