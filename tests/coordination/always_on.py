"""Servers as tests see them: a scheduler and a dispatcher on one database, which live for a while and then end.

They share a clock that jumps when everybody waits, so a day of theirs takes a moment of ours.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.engine.workshop import Workshop

from comporta.coordination.dispatcher import Dispatcher
from comporta.coordination.execute import Executor
from comporta.coordination.following import Following
from comporta.coordination.rescuer import rescue
from comporta.coordination.scheduler import Scheduler
from comporta.coordination.workers import Workers
from comporta.observability.log import Silence
from comporta.ports.clock import Clock

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
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.executor: Executor = self.workshop.executor(instance=self.name)
        self.dispatcher = Dispatcher(
            store=self.workshop.store,
            clock=self.workshop.clock,
            observer=self.workshop.witness,
            executor=self.executor,
            workers=Workers(self.workers, known=self.workshop.plans),
            following=Following(self.workshop.store, self.workshop.clock, self.workshop.conduct),
            accounts=self.workshop.plans,
            paused=self._paused,
            log=Silence(),
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
            store=self.workshop.store,
            clock=Behind(self.workshop.clock, self.behind),
            accounts=self.workshop.plans,
            paused=self._paused,
            stopping=self.executor.stopping,
            wake=self.dispatcher.wake,
            log=Silence(),
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
