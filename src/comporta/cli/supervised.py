"""Telling the system's service manager how we are: ready, alive, about to end (systemd's notify protocol).

A datagram of a few words to the socket that NOTIFY_SOCKET names; where there is none, nobody asked and nothing is said.
"Alive" is said only by an event loop that turns, and after the database has answered: what hangs falls silent, and is
started anew by whoever listens. A database that is away counts as silence too, so the patience (WatchdogSec) should be
longer than it takes to restart one.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from comporta.coordination.sleeping import slept
from comporta.errors import DestinationRefused, Retryable
from comporta.ports.clock import Clock
from comporta.settings.reading import read_supervision


@dataclass(frozen=True, slots=True)
class Supervisor:
    """Whoever started us and wants to hear; ``every`` is how often, ``None`` where being alive interests nobody."""

    address: str | None = None
    every: timedelta | None = None

    def tell(self, state: str) -> None:
        """Say it; whoever is not there any more needs no words."""
        family = getattr(socket, "AF_UNIX", None)
        if self.address is None or family is None:
            return
        name = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sender:
            sender.settimeout(0)  # who does not take it at once is not waited for
            sender.sendto(state.encode(), name)

    async def watch(self, look: Callable[[], Awaitable[object]], *, stopping: asyncio.Event, clock: Clock) -> None:
        """Say that we are ready, then again and again that we are alive, and at last that we end."""
        self.tell("READY=1")
        try:
            while self.every is not None and not stopping.is_set():
                with suppress(Retryable, DestinationRefused):
                    await look()
                    self.tell("WATCHDOG=1")
                await slept(clock, self.every, stopping)
            await stopping.wait()
        finally:
            self.tell("STOPPING=1")


def supervisor() -> Supervisor:
    """Return who started us, as the environment tells."""
    return Supervisor(*read_supervision())
