"""The routes: a notification is answered when it is committed, before anything is fetched because of it.

Nothing here knows which sources there are: each hook is handed in with what reads its bodies. Every answer that is not
well is our error as JSON, also for what nobody foresaw.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from comporta.core.notification import Notification
from comporta.errors import ComportaError, DestinationBusy, DestinationRefused, Retryable, Unforeseen
from comporta.errors_web import BadRequest, RequestRefused
from comporta.observability.meter import UNMEASURED, Meter
from comporta.observability.metrics import CONTENT_TYPE
from comporta.web.timed import Timed

BODY_MAX = 64 * 1024
"""Bytes. A notification has some four hundred."""
BODY_WAIT_S = 10.0
"""Whoever sends a body more slowly than this keeps a connection for nothing."""
LOOK_WAIT_S = 2.0
"""A database that takes longer to answer a look into it is not ready."""
AGAIN_S = "1"
"""When to come again, for those who look."""


async def _nothing_measured() -> bytes:
    return b""


@dataclass(frozen=True, slots=True)
class Doors:
    """What the routes lead to. ``hooks`` read a body, by source; ``post`` returns when a notification is committed.

    ``look`` returns when the database has answered; ``measure`` returns all metrics as text.
    """

    hooks: Mapping[str, Callable[[bytes], Notification]]
    post: Callable[[Notification], Awaitable[None]]
    look: Callable[[], Awaitable[None]]
    measure: Callable[[], Awaitable[bytes]] = _nothing_measured
    meter: Meter = UNMEASURED


def make_app(doors: Doors) -> Starlette:
    """Return the application."""

    async def hook(request: Request) -> Response:
        read = doors.hooks.get(request.path_params["source"])
        if read is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        await doors.post(read(await _body(request)))
        return _well()

    async def live(_: Request) -> Response:
        return _well()

    async def ready(_: Request) -> Response:
        try:
            await asyncio.wait_for(doors.look(), LOOK_WAIT_S)
        except TimeoutError as error:
            raise DestinationBusy(f"the database did not answer within {LOOK_WAIT_S:g} s") from error
        return _well()

    async def metrics(_: Request) -> Response:
        return Response(await doors.measure(), headers={"Content-Type": CONTENT_TYPE})

    return Starlette(
        routes=[
            Route("/hooks/{source}", hook, methods=["POST"]),
            Route("/health/live", live, methods=["GET"]),
            Route("/health/ready", ready, methods=["GET"]),
            Route("/metrics", metrics, methods=["GET"]),
        ],
        middleware=[Middleware(Timed, meter=doors.meter)],
        exception_handlers={
            ComportaError: _refused,
            HTTPException: _unserved,
            ClientDisconnect: _unheard,
            Exception: _unforeseen,
        },
    )


async def _body(request: Request) -> bytes:
    """Return the body; one that is too long is not read to its end, whatever its length was said to be."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_WAIT_S):
            async for part in request.stream():
                body += part
                if len(body) > BODY_MAX:
                    raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    except TimeoutError as error:
        raise HTTPException(HTTPStatus.REQUEST_TIMEOUT) from error
    return bytes(body)


def _well() -> Response:
    return JSONResponse({"ok": True})


def _error(error: ComportaError, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"ok": False, "error": error.as_json()}, status, headers)


def _refused(_: Request, error: Exception) -> Response:
    """Answer an error of ours: the sender's fault, a database that may do it later, or a fault of Comporta."""
    if isinstance(error, RequestRefused):
        return _error(error, HTTPStatus.BAD_REQUEST)
    if isinstance(error, Retryable | DestinationRefused):
        return _error(error, HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": AGAIN_S})
    assert isinstance(error, ComportaError)  # noqa: S101  what the handler is registered for
    return _error(error, HTTPStatus.INTERNAL_SERVER_ERROR)


def _unserved(request: Request, error: Exception) -> Response:
    """Answer what no route takes, in our form."""
    assert isinstance(error, HTTPException)  # noqa: S101  what the handler is registered for
    known = BadRequest(f"{request.method} {request.url.path}: {error.detail}")
    return _error(known, error.status_code, error.headers)


def _unheard(_request: Request, _error: Exception) -> Response:
    """Answer nobody: who sent a part of a body and hung up sends it again."""
    return Response(status_code=HTTPStatus.BAD_REQUEST)


def _unforeseen(_: Request, error: Exception) -> Response:
    known = Unforeseen(f"an error nobody foresaw: {type(error).__name__}: {error}")
    return _error(known, HTTPStatus.INTERNAL_SERVER_ERROR)
