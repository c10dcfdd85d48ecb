"""How long answers took, by the pattern of their route: `/hooks/{source}`, never the path that somebody made up.

An answer that goes on, such as a stream of events, is measured until its beginning.
"""

from asyncio import get_running_loop

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from comporta.observability.meter import Meter

UNROUTED = "none"
"""The route of what no route takes."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Timed:
    """Wraps an application and tells a meter how long it took to answer."""

    def __init__(self, app: ASGIApp, meter: Meter) -> None:
        self._app = app
        self._meter = meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and measure until the answer begins."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        clock = get_running_loop().time
        began = clock()

        async def telling(message: Message) -> None:
            if message["type"] == "http.response.start":
                method = scope["method"] if scope["method"] in METHODS else "other"
                route = getattr(scope.get("route"), "path", UNROUTED)
                labels = {"method": method, "route": route, "status": str(message["status"])}
                self._meter.observe("comporta_http_request_duration_seconds", clock() - began, **labels)
            await send(message)

        await self._app(scope, receive, telling)
