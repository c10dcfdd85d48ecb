"""Accounts kept in the database: what ``comporta connect`` was told, in the words of comporta.toml.

Never a secret: those are rows of their own (``secrets``). What the file says of an account of the same
name wins; whoever reads both decides that, not this module.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from comporta.ledger.rows import text_of
from comporta.ledger.session import Session


class Kept(NamedTuple):
    """What is kept of an account; who puts it anew gives it another instant, though only its key be another."""

    table: Mapping[str, object]
    at: object


def put_account(session: Session, name: str, table: Mapping[str, object]) -> None:
    """Keep an account, in place of the one of that name; ``table`` holds its keys as in comporta.toml."""
    text = json.dumps(dict(table), sort_keys=True)
    values = {"name": name, "source": table["source"], "settings": text, "now": text_of(session.now)}
    session.run("put_account", values)


def accounts(session: Session) -> dict[str, Mapping[str, object]]:
    """Return every account that is kept, by name, its keys as in comporta.toml."""
    return {name: kept.table for name, kept in kept_accounts(session).items()}


def kept_accounts(session: Session) -> dict[str, Kept]:
    """Return every account that is kept, by name, and when."""
    return {row["name"]: Kept(_table(row["settings"]), row["updated_at"]) for row in session.all("accounts", {})}


def _table(text: str) -> Mapping[str, object]:
    """Return the keys of an account; none where somebody wrote by hand what is no object, and then it is not whole."""
    with suppress(ValueError):
        table = json.loads(text)
        if isinstance(table, dict):
            return table
    return {}
