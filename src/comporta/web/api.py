"""The API of runs: one table of operations, from which the routes and /openapi.json are both made.

An operation reads what was sent, asks the reception, and answers with its document. It decides nothing.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from comporta.web import answered
from comporta.web.answers import json
from comporta.web.asked import (
    AskedNothing,
    AskedRelease,
    AskedRuns,
    CoverageQuery,
    LogQuery,
    RunsQuery,
    StreamsQuery,
)
from comporta.web.away import Trouble, expect_database, unless_away
from comporta.web.bodies import read_json, read_query
from comporta.web.broadcast import Broadcast
from comporta.web.doors import Document, Reception
from comporta.web.event_stream import EventStream

ROOT = "/api/v1"


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that may be asked. ``refusals`` are the statuses beside those that all may have."""

    method: str
    path: str
    name: str
    summary: str
    answer: type[msgspec.Struct]
    perform: Callable[[Reception, Request], Coroutine[Any, Any, Document]]
    query: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    status: HTTPStatus = HTTPStatus.OK
    refusals: Sequence[int] = ()


async def _ask(reception: Reception, request: Request) -> Document:
    return {"runs": await reception.ask(await read_json(request, AskedRuns))}


async def _runs(reception: Reception, request: Request) -> Document:
    return {"runs": await reception.runs(read_query(request, RunsQuery))}


async def _run(reception: Reception, request: Request) -> Document:
    return {"run": await reception.run(request.path_params["id"])}


async def _log(reception: Reception, request: Request) -> Document:
    run_id = request.path_params["id"]
    return {"run": run_id, "lines": await reception.log(run_id, read_query(request, LogQuery).after)}


async def _cancel(reception: Reception, request: Request) -> Document:
    await read_json(request, AskedNothing)
    return {"run": await reception.cancel(request.path_params["id"])}


async def _accounts(reception: Reception, _: Request) -> Document:
    return {"accounts": await reception.accounts()}


async def _streams(reception: Reception, request: Request) -> Document:
    return {"streams": await reception.streams(read_query(request, StreamsQuery).account)}


async def _coverage(reception: Reception, request: Request) -> Document:
    asked = read_query(request, CoverageQuery)
    return {"coverage": await reception.coverage(asked.account, asked.stream)}


async def _leases(reception: Reception, _: Request) -> Document:
    return {"leases": await reception.leases()}


async def _release(reception: Reception, request: Request) -> Document:
    account, stream = request.path_params["account"], request.path_params["stream"]
    asked = await read_json(request, AskedRelease)
    return {"released": await reception.release(account, stream, asked), "scope": f"{account}/{stream}"}


async def _limits(reception: Reception, _: Request) -> Document:
    return {"limits": await reception.limits()}


OPERATIONS = (
    Operation(
        "POST",
        "/runs",
        "askForRuns",
        "Queue runs, or join those that wait already; answers before they begin",
        answered.Runs,
        _ask,
        body=AskedRuns,
        status=HTTPStatus.ACCEPTED,
        refusals=(404, 422),
    ),
    Operation(
        "GET",
        "/runs",
        "listRuns",
        "The last runs, newest first",
        answered.Runs,
        _runs,
        RunsQuery,
        None,
        HTTPStatus.OK,
        (422,),
    ),
    Operation("GET", "/runs/{id}", "showRun", "One run", answered.OneRun, _run, refusals=(404,)),
    Operation(
        "GET",
        "/runs/{id}/log",
        "showLog",
        "What a run did, step by step",
        answered.Log,
        _log,
        LogQuery,
        refusals=(404, 422),
    ),
    Operation(
        "POST",
        "/runs/{id}/cancel",
        "cancelRun",
        "Cancel a run that waits, or ask one that runs to end after its batch",
        answered.OneRun,
        _cancel,
        body=AskedNothing,
        status=HTTPStatus.ACCEPTED,
        refusals=(404, 409, 422),
    ),
    Operation("GET", "/accounts", "listAccounts", "The accounts and their streams", answered.Accounts, _accounts),
    Operation(
        "GET",
        "/streams",
        "listStreams",
        "Where every stream stands",
        answered.Streams,
        _streams,
        StreamsQuery,
        refusals=(404, 422),
    ),
    Operation(
        "GET",
        "/coverage",
        "showCoverage",
        "Which source time of a stream is covered, and the holes",
        answered.Coverage,
        _coverage,
        CoverageQuery,
        refusals=(404, 422),
    ),
    Operation("GET", "/leases", "listLeases", "Who holds which stream", answered.Leases, _leases),
    Operation(
        "POST",
        "/leases/{account}/{stream}/release",
        "releaseLease",
        "Free a stream: whoever held it can write nothing more",
        answered.Released,
        _release,
        body=AskedRelease,
        refusals=(404, 409, 422),
    ),
    Operation("GET", "/limits", "listLimits", "How the budget of each account stands", answered.Limits, _limits),
)


def api_routes(reception: Reception, broadcast: Broadcast, trouble: Trouble) -> list[Route]:
    """Return the routes."""
    paths: dict[str, dict[str, Operation]] = {}
    for each in OPERATIONS:
        paths.setdefault(each.path, {})[each.method] = each
    routes = [
        Route(ROOT + path, _endpoint(reception, trouble, by_method), methods=list(by_method))
        for path, by_method in paths.items()
    ]
    return [*routes, Route(f"{ROOT}/events", _listen(broadcast, trouble), methods=["GET"])]


def _endpoint(
    reception: Reception, trouble: Trouble, by_method: Mapping[str, Operation]
) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def endpoint(request: Request) -> Response:
        operation = by_method["GET" if request.method == "HEAD" else request.method]
        writes = operation.method != "GET"
        document = await unless_away(lambda: operation.perform(reception, request), trouble, writes=writes)
        return json({"ok": True, **document}, operation.status)

    return endpoint


def _listen(broadcast: Broadcast, trouble: Trouble) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def listen(request: Request) -> Response:
        expect_database(trouble)
        if request.method == "HEAD":
            return Response(headers={"Cache-Control": "no-store"}, media_type="text/event-stream")
        return EventStream(broadcast, request.headers.get("last-event-id"))

    return listen
