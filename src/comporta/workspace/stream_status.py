"""Where one stream stands: what the ledger says of it, read for `comporta status` and the API.

Freshness is counted from the first instant that is not covered. Whether anybody schedules a stream is not taken from a
server's sign of life, which may not know the stream, but from the ticks that were offered of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from comporta.coordination.plans import AccountPlan, StreamPlan
from comporta.core.coverage import Coverage
from comporta.core.instant import BEGINNING, parse_instant
from comporta.core.run import Run, RunState
from comporta.core.schedule import spread
from comporta.ports.clock import Clock
from comporta.ports.store import Store
from comporta.ports.stream_state import StreamFacts, StreamState

OFFERED_WITHIN = timedelta(seconds=45)
"""A scheduler offers each tick when it comes; who did not by now is not there, or does not know the stream."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a queued run waits for: its time, the run that holds its stream, or somebody who does what is queued."""

    begins_in: timedelta | None
    held_by: str | None
    has_workers: bool


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """What ``comporta status`` says of one stream.

    ``freshness`` is how far coverage lies behind now, ``None`` where it does not reach back to the origin:
    from there on nothing is known to be complete, so no number would be true. ``is_offered``: its last tick was taken.
    ``waiting`` is set where the last run is in the queue.
    """

    account: str
    stream: str
    last: Run | None
    is_responding: bool
    coverage: Coverage
    origin: datetime
    freshness: timedelta | None
    facts: StreamFacts
    quarantined: int
    next_at: datetime | None = None
    is_offered: bool = True
    waiting: Waiting | None = None


@dataclass(frozen=True, slots=True)
class Sight:
    """What is looked at with; ``living`` are the holders of leases that have not run out, each with its scope."""

    now: datetime
    living: Mapping[str | None, str]
    has_workers: bool

    def status(self, plan: AccountPlan, stream: StreamPlan, state: StreamState) -> StreamStatus:
        """Return where a stream stands."""
        scope, origin, last = f"{plan.name}/{stream.name}", origin_of(stream), state.last
        uncovered = state.coverage.first_uncovered(origin)
        source_now = self.now + timedelta(seconds=state.facts.clock_offset_s or 0)
        return StreamStatus(
            account=plan.name,
            stream=stream.name,
            last=last,
            is_responding=last is None or last.id in self.living,
            coverage=state.coverage,
            origin=origin,
            freshness=source_now - uncovered if uncovered > origin else None,
            facts=state.facts,
            quarantined=state.waiting,
            next_at=_next_at(scope, stream, self.now),
            is_offered=_is_offered(stream, state.ticked_at, self.now),
            waiting=self._waiting(last) if last is not None and last.state is RunState.QUEUED else None,
        )

    def _waiting(self, run: Run) -> Waiting:
        begins_in = run.not_before - self.now if run.not_before is not None and run.not_before > self.now else None
        held_by = next((holder for holder, scope in self.living.items() if scope == run.scope), None)
        return Waiting(begins_in, held_by, self.has_workers)


async def living(store: Store, clock: Clock) -> dict[str | None, str]:
    """Return who holds a lease that has not run out, and of what."""
    now = clock.now()
    return {each.holder: each.scope for each in await store.leases() if each.expires_at and each.expires_at > now}


def origin_of(stream: StreamPlan) -> datetime:
    """Return where a stream begins."""
    return parse_instant(stream.origin_text) if stream.origin_text else BEGINNING


def _next_at(scope: str, stream: StreamPlan, now: datetime) -> datetime | None:
    """Return when a scheduler begins a stream's next run; nobody does with a stream that is paused."""
    tick = stream.schedule.following(now) if stream.schedule is not None and not stream.is_paused else None
    return tick + spread(scope, stream.schedule.usual) if tick is not None and stream.schedule is not None else None


def _is_offered(stream: StreamPlan, ticked_at: datetime | None, now: datetime) -> bool:
    """Say whether the last tick that somebody should have offered by now was taken."""
    due = stream.schedule.last(now - OFFERED_WITHIN) if stream.schedule is not None else None
    return due is None or (ticked_at is not None and ticked_at >= due)
