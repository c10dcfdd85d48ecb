"""What the program's log says of runs."""

from datetime import UTC, datetime

import pytest

from comporta.cli.journal import Journal
from comporta.core.run import Run, RunState, Trigger
from comporta.errors import Busy
from comporta.ports.progress import LogLine
from comporta.ports.store import Occupied

HELD = Occupied("a/s", "r9", None, datetime(2026, 3, 1, tzinfo=UTC), "host:1")


class Kept:
    """A log that a test reads."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def write(self, level: str, event: str, _: object) -> None:
        self.lines.append((level, event))


@pytest.mark.parametrize(
    ("is_waiting", "ends", "lines"),
    [
        (True, RunState.SUCCEEDED, [("info", "run_queued"), ("info", "run_succeeded")]),
        (False, RunState.SKIPPED, [("warning", "run_skipped")]),
    ],
)
def test_a_run_that_waits_was_not_skipped(is_waiting: bool, ends: RunState, lines: list[tuple[str, str]]) -> None:
    """And one that was is said to be once, as no error."""
    kept = Kept()
    journal = Journal(kept)
    error = Busy("held").as_json() if ends is RunState.SKIPPED else None
    journal.busy(Run("r", "a/s", "a", "s", RunState.QUEUED, Trigger.MANUAL, "full"), HELD, waiting=is_waiting)
    journal.ended(Run("r", "a/s", "a", "s", ends, Trigger.MANUAL, "full", error=error))

    assert kept.lines == lines


def test_a_step_may_have_a_message_among_its_fields() -> None:
    """Those that tell of an error have; it once ended whoever watched."""
    kept = Kept()
    run = Run("r", "a/s", "a", "s", RunState.QUEUED, Trigger.MANUAL, "full")

    Journal(kept).stepped(run, LogLine("warning", "legacy_lock_awaited", "held", Busy("held").as_json()))

    assert kept.lines == [("warning", "legacy_lock_awaited")]


@pytest.mark.parametrize(
    ("state", "level"),
    [(RunState.INTERRUPTED, "warning"), (RunState.CANCELLED, "warning"), (RunState.FAILED, "error")],
)
def test_what_was_meant_to_end_is_no_error(state: RunState, level: str) -> None:
    """Whoever is woken by errors is not woken by each deploy."""
    kept = Kept()

    Journal(kept).ended(Run("r", "a/s", "a", "s", state, Trigger.MANUAL, "full"))

    assert [each for each, _ in kept.lines] == [level]
