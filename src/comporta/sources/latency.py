"""How long an account takes to answer, and how many requests under way that makes worth while.

The answer time is measured between a turn of the budget and its end, so that what waits for its turn does not count:
else waiting would make more wait.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from math import ceil

from comporta.core.rate import Rate
from comporta.ports.budget import Budget, BudgetState
from comporta.ports.clock import Clock
from comporta.ports.progress import Progress

WEIGHT = 0.2
"""Of the newest answer in the mean: some ten answers decide."""


def useful_requests(rate: Rate | None, latency_s: float, *, most: int) -> int:
    """Return how many requests keep a limit busy: those sent while one is answered, and the next.

    >>> useful_requests((5, timedelta(seconds=1)), 0.8, most=20), useful_requests(None, 0.8, most=20)
    (5, 20)
    """
    if rate is None:
        return most
    count, span = rate
    return max(1, min(most, ceil(latency_s * count / span.total_seconds()) + 1))


class TimedBudget:
    """A budget that also knows how long its requests take."""

    def __init__(self, budget: Budget, clock: Clock) -> None:
        self.latency_s = 0.0
        self._budget = budget
        self._clock = clock

    @property
    def rate(self) -> Rate | None:
        """Return the rate the budget goes by now."""
        return self._budget.rate

    @asynccontextmanager
    async def turn(self, progress: Progress, subject: str) -> AsyncIterator[float]:
        """Wait for a turn, and measure from there to its end."""
        async with self._budget.turn(progress, subject) as waited_s:
            began = self._clock.monotonic()
            try:
                yield waited_s
            finally:
                took_s = self._clock.monotonic() - began
                self.latency_s += (took_s - self.latency_s) * (WEIGHT if self.latency_s else 1.0)

    async def throttled(self, retry_after: timedelta | None, reason: str, *, age: timedelta = timedelta()) -> timedelta:
        """Tell that the source refused for the rate; return how long everybody pauses."""
        return await self._budget.throttled(retry_after, reason, age=age)

    async def state(self) -> BudgetState:
        """Return how the budget stands."""
        return await self._budget.state()
