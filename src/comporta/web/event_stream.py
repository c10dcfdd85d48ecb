"""One listener's stream of events: server-sent events until he goes, falls too far behind, or the server ends.

A send that is not taken within its time means a listener who does not read: the connection is cut, and he comes back
with the id of his last event. Nothing is kept for him but his place.
"""

import asyncio
from contextlib import suppress
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from comporta.web.broadcast import Broadcast

HEARTBEAT_S = 10.0
"""A comment this often keeps proxies from ending an idle stream, and finds listeners who are gone."""
SEND_WAIT_S = 20.0
TOGETHER_MAX = 100
"""Events in one send."""
AGAIN_MS = 1_000
"""When a browser comes back after the stream ended."""
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class EventStream(Response):
    """An answer that goes on."""

    def __init__(self, broadcast: Broadcast, last_id: str | None) -> None:
        super().__init__()
        self._broadcast = broadcast
        self._last_id = last_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  an ASGI application's signature
        """Send events."""
        gone = asyncio.ensure_future(_gone(receive))
        try:
            async with self._broadcast.listening(gone) as has_room:
                if not has_room:
                    raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "too many listen already")
                with suppress(TimeoutError):
                    await self._go(gone, send)
        finally:
            gone.cancel()

    async def _go(self, gone: "asyncio.Future[None]", send: Send) -> None:
        broadcast = self._broadcast
        await send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": HEADERS})
        place, reason = broadcast.place(self._last_id)
        first = broadcast.reset(place, reason) if reason else b": go on\n\n"
        await _send(send, b"retry: %d\n" % AGAIN_MS + first)
        while not gone.done() and not broadcast.closed.is_set():
            news = broadcast.news
            if not broadcast.is_held(place):
                break
            if events := broadcast.after(place)[:TOGETHER_MAX]:
                place = events[-1][0]
                await _send(send, b"".join(each for _, each in events))
            elif not await _happened(gone, news, broadcast.closed):
                await _send(send, b": still here\n\n")
        await _send(send, b"", more=False)


async def _send(send: Send, part: bytes, *, more: bool = True) -> None:
    async with asyncio.timeout(SEND_WAIT_S):
        await send({"type": "http.response.body", "body": part, "more_body": more})


async def _happened(gone: "asyncio.Future[None]", *events: asyncio.Event) -> bool:
    """Wait for any of these; say whether it came before the next heartbeat."""
    waiting = [asyncio.ensure_future(_set(each)) for each in events]
    try:
        done, _ = await asyncio.wait([gone, *waiting], timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
    return bool(done)


async def _set(event: asyncio.Event) -> None:
    await event.wait()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
