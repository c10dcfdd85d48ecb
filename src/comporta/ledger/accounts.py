"""Accounts kept in the database: what ``comporta connect`` was told, in the words of comporta.toml.

Never a secret: those are rows of their own (``secrets``). What the file says of an account of the same
name wins; whoever reads both decides that, not this module.
"""

import json
from collections.abc import Mapping

from comporta.ledger.rows import text_of
from comporta.ledger.session import Session


def put_account(session: Session, name: str, table: Mapping[str, object]) -> None:
    """Keep an account, in place of the one of that name; ``table`` holds its keys as in comporta.toml."""
    text = json.dumps(dict(table), sort_keys=True)
    values = {"name": name, "source": table["source"], "settings": text, "now": text_of(session.now)}
    session.run("put_account", values)


def accounts(session: Session) -> dict[str, Mapping[str, object]]:
    """Return every account that is kept, by name, its keys as in comporta.toml."""
    return {row["name"]: json.loads(row["settings"]) for row in session.all("accounts", {})}
