"""The pace of one account's requests: at most so many in any span of time, stamped when they are sent.

It knows this process only. Budgets that several processes share are another matter.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from comporta.ports.clock import Clock
from comporta.ports.progress import Progress

Limit = tuple[int, timedelta]
STRETCH = 1.01
"""How much longer the span is taken than it is: requests that leave in time may arrive closer together."""


class Pace:
    """A gate that every request of an account passes; ``is_sequential`` allows one in flight."""

    def __init__(self, clock: Clock, *, limit: Limit | None = None, is_sequential: bool = False) -> None:
        self._clock = clock
        self._limit = limit
        self._stamps: deque[float] = deque(maxlen=limit[0] if limit else 1)
        self._door = asyncio.Lock()
        self._line = asyncio.Lock() if is_sequential else None

    @asynccontextmanager
    async def turn(self, progress: Progress, subject: str) -> AsyncIterator[float]:
        """Wait until a request may be sent, and give the seconds waited; leave when it is answered."""
        came = self._clock.monotonic()
        if self._line is None:
            await self._pass(progress, subject)
            yield self._clock.monotonic() - came
            return
        async with self._line:
            await self._pass(progress, subject)
            yield self._clock.monotonic() - came

    async def _pass(self, progress: Progress, subject: str) -> None:
        if self._limit is None:
            return
        count, span = self._limit
        async with self._door:
            while (
                len(self._stamps) == count
                and (wait := self._stamps[0] + span.total_seconds() * STRETCH - self._clock.monotonic()) > 0
            ):
                progress.wait(wait, f"{subject}: the limit of {count} requests in {span.total_seconds():g} s")
                await self._clock.sleep(timedelta(seconds=wait))
            self._stamps.append(self._clock.monotonic())
