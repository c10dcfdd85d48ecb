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


async def beat_until_stopped(
    store: Store, *, clock: Clock, instance: str, roles: str, stopping: asyncio.Event, log: Log
) -> None:
    """Say that a process is alive until it is told to stop, and then that it ended as it should."""
    while not stopping.is_set():
        try:
            await store.beat(instance, roles=roles, version=comporta.__version__)
        except ComportaError as error:
            log.write("error", "beat_failed", {"code": error.code, "message": error.message})
        await slept(clock, EVERY, stopping)
    with suppress(ComportaError):
        await store.leave(instance)
