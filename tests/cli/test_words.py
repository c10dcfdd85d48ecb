"""How tables are said on a screen that has an end."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from comporta.cli.words import columns, ended_text, totals_lines
from comporta.core.counts import Counts
from comporta.core.language import Language
from comporta.core.run import Run, RunState, Trigger
from comporta.core.totals import totals

HEADS = ("stream", "state", "next")
ROWS = [
    ("crm/deals", "succeeded", ""),
    ("crm/dealCustomFieldData", "failed", "Give the key's user the right to see this, or take the stream out."),
    ("crm/users", "never", "comporta sync crm/users"),
]


def test_a_text_that_does_not_fit_stands_beneath_its_row() -> None:
    """Indented, so that the columns can still be read down; what fits stays where it is."""
    lines = columns(HEADS, ROWS, width=60).splitlines()

    assert lines == [
        "stream                   state      next",
        "crm/deals                succeeded",
        "crm/dealCustomFieldData  failed",
        "    Give the key's user the right to see this, or take the",
        "    stream out.",
        "crm/users                never      comporta sync crm/users",
    ]


def test_a_file_or_a_wide_screen_has_a_line_for_each_row() -> None:
    """Who looks for a word in the output finds the row with it."""
    assert len(columns(HEADS, ROWS).splitlines()) == len(columns(HEADS, ROWS, width=200).splitlines()) == 4
    assert columns(HEADS, ROWS) == columns(HEADS, ROWS, width=200)


def test_what_does_not_fit_at_all_is_left_to_the_terminal() -> None:
    """A screen narrower than the figures wraps them, and texts of one long word."""
    lines = columns(HEADS, [("crm/dealCustomFieldData", "failed", "x" * 40)], width=20).splitlines()

    assert lines[1:] == ["crm/dealCustomFieldData  failed", "    " + "x" * 40]


def test_a_dry_run_says_that_it_wrote_nothing() -> None:
    """Else "60 deleted" of a `reconcile` without --repair is believed."""
    gone = Run("r", "a/s", "a", "s", RunState.SUCCEEDED, Trigger.MANUAL, "reconcile", counts=Counts(deleted=60))
    dry = replace(gone, dry_run=True)

    assert ended_text(gone) == "60 deleted"
    assert ended_text(dry) == "60 deleted; nothing was written"
    assert ended_text(dry, Language.PT) == "60 excluídos; nada foi gravado"
    assert ended_text(replace(dry, counts=Counts())) == "nothing new"


def test_what_a_dry_run_took_is_told_in_portuguese_too() -> None:
    """Figures as they are written there; no English word is left beside them."""
    run = Run("r", "a/s", "a", "s", RunState.SUCCEEDED, Trigger.MANUAL, "full", counts=Counts(read=1500, inserted=1500))
    at = datetime(2026, 3, 1, tzinfo=UTC)
    took = replace(run, started_at=at, finished_at=at + timedelta(seconds=2), requests_sent=3, requests_throttled=1)
    lines = totals_lines([took], totals([took]), Language.PT)

    assert lines[0] == "a/s: 2,0 s, 750 registros/s, 3 requisições, 1 recusada(s) pelo limite"
    assert lines[1] == "tudo: 1.500 registros, em 2,0 s, 750,0 registros/s, 750,0 gravações/s"
