"""Where one stream stands: what the ledger says of it, read for `comporta status` and the API.

Freshness is counted from the first instant that is not covered. Whether anybody schedules a stream is not taken from a
server's sign of life, which may not know the stream, but from the ticks that were offered of it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from comporta.coordination.plans import AccountPlan, StreamPlan
from comporta.core.coverage import Coverage
from comporta.core.instant import BEGINNING, parse_instant
from comporta.core.run import Run
from comporta.core.schedule import spread
from comporta.ports.clock import Clock
from comporta.ports.store import Store, StreamFacts

OFFERED_WITHIN = timedelta(seconds=45)
"""A scheduler offers each tick when it comes; who did not by now is not there, or does not know the stream."""


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """What ``comporta status`` says of one stream.

    ``freshness`` is how far coverage lies behind now, ``None`` where it does not reach back to the origin:
    from there on nothing is known to be complete, so no number would be true. ``is_offered``: its last tick was taken.
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


@dataclass(frozen=True, slots=True)
class Sight:
    """What is looked at with; ``living`` are the holders of leases that have not run out."""

    store: Store
    clock: Clock
    living: Collection[str | None]

    async def status(self, plan: AccountPlan, stream: StreamPlan, waiting: int) -> StreamStatus:
        """Return where a stream stands, of which so many records wait in quarantine."""
        scope = f"{plan.name}/{stream.name}"
        runs = await self.store.runs(account=plan.name, stream=stream.name, dry_run=False, limit=1)
        last = next(iter(runs), None)
        coverage = await self.store.coverage(scope)
        facts = await self.store.facts(scope)
        now = self.clock.now()
        origin = origin_of(stream)
        uncovered = coverage.first_uncovered(origin)
        return StreamStatus(
            account=plan.name,
            stream=stream.name,
            last=last,
            is_responding=last is None or last.id in self.living,
            coverage=coverage,
            origin=origin,
            freshness=now + timedelta(seconds=facts.clock_offset_s or 0) - uncovered if uncovered > origin else None,
            facts=facts,
            quarantined=waiting,
            next_at=_next_at(scope, stream, now),
            is_offered=_is_offered(stream, await self.store.ticked_at(scope), now),
        )


async def living(store: Store, clock: Clock) -> set[str | None]:
    """Return who holds a lease that has not run out."""
    return {each.holder for each in await store.leases() if each.expires_at and each.expires_at > clock.now()}


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
