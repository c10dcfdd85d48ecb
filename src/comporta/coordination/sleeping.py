"""Sleeping between two looks, and no longer than until the process is told to stop.

A loop that slept out its interval would hold up a shutdown for as long; each loop of a server sleeps here.
"""

import asyncio
from datetime import timedelta

from comporta.ports.clock import Clock


async def slept(clock: Clock, duration: timedelta, stopping: asyncio.Event) -> bool:
    """Sleep, and say whether nobody told us to stop meanwhile."""
    waiting = [asyncio.ensure_future(stopping.wait()), asyncio.ensure_future(clock.sleep(duration))]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
    return not stopping.is_set()
