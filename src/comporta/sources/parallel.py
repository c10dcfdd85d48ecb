"""Asking many small questions, several at a time.

The first that fails ends the rest, and nothing goes on in the background.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

K = TypeVar("K")
T = TypeVar("T")


async def side_by_side(look: Callable[[K], Awaitable[T]], keys: Sequence[K], *, width: int) -> list[T]:
    """Return what ``look`` says of each key, in order, ``width`` of them asked at once."""
    gate = asyncio.Semaphore(width)

    async def one(key: K) -> T:
        async with gate:
            return await look(key)

    looks = [asyncio.ensure_future(one(key)) for key in keys]
    try:
        return list(await asyncio.gather(*looks))
    finally:
        for each in looks:
            each.cancel()
        await asyncio.gather(*looks, return_exceptions=True)
