"""Who watches runs: as many as want to, each told the same."""

from datetime import UTC, datetime, timedelta

from tests.engine.workshop import Witness

from comporta.coordination.watchers import Watchers
from comporta.core.run import Run, RunState, Trigger
from comporta.ports.progress import LogLine, Progress
from comporta.ports.store import Change, Occupied
from comporta.testing import FakeClock

RUN = Run("r1", "a/b", "a", "b", RunState.RUNNING, Trigger.MANUAL, "incremental")
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_each_is_told_everything_from_when_it_was_added() -> None:
    """Late comers hear only what comes."""
    first, second = Witness(), Witness()
    watchers = Watchers(first)
    watchers.stepped(RUN, LogLine("info", "page_read", "1"))
    watchers.add(second)
    watchers.started(RUN, Progress(FakeClock()))
    watchers.stepped(RUN, LogLine("info", "batch_committed", "1"))
    watchers.changed(RUN, [Change("inserted", "1", {})])
    watchers.busy(RUN, Occupied("a/b", "r0", None, NOW, None), waiting=True)
    watchers.retrying(RUN, timedelta(seconds=3), 2)
    watchers.ended(RUN)

    assert first.steps == ["page_read", "batch_committed"]
    assert second.steps == ["batch_committed"]
    for each in (first, second):
        told = (each.progress, each.changes, each.occupied, each.delays, each.ended_runs)
        assert [len(kind) for kind in told] == [1] * 5
