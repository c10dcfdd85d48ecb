"""An answer for who still waits when the server ends: what is under way is cancelled after the server's patience.

Left to itself the server says 500 in plain text then. Whether what was asked was done nobody knows at that moment.
"""

from asyncio import CancelledError

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from comporta.errors_web import ServerEnds
from comporta.web.answers import refusal_of


class Ending:
    """Wraps an application and answers in its place where it is cancelled before it has begun to."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        has_begun = scope["type"] != "http"

        async def noting(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except CancelledError:
            if has_begun:
                raise
            what = f"{scope['method']} {scope['path']}"
            error = ServerEnds(f"{what}: the server was told to end, and it is not known whether this was done")
            await refusal_of(error)(scope, receive, send)
