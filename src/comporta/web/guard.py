"""Who may ask while nobody has to say who they are: this machine, by its own names, and no page of somebody else.

A page from the internet runs in a browser on this machine, so listening on loopback does not keep it out. It cannot
name us but by a host of its own (DNS rebinding: its Host is foreign) or by crossing over (its Origin is foreign).
Notifications and health checks come through a reverse proxy under its name, and tell or change nothing of value.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from comporta.errors_web import ForeignRequest
from comporta.web.answers import refused
from comporta.web.server import is_loopback

OPEN = ("/hooks/", "/health/")
"""The beginnings of the addresses that anybody may ask."""


class Guard:
    """Refuses what comes from elsewhere before any route sees it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a foreign request, or hand it on."""
        if scope["type"] == "http" and not scope["path"].startswith(OPEN):
            problem = foreign(Headers(scope=scope))
            if problem is not None:
                await refused(Request(scope), ForeignRequest(problem))(scope, receive, send)
                return
        await self._app(scope, receive, send)


def foreign(headers: Headers) -> str | None:
    """Say what is foreign about a request, ``None`` when nothing is."""
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    if len(hosts) != 1 or not is_ours(hosts[0]):
        return f"the Host of the request is {', '.join(hosts)[:200] or 'not said'}; expected this machine's own name"
    if any(origin != f"http://{hosts[0]}" for origin in origins):
        return f"the request comes from a page of {', '.join(origins)[:200]}; expected one of http://{hosts[0]}"
    return None


def is_ours(host: str) -> bool:
    """Say whether a Host header names this machine for itself.

    >>> [is_ours(host) for host in ("127.0.0.1:8000", "localhost", "[::1]:80", "shop.example", "127.0.0.1.x.example")]
    [True, True, True, False, False]
    """
    try:
        name = urlsplit(f"//{host}")
        return name.netloc == host and "@" not in host and is_loopback(name.hostname or "")
    except ValueError:
        return False
