"""The drawing of a sync on a terminal."""

from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from comporta.cli.live import ROWS_MAX, LiveTable
from comporta.core.counts import Counts
from comporta.core.run import Run, RunState, Trigger
from comporta.ports.progress import LogLine, Progress
from comporta.ports.store import Occupied


class StillClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 3, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, duration: timedelta) -> None:
        self.seconds += duration.total_seconds()


def run(state: RunState = RunState.RUNNING, run_id: str = "r", **more: object) -> Run:
    """Return a run."""
    return Run(run_id, "a/s", "a", "s", state, Trigger.MANUAL, "incremental", **more)  # type: ignore[arg-type]  # as the caller says


def drawn(table: LiveTable, width: int = 120) -> str:
    """Return what a terminal of so many columns shows."""
    screen = Console(width=width, record=True, file=None, quiet=False, force_terminal=False)
    with screen.capture() as capture:
        screen.print(table.table())
    return capture.get()


def test_a_running_line_shows_rows_rate_and_what_is_left() -> None:
    """Once there is enough behind it to say."""
    clock = StillClock()
    table, progress = LiveTable(clock), Progress(clock)
    table.started(run(), progress)
    table.stepped(run(), LogLine("info", "pass_started", "3000 records"))
    for _ in range(2):
        table.stepped(run(), LogLine("info", "batch_committed", "500 new"))
    clock.seconds, progress.rows_read, progress.rows_expected = 10.0, 1_000, 3_000
    words = drawn(table).splitlines()[1].split()

    assert words == ["a/s", "running", "1,000", "100/s", "20s", "500", "new"]


def test_a_narrow_terminal_cuts_the_note_and_nothing_else() -> None:
    """Which stream it is, and how far, is what people look for; one line is one run."""
    clock = StillClock()
    table, progress = LiveTable(clock), Progress(clock)
    name = "crm/dealCustomFieldData"
    table.started(Run("r", name, "crm", "dealCustomFieldData", RunState.RUNNING, Trigger.MANUAL, "full"), progress)
    progress.rows_read, clock.seconds = 45_000, 100.0
    progress.wait(3, "the limit of 5 requests in 1 s (activecampaign/crm dealCustomFieldData: 100 records from 990)")
    head, line, *rest = drawn(table, width=80).splitlines()

    assert line.split()[:5] == [name, "running", "45,000", "450/s", "waits"]
    assert line.endswith("…")
    assert (head.split(), rest) == (["stream", "state", "rows", "rate", "left"], [])


def test_a_waiting_line_says_what_for() -> None:
    """A pause that is not explained looks like a fault."""
    clock = StillClock()
    table, progress = LiveTable(clock), Progress(clock)
    table.started(run(), progress)
    progress.wait(3, "attempt 2 of 5: refused")
    clock.seconds = 1.0

    assert "waits 2 s for attempt 2 of 5: refused" in drawn(table)


def test_an_ended_line_stays_with_its_result() -> None:
    """The person sees what was done, not only what goes on."""
    table = LiveTable(StillClock())
    table.started(run(), Progress(StillClock()))
    table.ended(run(RunState.SUCCEEDED, counts=Counts(read=3, inserted=2, unchanged=1)))

    assert "2 new, 1 unchanged" in drawn(table)


def test_a_held_stream_says_by_whom() -> None:
    """And whether it is waited for."""
    table = LiveTable(StillClock())
    until = datetime(2026, 3, 1, tzinfo=UTC)
    table.busy(run(RunState.QUEUED), Occupied("a/s", "r9", None, until, "host:1"), waiting=True)

    assert "held by run r9 on host:1; waiting for it" in drawn(table)


def test_the_oldest_ended_lines_go_first() -> None:
    """A hundred streams do not fit a screen."""
    table = LiveTable(StillClock())
    table.started(run(run_id="going"), Progress(StillClock()))
    for number in range(ROWS_MAX + 10):
        table.ended(run(RunState.SUCCEEDED, run_id=f"r{number}"))
    lines = drawn(table).splitlines()[1:]

    assert len(lines) == ROWS_MAX
    assert "running" in lines[0]


def test_what_is_not_waited_for_is_said_above_the_drawing(capsys: pytest.CaptureFixture[str]) -> None:
    """The drawing goes away at the end; that a run stays queued for a day must not."""
    with LiveTable(StillClock()) as table:
        table.retrying(run(RunState.FAILED), timedelta(seconds=4), 2)
        table.retrying(run(RunState.FAILED), timedelta(days=1), 3)

    said = " ".join(capsys.readouterr().out.split())
    assert "a/s: attempt 3 is not waited for: it stays queued, and a `comporta sync` in 1d does it" in said
    assert "a/s: attempt 2" not in said
