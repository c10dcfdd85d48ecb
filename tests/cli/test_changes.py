"""What dry runs would change is shown, and kept within bounds."""

import pytest

from comporta.cli.changes import Changes
from comporta.core.counts import Counts
from comporta.core.language import Language
from comporta.core.run import Run, RunState, Trigger
from comporta.ports.store import Change

SIXTY = [Change(key, "updated", {"a": (1, 2)}) for key in range(60)]


def run(run_id: str) -> Run:
    """Return a dry run that would update sixty rows."""
    counts = Counts(read=60, updated=60)
    return Run(run_id, "a/s", "a", "s", RunState.SUCCEEDED, Trigger.MANUAL, "full", dry_run=True, counts=counts)


def test_a_long_list_is_cut() -> None:
    """A person reads fifty lines; more are in the JSON."""
    changes = Changes()
    changes.add(run("r"), SIXTY[:45])
    changes.add(run("r"), SIXTY[45:])
    lines = changes.lines([run("r")])

    assert len(lines) == 52
    assert lines[:2] == ["a/s: +0 ~60 =0", "  ~ 0  a: 1 -> 2"]
    assert lines[-1] == "  … and 10 more; --json shows up to 20,000 changes"


def test_a_new_row_shows_what_it_has_and_not_that_it_had_nothing() -> None:
    """Of a row that changes, both values are shown."""
    changes = Changes()
    changes.add(run("r"), [Change(1, "inserted", {"id": (None, 1), "title": (None, "Proposta")})])
    changes.add(run("r"), [Change(2, "updated", {"hash": ("a", None)})])

    assert changes.lines([run("r")])[1:] == ["  + 1  id: 1, title: Proposta", "  ~ 2  hash: a -> null"]


def test_only_what_is_shown_is_kept() -> None:
    """A dry run of a large table must not hold the table in memory; each run has its own lines."""
    changes = Changes()
    for _ in range(1_000):
        changes.add(run("r"), SIXTY)
    changes.add(run("s"), SIXTY)

    assert [each["run"] for each in changes.as_json()] == ["r"] * 50 + ["s"] * 50
    assert changes.lines([run("r")])[-1].startswith("  … and 59,950 more")
    assert changes.lines([run("r")], Language.PT)[-1] == "  … e mais 59.950; --json mostra até 20.000 mudanças"


@pytest.mark.parametrize(("kept_max", "kept", "is_truncated"), [(120, 120, False), (119, 119, True), (10, 10, True)])
def test_a_document_has_a_bound_and_says_when_it_was_reached(kept_max: int, kept: int, is_truncated: bool) -> None:
    """Whoever reads it must not take a part for the whole."""
    changes = Changes(shown_max=None, kept_max=kept_max)
    changes.add(run("r"), SIXTY)
    changes.add(run("s"), SIXTY)

    assert len(changes.as_json()) == kept
    assert changes.is_truncated is is_truncated
