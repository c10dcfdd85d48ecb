"""Servers as tests see them: a scheduler and a dispatcher on one database, which live for a while and then end.

They share a clock that jumps when everybody waits, so a day of theirs takes a moment of ours.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from tests.engine.workshop import Workshop, open_workshop

from comporta.coordination.dispatcher import Dispatcher
from comporta.coordination.execute import Executor
from comporta.coordination.following import Following
from comporta.coordination.legacy_locks import LegacyLocks
from comporta.coordination.rescuer import rescue
from comporta.coordination.scheduler import Scheduler
from comporta.coordination.workers import Workers
from comporta.ledger.session import Session
from comporta.ledger.sqlite import Pragmas, SqliteDatabase
from comporta.observability.log import Log, Silence
from comporta.ports.clock import Clock
from comporta.ports.store import Store
from comporta.testing import FakeClock

T = TypeVar("T")
POLL, LOOK = timedelta(seconds=20), timedelta(minutes=5)
"""Each look costs the jumping clock some milliseconds of ours."""
STARTED: list["Server"] = []


@dataclass
class Behind:
    """The clock of a machine that is behind the database's; time passes as it does there."""

    right: Clock
    by: timedelta

    def now(self) -> datetime:
        """Return the instant by this clock."""
        return self.right.now() - self.by

    def monotonic(self) -> float:
        """Return the seconds that passed."""
        return self.right.monotonic()

    async def sleep(self, duration: timedelta) -> None:
        """Wait."""
        await self.right.sleep(duration)


class AtWork:
    """How much is being done in threads: while that is anything, the clock waits."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._count = 0
        self._door = threading.Lock()

    def until(self, future: "Future[T]") -> "Future[T]":
        """Let the clock wait for something that was handed to a thread."""
        self._change(1)
        future.add_done_callback(lambda _: self._change(-1))
        return future

    def _change(self, more: int) -> None:
        with self._door:
            self._count += more
            self._clock.is_jumping = not self._count
            self._clock.note_work()  # whoever waited for it goes on a moment later


class AwaitedFile(SqliteDatabase):
    """A file for whose threads the clock waits: however busy the machine, no time passes while they are at work.

    Not where a test stops a thread in the middle: that never says that it is done.
    """

    def __init__(self, path: Path, pragmas: Pragmas, clock: FakeClock) -> None:
        super().__init__(path, pragmas, clock)
        self.at_work = AtWork(clock)

    def write(self, work: Callable[[Session], T], *, is_durable: bool = False, is_brief: bool = False) -> "Future[T]":
        """Write as ever."""
        return self.at_work.until(super().write(work, is_durable=is_durable, is_brief=is_brief))


class AwaitedThreads(ThreadPoolExecutor):
    """Threads for whose work the clock waits, from when it is handed to them."""

    def __init__(self, at_work: AtWork) -> None:
        super().__init__()
        self._at_work = at_work

    def submit(self, work: Callable[..., T], /, *arguments: object, **named: object) -> "Future[T]":
        """Do as ever."""
        return self._at_work.until(super().submit(work, *arguments, **named))


@asynccontextmanager
async def open_awaited_workshop(path: Path) -> AsyncIterator[Workshop]:
    """Open a workshop whose clock waits for the database."""
    async with open_workshop(path, opened=AwaitedFile) as opened:
        assert isinstance(opened.database, AwaitedFile)
        opened.store._readers = AwaitedThreads(opened.database.at_work)
        asyncio.get_running_loop().set_default_executor(AwaitedThreads(opened.database.at_work))
        yield opened


@dataclass
class Server:
    """One process that is always on, until it is told to end or is gone."""

    workshop: Workshop
    name: str = "here:1"
    workers: int = 4
    has_scheduler: bool = True
    has_dispatcher: bool = True
    poll: timedelta = POLL
    behind: timedelta = timedelta()
    paused: set[str] = field(default_factory=set)
    locks: LegacyLocks | None = None
    store: Store | None = None
    log: Log = field(default_factory=Silence)
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = self.store or self.workshop.store
        self.executor: Executor = self.workshop.executor(self.store, instance=self.name, locks=self.locks)
        self.dispatcher = Dispatcher(
            store=self.store,
            clock=self.workshop.clock,
            observer=self.workshop.witness,
            executor=self.executor,
            workers=Workers(self.workers, self.workshop.clock, known=self.workshop.plans),
            following=Following(self.workshop.store, self.workshop.clock, self.workshop.conduct),
            accounts=self.workshop.plans,
            resting=lambda: self.paused,
            log=self.log,
            poll=self.poll,
        )

    async def _paused(self) -> Collection[str]:
        return self.paused

    def start(self, *, at_once: bool = False) -> "Server":
        """Begin to schedule and to execute."""
        STARTED.append(self)
        if self.has_scheduler:
            self.tasks.append(asyncio.ensure_future(self._scheduler().run(at_once=at_once)))
        if self.has_dispatcher:
            self.tasks.append(asyncio.ensure_future(self.dispatcher.run()))
        self.tasks.append(asyncio.ensure_future(self._rescue()))
        return self

    async def _rescue(self) -> None:
        """Take expired leases away, as every process does."""
        while not self.executor.stopping.is_set():
            await rescue(self.workshop.store, self.workshop.witness)
            await self.workshop.clock.sleep(self.poll)

    def _scheduler(self) -> Scheduler:
        return Scheduler(
            store=self.store or self.workshop.store,
            clock=Behind(self.workshop.clock, self.behind),
            accounts=self.workshop.plans,
            paused=self._paused,
            stopping=self.executor.stopping,
            wake=self.dispatcher.wake,
            log=self.log,
            look=LOOK,
        )

    async def stop(self) -> None:
        """Hand over what runs and end, as at a deploy."""
        self.executor.stop()
        await asyncio.gather(*self.tasks)

    async def kill(self) -> None:
        """End without a word: what runs keeps its lease until that runs out."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def lives(self, span: timedelta) -> None:
        """Start, live for so long, and stop."""
        self.start()
        await self.workshop.clock.sleep(span)
        await self.stop()


async def kill_all() -> None:
    """End whatever a test left running; what an earlier one left ended with its event loop."""
    started, STARTED[:] = list(STARTED), []
    for server in started:
        if all(task.get_loop() is asyncio.get_running_loop() for task in server.tasks):
            await server.kill()


async def until(workshop: Workshop, look: Callable[[], bool]) -> None:
    """Let time pass until something is so."""
    while not look():
        await workshop.clock.sleep(timedelta(seconds=1))
