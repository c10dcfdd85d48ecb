"""An answer while the database is away: at once and with the reason, as soon as anybody here knows it.

Runs wait for a database that restarts, half a minute of it; a person who asks does not. Whatever was begun to be
written is waited for all the same: who is told that nothing was kept must be able to believe it.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from comporta.errors import ComportaError

LOOK_S = 0.5
"""How often it is looked whether the database is away, while it is waited for."""
Trouble = Callable[[], ComportaError | None]
T = TypeVar("T")


async def unless_away(work: Callable[[], Coroutine[Any, Any, T]], trouble: Trouble, *, writes: bool) -> T:
    """Return what comes of the work, unless the database is known to be away."""
    expect_database(trouble)
    working = asyncio.ensure_future(work())
    try:
        while not (await asyncio.wait({working}, timeout=LOOK_S))[0]:
            if not writes:
                expect_database(trouble)
        return working.result()
    finally:
        working.cancel()


def expect_database(trouble: Trouble) -> None:
    """Raise why the database cannot be reached, where that is known."""
    error = trouble()
    if error is not None:
        raise error.with_traceback(None)  # the same for everybody who asks
