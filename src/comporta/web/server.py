"""The server's sockets: uvicorn as a part of this process, which ends it and takes the signals itself.

Left to itself uvicorn waits for open streams for as long as they live, and takes the process's signals. So it is
started through its API, told to end by ``stop``, and given three seconds for what is under way.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address

import uvicorn
from starlette.types import ASGIApp

from comporta.errors import WrongUse

GRACE_S = 3
"""For answers that are under way when the server is told to end."""
IDLE_S = 75
"""How long a connection is kept that nobody uses: longer than the proxies before us keep theirs."""
CONNECTIONS_MAX = 1_000
"""More connections at once are answered 503; each takes some ten kilobytes."""
BACKLOG = 512


class Server:
    """One listening address. It takes connections from the moment it is made, and answers them in ``run``.

    ``option`` is the one by which another port is chosen.
    """

    def __init__(self, app: ASGIApp, *, host: str, port: int, option: str = "--port") -> None:
        self._socket = listen(host, port, option)
        self._server = _Uvicorn(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                backlog=BACKLOG,
                limit_concurrency=CONNECTIONS_MAX,
                timeout_keep_alive=IDLE_S,
                timeout_graceful_shutdown=GRACE_S,
            )
        )

    @property
    def url(self) -> str:
        """Return where it listens."""
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def run(self) -> None:
        """Answer until ``stop``."""
        await self._server.serve([self._socket])

    def stop(self) -> None:
        """Take no more connections, and end what is under way. Safe from signal handlers and threads."""
        self._server.should_exit = True

    def close(self) -> None:
        """Give the address back, for a server that never ran."""
        self._socket.close()


class _Uvicorn(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signals to whoever started us."""
        yield


def listen(host: str, port: int, option: str = "--port") -> socket.socket:
    """Return a listening socket; on loopback only, because nobody has to say who they are."""
    if not is_loopback(host):
        raise WrongUse(
            f"the host is {host!r}; until users exist the server answers on loopback only",
            next_step="Take 127.0.0.1 and put a reverse proxy before it (docs/howto/mercadolivre-notifications.md).",
        )
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        raise WrongUse(f"port {port} of {host}: {error}", next_step=f"Choose another {option}.") from error


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches an address.

    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "shop.example")]
    [True, True, True, False, False]
    """
    if host.lower() == "localhost":
        return True
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return False
