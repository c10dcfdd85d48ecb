"""What lets a server take up accounts that come while it is at work, those that change, and those that go.

Here is only the waiting: what there is is looked for by who made the accounts when the process began. A look that
fails, or finds an account that is not whole, changes nothing; the server goes on with what it knows.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from comporta.coordination.sleeping import slept
from comporta.errors import ComportaError
from comporta.observability.log import Log
from comporta.ports.clock import Clock

LOOK = timedelta(seconds=5)
"""For so long a new account is unknown: a look is one small question to the database."""


async def watch_for_newcomers(
    look: Callable[[], Awaitable[Sequence[str]]], *, clock: Clock, stopping: asyncio.Event, log: Log
) -> None:
    """Look for other accounts every few seconds until told to stop; ``look`` takes them up and returns their names."""
    while await slept(clock, LOOK, stopping):
        try:
            names = await look()
        except ComportaError as error:
            log.write("error", "accounts_not_read", {"code": error.code, "message": error.message})
            continue
        if names:
            log.write("info", "accounts_changed", {"accounts": ", ".join(names)})
