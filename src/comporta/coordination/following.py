"""What follows a run that ended well: more runs of the same stream, or of those that its rows tell of.

Holes are runs of their own after the one that brought fresh data, so that a hole that keeps failing never starves
it. Whoever executes runs from the queue puts these into it.
"""

from collections.abc import Sequence
from datetime import timedelta

from comporta.coordination.plans import AccountPlan, Child, Conduct, StreamPlan
from comporta.core.instant import BEGINNING, parse_instant
from comporta.core.run import Run, RunState, Trigger
from comporta.core.ticket import Ticket
from comporta.core.window import GIVEN, Kind, Request, hole_requests, parse_request
from comporta.ports.clock import Clock
from comporta.ports.store import Store

BEHIND = timedelta(minutes=1)
"""A window that ended this long before its run's start, beyond the margin, was a resumed one."""


class Following:
    """Decides what follows, from what the ledger knows."""

    def __init__(self, store: Store, clock: Clock, conduct: Conduct) -> None:
        self._store = store
        self._clock = clock
        self._conduct = conduct

    async def tickets(self, account: AccountPlan, stream: StreamPlan, ended: Run) -> list[Ticket]:
        """Return what is to be queued after a run."""
        request = parse_request(ended.request)
        if ended.state is not RunState.SUCCEEDED or ended.dry_run or request.max_records is not None:
            return []
        found = await self._first_loads(account, stream) or await self._hinted(account, stream)
        if request.kind in {Kind.RECONCILE, Kind.NOTIFICATION, Kind.QUARANTINE}:
            return found
        if request.kind not in GIVEN and await self.is_behind(account, stream, ended):
            return [*found, Ticket(account.name, stream.name, Request(), Trigger.CATCH_UP)]
        holes = await self.holes(account, stream) if request.kind is Kind.INCREMENTAL else []
        found += [Ticket(account.name, stream.name, hole, Trigger.CATCH_UP) for hole in holes]
        if await self.is_reconcile_due(account, stream, filled=request.kind is Kind.HOLE):
            found.append(Ticket(account.name, stream.name, Request(Kind.RECONCILE), Trigger.RECONCILE))
        return found

    async def is_behind(self, account: AccountPlan, stream: StreamPlan, ended: Run) -> bool:
        """Say whether a run that went on with an old pass has closed a window that ended long ago.

        An empty window is none of those: the source's clock went back a little, and to read again at once would give
        the same until that clock has caught up.
        """
        if ended.window_since is None or ended.window_until is None or ended.started_at is None:
            return False
        if ended.window_since >= ended.window_until:
            return False
        facts = await self._store.facts(f"{account.name}/{stream.name}")
        source_clock = ended.started_at + timedelta(seconds=facts.clock_offset_s or 0)
        return ended.window_until < source_clock - self._conduct.margin - BEHIND

    async def holes(self, account: AccountPlan, stream: StreamPlan) -> Sequence[Request]:
        """Return a request for each hole of a stream."""
        origin = parse_instant(stream.origin_text) if stream.origin_text else BEGINNING
        return hole_requests(await self._store.coverage(f"{account.name}/{stream.name}"), origin)

    async def is_reconcile_due(self, account: AccountPlan, stream: StreamPlan, *, filled: bool) -> bool:
        """Say whether it is time to compare a stream with its source."""
        facts = await self._store.facts(f"{account.name}/{stream.name}")
        if facts.reconciled_at is None:
            # Loaded by windows, never by a full pass. While holes are left, all that is in them would differ.
            return not await self.holes(account, stream)
        return filled or self._clock.now() - facts.reconciled_at >= self._conduct.reconcile_every

    async def has_hints(self, account: AccountPlan, stream: StreamPlan) -> bool:
        """Say whether records of a stream are to be looked at now; what tells of a paused stream waits."""
        return not stream.is_paused and bool(await self._store.hints(f"{account.name}/{stream.name}", 1))

    async def is_to_be_loaded(self, account: AccountPlan, child: Child) -> bool:
        """Say whether a stream was never loaded that has what the rows of another name, and nothing else.

        It may have had its turn before there were such rows, or have none of its own.
        """
        stream = account.streams.get(child.stream)
        if stream is None or child.column is None:
            return False
        is_loaded = (await self._store.coverage(f"{account.name}/{child.stream}")).intervals
        return not is_loaded and await self.has_hints(account, stream)

    async def _first_loads(self, account: AccountPlan, stream: StreamPlan) -> list[Ticket]:
        return [
            Ticket(account.name, child.stream, Request(), Trigger.CATCH_UP)
            for child in stream.children
            if await self.is_to_be_loaded(account, child)
        ]

    async def _hinted(self, account: AccountPlan, stream: StreamPlan) -> list[Ticket]:
        """Return a run for each stream that was told of: this one, and those that its rows name.

        Of an account that notifies, whoever looks at its notifications looks at all hints.
        """
        if account.feed is not None:
            return []
        names = [stream.name, *(child.stream for child in stream.children)]
        told = [account.streams[name] for name in names if name in account.streams]
        return [
            Ticket(account.name, each.name, Request(Kind.NOTIFICATION), Trigger.NOTIFICATION)
            for each in told
            if await self.has_hints(account, each)
        ]
