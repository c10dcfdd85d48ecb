"""The scheduler: puts a run into the queue when a stream is due.

Any number of them may run on one database: the ledger takes each tick of a stream once, and the hour is the database's,
or a machine whose clock is behind would offer what was served. A scheduler keeps nothing that it could lose; after a
start it offers the latest tick of every stream, and those that were served are refused. Whoever sees that nobody
schedules any more sees it by ``cmp_instance``, in which each server says that it is alive.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime, timedelta
from secrets import token_hex

from comporta.coordination.plans import AccountPlan, StreamPlan
from comporta.coordination.sleeping import slept
from comporta.core.run import Trigger, run_name
from comporta.core.schedule import spread
from comporta.core.ticket import Ticket
from comporta.core.window import Request
from comporta.errors import DestinationRefused, Retryable
from comporta.observability.log import Log
from comporta.ports.clock import Clock
from comporta.ports.store import Store

ABREAST = 8
"""Streams whose ticks are offered at once."""
LOOK = timedelta(seconds=10)
"""How often at least it looks whether anything is due: accounts may be paused and clocks may jump."""


class Scheduler:
    """Schedules the streams of the accounts it was given."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        accounts: Mapping[str, AccountPlan],
        paused: Callable[[], Awaitable[Collection[str]]],
        stopping: asyncio.Event,
        wake: Callable[[], None],
        log: Log,
        look: timedelta = LOOK,
    ) -> None:
        self._store = store
        self._clock = clock
        self._accounts = accounts
        self._paused = paused
        self._stopping = stopping
        self._wake = wake
        self._log = log
        self._look_every = look
        self._offered: dict[str, datetime] = {}

    async def run(self, *, at_once: bool = False) -> None:
        """Schedule until told to stop; ``at_once``: begin with every stream, whether it is due or not."""
        while not self._stopping.is_set():
            try:
                await self._look(at_once=at_once)
                at_once = False
            except (Retryable, DestinationRefused) as error:
                self._log.write("error", "scheduling_failed", {"code": error.code, "message": error.message})
            await slept(self._clock, self._until_next(), self._stopping)

    async def _look(self, *, at_once: bool) -> None:
        """Offer what is due, several streams at once: a database that is far away answers each after a while."""
        paused, places = await self._paused(), asyncio.Semaphore(ABREAST)

        async def offer(account: AccountPlan, stream: StreamPlan) -> None:
            async with places:
                if not self._stopping.is_set():
                    await self._offer(account, stream, at_once=at_once)

        offers = [
            offer(account, stream)
            for account in self._accounts.values()
            for stream in account.streams.values()
            if account.name not in paused and not stream.is_paused and (at_once or self._new_tick(account, stream))
        ]
        for error in await asyncio.gather(*offers, return_exceptions=True):
            if error is not None:
                raise error

    def _new_tick(self, account: AccountPlan, stream: StreamPlan) -> datetime | None:
        """Return a stream's latest tick, unless it was offered before."""
        tick = stream.schedule.last(self._store.now()) if stream.schedule is not None else None
        return None if tick is None or self._offered.get(f"{account.name}/{stream.name}") == tick else tick

    async def _offer(self, account: AccountPlan, stream: StreamPlan, *, at_once: bool) -> None:
        """Queue a run for the latest tick, unless it was offered before; ``at_once``: one run in any case."""
        is_queued = await self._offer_tick(account, stream, at_once=at_once)
        if at_once and not is_queued:
            await self._store.enqueue(Ticket(account.name, stream.name, Request(), Trigger.SCHEDULE))
        if at_once or is_queued:
            self._wake()

    async def _offer_tick(self, account: AccountPlan, stream: StreamPlan, *, at_once: bool) -> bool:
        """Say whether a run was queued for the latest tick."""
        scope, now = f"{account.name}/{stream.name}", self._store.now()
        tick = self._new_tick(account, stream)
        if stream.schedule is None or tick is None:
            return False
        begins = tick + spread(scope, stream.schedule.usual)
        not_before = begins if begins > now and not at_once else None
        ticket = Ticket(account.name, stream.name, Request(), Trigger.SCHEDULE, not_before=not_before)
        run = await self._store.tick(ticket, tick, run_id=run_name(now, token_hex(4)))
        self._offered[scope] = tick
        if run is None:
            return False
        fields = {"account": account.name, "stream": stream.name, "run": run.id, "tick": tick.isoformat()}
        self._log.write("info", "run_queued", fields)
        return True

    def _until_next(self) -> timedelta:
        """Return how long nothing becomes due, and no longer than is worth waiting."""
        now = self._store.now()
        ticks = [
            tick
            for account in self._accounts.values()
            for stream in account.streams.values()
            if stream.schedule is not None and (tick := stream.schedule.following(now)) is not None
        ]
        return min([self._look_every, *(tick - now for tick in ticks)])
