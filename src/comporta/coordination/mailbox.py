"""The way in for notifications: what arrives together is kept in one transaction, and answered after it.

A sender waits half a second and no longer. So while one transaction is under way the next ones gather, however many;
who cannot be told in time that his is kept is told to come again, and so is everybody when too many wait.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from comporta.core.notification import Notification
from comporta.errors import ComportaError, DestinationBusy

PATIENCE = timedelta(milliseconds=400)
"""Mercado Livre gives up after 500 ms; the rest is for the way back."""
WAITING_MAX = 2_000
"""Ten seconds of the worst flood we know of; each takes a kilobyte."""
TOGETHER_MAX = 500
"""Notifications in one transaction: some ten milliseconds of writing."""


@dataclass(slots=True, eq=False)
class _Letter:
    told: Notification
    kept: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Mailbox:
    """Keeps notifications through ``keep``, and calls ``on_kept`` after each time."""

    def __init__(
        self,
        keep: Callable[[Sequence[Notification]], Awaitable[None]],
        *,
        on_kept: Callable[[], None] = lambda: None,
        patience: timedelta = PATIENCE,
    ) -> None:
        self._keep = keep
        self._on_kept = on_kept
        self._patience_s = patience.total_seconds()
        self._waiting: list[_Letter] = []
        self._emptying: asyncio.Task[None] | None = None

    async def post(self, told: Notification) -> None:
        """Return when the notification is committed; raise ``DestinationBusy`` if that takes too long."""
        if len(self._waiting) >= WAITING_MAX:
            raise DestinationBusy(f"{len(self._waiting)} notifications wait to be kept already; send this one again")
        letter = _Letter(told)
        self._waiting.append(letter)
        if self._emptying is None or self._emptying.done():
            self._emptying = asyncio.ensure_future(self._empty())
        await asyncio.wait({letter.kept}, timeout=self._patience_s)
        if letter.kept.done():
            return letter.kept.result()
        if letter in self._waiting:
            self._waiting.remove(letter)
        # If it is under way it may still be kept; sent again, it is the same one.
        letter.kept.cancel()
        raise DestinationBusy(f"a notification could not be kept within {self._patience_s:g} s; send it again")

    async def aclose(self) -> None:
        """Wait for what is being kept."""
        if self._emptying is not None:
            await asyncio.wait({self._emptying})

    async def _empty(self) -> None:
        while self._waiting:
            together, self._waiting = self._waiting[:TOGETHER_MAX], self._waiting[TOGETHER_MAX:]
            problem: ComportaError | None = None
            try:
                await self._keep([letter.told for letter in together])
            except ComportaError as error:
                problem = error
            for letter in together:
                _settle(letter, problem)
            if problem is None:
                self._on_kept()


def _settle(letter: _Letter, problem: ComportaError | None) -> None:
    if letter.kept.done():
        return
    if problem is None:
        letter.kept.set_result(None)
    else:
        letter.kept.set_exception(problem)
