"""The connections of a process: two pools, whatever the number of accounts.

One for what goes through the proxies of the environment, and one for loopback, which never does. A client of its
own for each account would cost 5 ms of CPU and 100 kB (measured; it reads the machine's certificates), five
seconds and 100 MB for a thousand accounts, and accounts at one host could not share a connection.
Nothing of an account is kept here: a client sends the headers it is given, has no cookies, and follows no
redirect.

**The end of the process.** The library answers from a thread of its own, which may still hold Python objects when the
last answer has been used, and the interpreter aborts if it ends meanwhile (``PyGILState_Release: thread state must
be current``; of 960 short processes on a busy machine 23). So the process waits a moment before it ends.
"""

import atexit
import threading
from contextlib import suppress
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from comporta import __version__

if TYPE_CHECKING:
    from pyreqwest.client import Client, ClientBuilder

CONNECT_TIMEOUT = timedelta(seconds=10)
IDLE_MAX = timedelta(seconds=20)
"""Idle connections are dropped before proxies drop theirs (Odoo's nginx: 65 s), which would look like a reset."""
LAST_S = 0.02
"""How long the library's thread has for its last words; it needs microseconds of a core."""


@cache
def _loaded() -> "type[ClientBuilder]":
    """Import the library, once in a process."""
    from pyreqwest.client import ClientBuilder  # noqa: PLC0415 - 20 ms, paid with the first request

    atexit.register(_last_words)
    return ClientBuilder


def _last_words() -> None:
    with suppress(KeyboardInterrupt):  # all is done by now, and the process ends anyway
        threading.Event().wait(LAST_S)


class Connections:
    """Clients made when they are needed; after ``aclose`` they are made anew."""

    def __init__(self) -> None:
        self._clients: dict[bool, Client] = {}

    def client(self, *, is_direct: bool) -> "Client":
        """Return the client for loopback, or for everything else."""
        if is_direct not in self._clients:
            builder = (
                _loaded()()
                .user_agent(f"comporta/{__version__}")
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_idle_timeout(IDLE_MAX)
                .follow_redirects(False)  # noqa: FBT003 - the library's own signature
                .referer(False)  # noqa: FBT003  their signature
            )
            self._clients[is_direct] = (builder.no_proxy() if is_direct else builder).build()
        return self._clients[is_direct]

    async def aclose(self) -> None:
        """Close the connections."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.close()
