"""The sign of life of a server: a row that says what it does and when it was seen last.

Nothing is decided by it; leases are. It is how people, and alerts, see that a scheduler died without a word.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta

import comporta
from comporta.coordination.sleeping import slept
from comporta.errors import ComportaError
from comporta.observability.log import Log
from comporta.ports.clock import Clock
from comporta.ports.store import Store

EVERY = timedelta(seconds=10)
SEEN_WITHIN = timedelta(minutes=2)
"""A server that was not seen for longer is taken for dead."""


class Pulse:
    """Says that a process is alive until it is told to stop, and then that it ended as it should."""

    def __init__(
        self, *, store: Store, clock: Clock, instance: str, roles: str, stopping: asyncio.Event, log: Log
    ) -> None:
        self._store = store
        self._clock = clock
        self._instance = instance
        self._roles = roles
        self._stopping = stopping
        self._log = log

    async def run(self) -> None:
        """Beat until told to stop."""
        while not self._stopping.is_set():
            try:
                await self._store.beat(self._instance, roles=self._roles, version=comporta.__version__)
            except ComportaError as error:
                self._log.write("error", "beat_failed", {"code": error.code, "message": error.message})
            await slept(self._clock, EVERY, self._stopping)
        with suppress(ComportaError):
            await self._store.leave(self._instance)
