"""docs/reference/tables.md names the tables of the ledger that there are."""

import re
from pathlib import Path

from comporta.ledger.tables import ledger_tables

PAGE = Path(__file__).parent.parent.parent / "docs/reference/tables.md"
BESIDE = {"cmp_budget", "cmp_schema_version"}
"""Tables of the ledger that hold nothing it knows."""


def test_the_page_names_every_table_of_the_ledger_and_no_other() -> None:
    """People look in them, and a database's administrator asks what each is for."""
    ledger = PAGE.read_text(encoding="utf-8").partition("## The ledger")[2]
    rows = re.findall(r"^\| (`cmp_.+?) \|", ledger, re.MULTILINE)

    assert {name for row in rows for name in re.findall(r"`(cmp_\w+)`", row)} == {
        each.name for each in ledger_tables()
    } | BESIDE
