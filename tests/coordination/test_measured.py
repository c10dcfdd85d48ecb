"""What a meter is told of runs."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from comporta.coordination.measured import OPERATIONS_MAX, Measured
from comporta.core.counts import Counts
from comporta.core.run import Run, RunState, Trigger
from comporta.errors import Busy
from comporta.ports.progress import LogLine, Progress
from comporta.ports.store import Occupied
from comporta.testing import FakeClock

AT = datetime(2026, 3, 1, 8, tzinfo=UTC)
RUN = Run("r1", "a/s", "a", "s", RunState.RUNNING, Trigger.MANUAL, "full", started_at=AT)
ENDED = replace(RUN, state=RunState.SUCCEEDED, counts=Counts(5, 3, 1, 1, 0, 2), finished_at=AT + timedelta(seconds=9))


class Kept:
    """A meter that a test reads."""

    def __init__(self) -> None:
        self.counted: Counter[tuple[str, ...]] = Counter()
        self.observed: list[tuple[str, float]] = []

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        self.counted[name.removeprefix("comporta_"), *labels.values()] += amount  # type: ignore[assignment]  # counts are numbers

    def observe(self, name: str, value: float, /, **_: str) -> None:
        self.observed.append((name.removeprefix("comporta_"), value))


def committed(**figures: int) -> LogLine:
    """Return the line of one batch."""
    return LogLine("info", "batch_committed", "", {"position": "7", **figures})


def test_records_are_counted_as_they_are_committed_and_once() -> None:
    """What a batch said is not said again at the end, and what no batch said is."""
    kept = Kept()
    measured = Measured(kept)
    measured.started(RUN, Progress(FakeClock(), scope="a/s"))
    measured.stepped(RUN, committed(read=2, inserted=2))
    measured.stepped(RUN, committed(read=2, inserted=1, updated=1))
    before = dict(kept.counted)
    measured.ended(ENDED)

    assert before == {
        ("records_read_total", "a", "s"): 4,
        ("records_total", "a", "s", "inserted"): 3,
        ("records_total", "a", "s", "updated"): 1,
    }
    assert kept.counted["records_read_total", "a", "s"] == 5
    assert kept.counted["records_total", "a", "s", "unchanged"] == 1
    assert kept.counted["records_total", "a", "s", "deleted"] == 2
    assert kept.counted["runs_total", "a", "s", "succeeded"] == 1
    assert kept.observed == [("run_duration_seconds", 9.0)]


def test_requests_are_counted_while_the_run_goes_on() -> None:
    """Each once, whenever somebody looks, and what came between the last look and the end."""
    kept, clock = Kept(), FakeClock()
    measured, progress = Measured(kept), Progress(clock, scope="a/s")
    measured.started(RUN, progress)
    progress.count_request()
    progress.count_failure("deals: page 3")
    measured.look()
    measured.look()
    first = dict(kept.counted)
    progress.count_request(retried=True, throttled=True, waited_s=0.5)
    measured.ended(ENDED)

    assert first == {("requests_sent_total", "a", "s"): 1, ("request_failures_total", "a", "deals: page N"): 1}
    assert kept.counted["requests_sent_total", "a", "s"] == 2
    assert kept.counted["requests_retried_total", "a", "s"] == 1
    assert kept.counted["requests_throttled_total", "a", "s"] == 1
    assert kept.counted["requests_waited_seconds_total", "a", "s"] == 0.5
    assert kept.counted["request_failures_total", "a", "deals: page N"] == 1


def test_a_dry_run_moves_no_counter_of_records() -> None:
    """It wrote nothing."""
    kept = Kept()
    measured = Measured(kept)
    dry = replace(RUN, dry_run=True)
    measured.started(dry, Progress(FakeClock(), scope="a/s"))
    measured.stepped(dry, committed(read=2, inserted=2))
    measured.ended(replace(ENDED, dry_run=True))

    assert list(kept.counted) == [("runs_total", "a", "s", "succeeded")]


def test_the_interval_is_from_start_to_start() -> None:
    """The first of a process has none."""
    kept = Kept()
    measured = Measured(kept)
    for minutes in (0, 30):
        run = replace(RUN, id=f"r{minutes}", started_at=AT + timedelta(minutes=minutes))
        measured.started(run, Progress(FakeClock(), scope="a/s"))

    assert kept.observed == [("run_interval_seconds", 1800.0)]


def test_refusals_losses_retries_and_errors_are_counted() -> None:
    """A run that was refused never started, and is counted all the same."""
    kept = Kept()
    measured = Measured(kept)
    measured.busy(RUN, Occupied("a/s", "r9", None, AT, "host:1"), waiting=False)
    measured.ended(replace(RUN, state=RunState.SKIPPED, error=Busy("held").as_json()))
    measured.taken(replace(RUN, state=RunState.LOST, attempt=4))
    measured.ended(replace(RUN, state=RunState.LOST, attempt=4))
    measured.retrying(replace(RUN, state=RunState.FAILED), timedelta(seconds=1), 2)

    assert kept.counted == {
        ("lease_refusals_total", "a", "s"): 1,
        ("runs_total", "a", "s", "skipped"): 1,
        ("run_errors_total", "a", "s", Busy.code): 1,
        ("runs_total", "a", "s", "lost"): 1,
        ("leases_lost_total", "a", "s"): 1,
        ("run_retries_total", "a", "s"): 1,
    }


def test_there_are_so_many_operations_and_no_more() -> None:
    """What a source calls its requests cannot fill a Prometheus."""
    kept = Kept()
    measured, progress = Measured(kept), Progress(FakeClock(), scope="a/s")
    measured.started(RUN, progress)
    for letter in range(2 * OPERATIONS_MAX):
        progress.count_failure("x" * (letter + 1))
    measured.look()
    names = {name for metric, _, name in kept.counted if metric == "request_failures_total"}

    assert len(names) == OPERATIONS_MAX + 1
    assert "other" in names


def test_what_another_process_counts_is_not_counted_twice() -> None:
    """The retry of a lost run, the end of a run that began elsewhere; one that has no end took no time."""
    kept = Kept()
    measured = Measured(kept)
    measured.retrying(replace(RUN, state=RunState.LOST), timedelta(seconds=1), 2)
    measured.ended(ENDED)
    measured.started(replace(RUN, id="r2"), Progress(FakeClock(), scope="a/s"))
    measured.ended(replace(ENDED, id="r2", finished_at=None, counts=Counts()))
    measured.look()

    assert kept.counted == {("runs_total", "a", "s", "succeeded"): 2}
    assert kept.observed == []
