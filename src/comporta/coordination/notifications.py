"""What a server does with notifications: makes hints of them, looks at what is hinted at, and asks for missed ones.

Each account begins with what it missed: the notifications that its source could not deliver, and one ordinary sync,
whose window answers most of them, so that what changed a hundred times in a day of downtime is read once. From then on
a stream with hints is run when they are due, one run at a time, whoever hinted. A stream that another process holds,
or whose runs fail, is left alone for a while; no account waits for another.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from comporta.coordination.plans import AccountPlan
from comporta.coordination.sleeping import slept
from comporta.coordination.sync import Syncer, Wish
from comporta.core.notification import again_after
from comporta.core.run import Run, RunState, Trigger
from comporta.core.window import Kind, Request
from comporta.errors import ComportaError
from comporta.observability.log import Log
from comporta.ports.clock import Clock
from comporta.ports.notifications import Inbox
from comporta.ports.progress import Priority, Progress

POLL = timedelta(seconds=1)
"""How often it is looked whether another process kept a notification, or a postponed hint is due."""
GATHERING = timedelta(milliseconds=200)
"""Between two looks, however many notifications come: those of a burst become one run."""
MISSED_EVERY = timedelta(hours=1)
"""A source keeps what it could not deliver for two days."""
T = TypeVar("T")


@dataclass(slots=True)
class _Scope:
    """A stream whose hints are looked at: when it may be run again, by the monotonic clock."""

    not_before_s: float = 0.0
    failures: int = 0
    is_running: bool = False


class Deliveries:
    """Looks at what sources notify of, for the accounts of this process, until told to stop."""

    def __init__(
        self,
        *,
        inbox: Inbox,
        syncer: Syncer,
        clock: Clock,
        stopping: asyncio.Event,
        accounts: Mapping[str, AccountPlan],
        log: Log,
    ) -> None:
        self._inbox = inbox
        self._syncer = syncer
        self._clock = clock
        self._stopping = stopping
        self._known = accounts
        self._log = log
        self._scopes: dict[str, _Scope] = {}
        self._heard: set[str] = set()
        self._ready: set[str] = set()
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look now: something was kept."""
        self._woken.set()

    async def run(self) -> None:
        """Work until told to stop, then wait for what is being handed over."""
        async with asyncio.TaskGroup() as group:
            while not self._stopping.is_set():
                for name in self._accounts.keys() - self._heard:
                    self._heard.add(name)
                    group.create_task(self._hear(name))
                await self._guarded("hand over notifications", self._hand_over)
                for scope in await self._due():
                    group.create_task(self._look(scope))
                await self._until_woken()

    @property
    def _accounts(self) -> Mapping[str, AccountPlan]:
        """Return the accounts whose source notifies, as they are now."""
        return {name: plan for name, plan in self._known.items() if plan.feed is not None}

    async def _hear(self, name: str) -> None:
        """Bring an account up to date, then ask again and again for what was not delivered, until it is gone."""
        await self._catch_up(name)
        self._ready.add(name)
        self.wake()
        while await slept(self._clock, MISSED_EVERY, self._stopping) and (plan := self._accounts.get(name)):
            await self._ask_for_missed(plan)
        self._ready.discard(name)
        self._heard.discard(name)

    async def _catch_up(self, name: str) -> None:
        plan = self._accounts.get(name)
        if plan is None:
            return
        await self._ask_for_missed(plan)
        await self._guarded("hand over notifications", self._hand_over)
        targets = [(name, each) for each, stream in plan.streams.items() if not stream.is_paused]
        if targets and not self._stopping.is_set() and not await self._is_paused(plan) and name in self._accounts:
            await self._syncer.sync(targets, Wish(Request(), wait=True, trigger=Trigger.CATCH_UP))

    async def _ask_for_missed(self, plan: AccountPlan) -> None:
        """Read what was missed; a source that does not answer keeps nobody from ending."""
        attempt = f"{plan.name}: read missed notifications"
        reading = asyncio.ensure_future(self._guarded(attempt, lambda: self._read_missed(plan)))
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            reading.cancel()
            stopping.cancel()
        with suppress(asyncio.CancelledError):
            await reading

    async def _read_missed(self, plan: AccountPlan) -> None:
        if (
            plan.feed is None
            or all(stream.is_paused for stream in plan.streams.values())
            or await self._is_paused(plan)
        ):
            return
        progress = Progress(self._clock, scope=f"{plan.name}/@missed", priority=Priority.SCHEDULE, rate=plan.limit)
        found = 0
        async for page in plan.feed.missed(progress):
            await self._inbox.keep(page)
            found += len(page)
            self.wake()
        self._log.write("info", "missed_notifications_read", {"account": plan.name, "found": found})

    async def _is_paused(self, plan: AccountPlan) -> bool:
        """Say whether a person paused the account; unknown counts as not."""
        return plan.name in (await self._guarded("look for paused accounts", self._inbox.paused) or ())

    async def _hand_over(self) -> None:
        """Make hints of all that waits, a portion at a time."""
        for source, accounts in self._by_source().items():
            streams = {plan.name: plan.streams for plan in accounts}
            feed = accounts[0].feed
            while feed is not None and not self._stopping.is_set():
                if not await self._inbox.hand_over(source, streams, feed.point):
                    break

    def _by_source(self) -> dict[str, list[AccountPlan]]:
        found: dict[str, list[AccountPlan]] = {}
        for plan in self._accounts.values():
            if plan.feed is not None:
                found.setdefault(plan.feed.source, []).append(plan)
        return found

    async def _due(self) -> Sequence[str]:
        """Return the scopes to run now, and count them as running."""
        scopes: Collection[str] = await self._guarded("look for hints", self._inbox.due) or ()
        now_s = self._clock.monotonic()
        due = [scope for scope in scopes if self._is_ours(scope) and self._may_run(scope, now_s)]
        for scope in due:
            self._scopes[scope].is_running = True
        return due

    def _is_ours(self, scope: str) -> bool:
        account, _, name = scope.partition("/")
        plan = self._accounts.get(account) if account in self._ready else None
        stream = plan.streams.get(name) if plan is not None else None
        return stream is not None and not stream.is_paused

    def _may_run(self, scope: str, now_s: float) -> bool:
        known = self._scopes.setdefault(scope, _Scope())
        return not known.is_running and known.not_before_s <= now_s

    async def _look(self, scope: str) -> None:
        """Run a stream once for what is hinted at, and say when it may be run again."""
        account, _, stream = scope.partition("/")
        wish = Wish(Request(Kind.NOTIFICATION))
        known = self._scopes[scope]

        async def look() -> list[Run]:
            return await self._syncer.run_one(account, stream, wish, Trigger.NOTIFICATION)

        try:
            runs = await self._guarded(f"{scope}: run for notifications", look)
        finally:
            known.is_running = False
        state = runs[-1].state if runs else RunState.FAILED
        known.failures = known.failures + 1 if state not in {RunState.SUCCEEDED, RunState.SKIPPED} else 0
        known.not_before_s = self._clock.monotonic() + again_after(state, known.failures).total_seconds()
        self.wake()

    async def _guarded(self, attempt: str, work: Callable[[], Awaitable[T]]) -> T | None:
        """Do something that is done again anyway; an error ends this time only, and is told."""
        try:
            return await work()
        except ComportaError as error:
            self._log.write("error", "notifications_failed", {"attempt": attempt, "error": error.as_json()})
            return None

    async def _until_woken(self) -> None:
        await slept(self._clock, GATHERING, self._stopping)
        waiting = [asyncio.ensure_future(each.wait()) for each in (self._woken, self._stopping)]
        polling = asyncio.ensure_future(self._clock.sleep(POLL - GATHERING))
        try:
            await asyncio.wait({*waiting, polling}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (*waiting, polling):
                each.cancel()
        self._woken.clear()
