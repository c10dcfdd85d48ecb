"""Processes that share a database file, each with an executor and a heartbeat that beats fast.

A heartbeat is a real thread: its lease is set so short that it looks a hundred times a second, while the
lease itself runs out only when the fake clock is moved.
"""

import asyncio
from datetime import timedelta

from tests.engine.workshop import ORDERS, Workshop

from comporta.coordination.execute import Executor
from comporta.coordination.legacy_locks import Denied
from comporta.core.run import Run, RunState, Trigger
from comporta.core.ticket import Ticket
from comporta.core.window import Kind, Request
from comporta.ports.store import Occupied
from comporta.testing import Turn

FAST = timedelta(milliseconds=30)


async def queue(workshop: Workshop, kind: Kind = Kind.INCREMENTAL) -> Run:
    """Queue a run of the account ``matriz``."""
    return await workshop.store.enqueue(Ticket("matriz", ORDERS, Request(kind), Trigger.MANUAL))


def start(workshop: Workshop, run: Run, executor: Executor | None = None) -> "asyncio.Task[Run | Occupied | Denied]":
    """Begin to execute a queued run under a fast heartbeat."""
    account = workshop.plans.get("matriz") or workshop.account()
    executor = executor or workshop.executor(lease=FAST)
    return asyncio.ensure_future(executor.execute(run, account, account.streams[run.stream]))


async def started(
    workshop: Workshop, turn: Turn, executor: Executor | None = None
) -> "asyncio.Task[Run | Occupied | Denied]":
    """Begin a run and return when it has come to ``turn``, where it hangs."""
    task = start(workshop, await queue(workshop), executor)
    await turn.reached.wait()
    return task


async def ended(task: "asyncio.Task[Run | Occupied | Denied]") -> Run:
    """Wait for a run to end and return it."""
    run = await task
    assert isinstance(run, Run)
    return run


async def successor_of(workshop: Workshop) -> Run | None:
    """Return the one run that waits in the queue, if any."""
    waiting = await workshop.store.runs(state=RunState.QUEUED)
    assert len(waiting) <= 1
    return waiting[0] if waiting else None
