"""A process that sends requests within a budget, all that the test wants said as JSON in its one argument.

``mutant`` names a fault that the promise must not survive: ``early`` waits between the grant and the sending,
``alone`` shares the log with nobody, ``fixed`` counts in fixed windows.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from comporta.bootstrap.databases import open_budgets
from comporta.coordination import budgets as module
from comporta.coordination.budgets import SharedBudget, SharedBudgets
from comporta.core import limit as rules
from comporta.core.limit import LimitState, Plea, Verdict
from comporta.ports.budget import BudgetTerms
from comporta.ports.clock import Clock
from comporta.ports.progress import Priority, Progress
from comporta.ports.system_clock import SystemClock
from comporta.settings.reading import read_settings
from comporta.sources.answers import Answer, Ask, refusal
from comporta.sources.http import Transport
from comporta.testing import MemoryLog

AHEAD = 4
"""Streams of each process, one request in flight each: four processes have enough for a latency of three seconds."""


class EarlyBudget(SharedBudget):
    """The grant is recorded, then something is waited for: what a reservation does on a busy machine."""

    @asynccontextmanager
    async def turn(self, progress: Progress, subject: str) -> AsyncIterator[float]:
        async with super().turn(progress, subject) as waited_s:
            await asyncio.sleep(Random().uniform(0, 0.2))
            yield waited_s


def fixed_windows(state: LimitState, plea: Plea, now: float) -> tuple[LimitState, Verdict]:
    """Allow the limit in every whole second."""
    assert plea.limit is not None
    used = sum(count for at, count in state.stamps if at >= int(now))
    if used < plea.limit.requests:
        stamps = (*state.stamps[-10:], (now, 1))
        return replace(state, stamps=stamps), Verdict(is_granted=True, wait_s=0.0, limit=plea.limit)
    return state, Verdict(is_granted=False, wait_s=int(now) + 1 - now, limit=plea.limit)


def opened(told: dict[str, Any], clock: Clock) -> SharedBudgets:
    """Open the budgets, with the fault that is asked for."""
    log = open_budgets(read_settings(Path(told["config"])), clock)
    if told["mutant"] == "alone":
        log = MemoryLog(clock)
    if told["mutant"] == "early":
        module.SharedBudget = EarlyBudget  # type: ignore[misc]  # on purpose
    if told["mutant"] == "fixed":
        rules.ask = fixed_windows
    return SharedBudgets(log, clock)


async def main(told: dict[str, Any]) -> None:
    """Send ``requests`` to each of ``urls``, a budget of its own, as streams that take turns."""
    clock = SystemClock()
    budgets = opened(told, clock)
    terms = [BudgetTerms(url, rate=(told["limit"], timedelta(seconds=1))) for url in told["urls"]]
    transports = [Transport(clock, dice=Random(), budget=budgets.of(each)) for each in terms]

    def accept(answer: Answer) -> None:
        error = refusal(answer, subject="acme", expected="JSON", now=clock.now())
        if error is not None:
            raise error

    async def stream(transport: Transport, url: str, number: int) -> None:
        progress = Progress(clock, scope=f"acme/{number}", priority=Priority.SCHEDULE)
        for _ in range(told["requests"] // AHEAD):
            await transport.send(Ask("GET", url, "acme records: page"), progress, accept)

    print("ready", flush=True)  # noqa: T201  how it speaks with the test
    await asyncio.to_thread(sys.stdin.readline)
    try:
        pairs = zip(transports, told["urls"], strict=True)
        await asyncio.gather(*(stream(*each, number) for each in pairs for number in range(AHEAD)))
    finally:
        for transport in transports:
            await transport.aclose()
        await budgets.aclose()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
