"""The routes: hooks, health, metrics, and the API of runs.

A notification is answered when it is committed, before anything is fetched because of it.
Nothing here knows which sources there are: each hook is handed in with what reads its bodies. Every answer that is not
well is our error as JSON, also for what nobody foresaw.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from http import HTTPStatus

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from comporta.errors import ComportaError, DestinationBusy
from comporta.observability.metrics import CONTENT_TYPE
from comporta.web.answers import refused, unforeseen, unheard, unserved, well
from comporta.web.api import api_routes
from comporta.web.away import expect_database
from comporta.web.bodies import read_body
from comporta.web.doors import Doors
from comporta.web.ending import Ending
from comporta.web.guard import Guard
from comporta.web.openapi import openapi
from comporta.web.timed import Timed

LOOK_WAIT_S = 2.0
"""A database that takes longer to answer a look into it is not ready."""


def make_app(doors: Doors) -> Starlette:
    """Return the application."""
    hooks = [Route("/hooks/{source}", _hook(doors), methods=["POST"])] if doors.hooks else []
    api: list[Route] = []
    if doors.reception is not None and doors.broadcast is not None:
        api = [
            *api_routes(doors.reception, doors.broadcast, doors.trouble),
            Route("/openapi.json", _described, methods=["GET"]),
        ]
    return Starlette(
        routes=[*hooks, *_looks(doors), *api],
        middleware=[Middleware(Timed, meter=doors.meter), Middleware(Ending), Middleware(Guard)],
        exception_handlers={
            ComportaError: refused,
            HTTPException: unserved,
            ClientDisconnect: unheard,
            Exception: unforeseen,
        },
    )


def _hook(doors: Doors) -> Callable[[Request], Awaitable[Response]]:
    async def hook(request: Request) -> Response:
        read = doors.hooks.get(request.path_params["source"])
        if read is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        await doors.post(read(await read_body(request)))
        return well()

    return hook


def _looks(doors: Doors) -> Sequence[Route]:
    """Return the routes by which a monitor looks."""

    async def live(_: Request) -> Response:
        return well()

    async def ready(_: Request) -> Response:
        expect_database(doors.trouble)
        try:
            await asyncio.wait_for(doors.look(), LOOK_WAIT_S)
        except TimeoutError as error:
            raise DestinationBusy(f"the database did not answer within {LOOK_WAIT_S:g} s") from error
        return well()

    async def metrics(_: Request) -> Response:
        return Response(await doors.measure(), headers={"Content-Type": CONTENT_TYPE})

    looks = {"/health/live": live, "/health/ready": ready, "/metrics": metrics}
    return [Route(path, look, methods=["GET"]) for path, look in looks.items()]


async def _described(_: Request) -> Response:
    return Response(_document(), media_type="application/json")


@cache
def _document() -> bytes:
    """Return /openapi.json, made when it is first asked for."""
    return msgspec.json.encode(openapi())
