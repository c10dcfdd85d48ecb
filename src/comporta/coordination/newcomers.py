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


class Newcomers:
    """Looks for other accounts until told to stop. ``look`` takes them up and returns their names."""

    def __init__(
        self, *, look: Callable[[], Awaitable[Sequence[str]]], clock: Clock, stopping: asyncio.Event, log: Log
    ) -> None:
        self._look = look
        self._clock = clock
        self._stopping = stopping
        self._log = log

    async def run(self) -> None:
        """Look every few seconds."""
        while await slept(self._clock, LOOK, self._stopping):
            try:
                names = await self._look()
            except ComportaError as error:
                self._log.write("error", "accounts_not_read", {"code": error.code, "message": error.message})
                continue
            if names:
                self._log.write("info", "accounts_changed", {"accounts": ", ".join(names)})
