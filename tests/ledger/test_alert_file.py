"""What was told without the book, in a file: whole, or as if there was nothing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from comporta.core.alert import Alert, Kind, Level
from comporta.ledger.alert_file import AlertFile

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
OPEN = Alert(
    "database", Kind.DATABASE, Level.ERROR, "não responde", "…", NOON, NOON, fields={"code": "CMP-DB-001"}, told_at=NOON
)
"""Told to be there."""
OVER = replace(OPEN, key="disk/box", kind=Kind.DISK, closed_at=NOON + timedelta(hours=1), times=3)
"""Over, which nobody was told yet."""


async def test_the_next_process_reads_what_one_kept(tmp_path: Path) -> None:
    """Until nothing is left to tell: then there is no file."""
    path = tmp_path / "state" / "told.json"
    before = await AlertFile(path).read()
    await AlertFile(path).keep([OPEN, OVER])
    kept = await AlertFile(path).read()
    await AlertFile(path).keep([])

    assert (list(before), list(kept)) == ([], [OPEN, OVER])
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "3", "[3]", "[{}]", "\x00"])
async def test_a_file_that_is_damaged_is_none(tmp_path: Path, text: str) -> None:
    """A power cut, or another version."""
    path = tmp_path / "told.json"
    path.write_text(text, "utf-8")

    assert list(await AlertFile(path).read()) == []


async def test_a_file_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    """The process goes by its memory."""
    (tmp_path / "state").write_text("no folder", "utf-8")
    notebook = AlertFile(tmp_path / "state" / "told.json")
    is_kept = await notebook.keep([OPEN])
    await notebook.keep([])

    assert (is_kept, list(await notebook.read())) == (False, [])
