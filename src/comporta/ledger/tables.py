"""What the ledger consists of: its tables, columns and keys, as a new database gets them.

Read from ``queries/postgres_schema.sql``, which names the types more exactly than SQLite's does; but for
the types the two are equal (a test compares them), so this holds for either database.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_TABLE = re.compile(r"CREATE TABLE comporta\.(\w+) \(\n(.*?)\n\)", re.DOTALL)
_COLUMN = re.compile(r'^  "?([a-z]\w*)"? (TIMESTAMP WITH TIME ZONE|\w+)', re.MULTILINE)
_KEY = re.compile(r"^  PRIMARY KEY \((.*)\)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class LedgerTable:
    """One table of the ledger; ``columns`` are PostgreSQL's types by name."""

    name: str
    columns: Mapping[str, str]
    key: tuple[str, ...]


@cache
def ledger_tables() -> tuple[LedgerTable, ...]:
    """Return every table that holds what the ledger knows: not the schema's version, nor the unlogged budgets."""
    text = Path(__file__).with_name("queries").joinpath("postgres_schema.sql").read_text("utf-8")
    found = (_table(*match.groups()) for match in _TABLE.finditer(text))
    return tuple(each for each in found if each.name != "cmp_schema_version")


def _table(name: str, body: str) -> LedgerTable:
    key = _KEY.search(body)
    names = tuple(each.strip().strip('"') for each in key[1].split(",")) if key else ()
    return LedgerTable(name, dict(_COLUMN.findall(body)), names)
