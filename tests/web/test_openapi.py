"""What /openapi.json promises, and that every real answer keeps it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from tests.engine.workshop import ORDERS
from tests.web.office import Office, happened

from comporta.core.instant import parse_instant
from comporta.web import answered
from comporta.web.answers import STATUS
from comporta.web.api import OPERATIONS, ROOT, Operation
from comporta.web.app import make_app
from comporta.web.asked import AskedRuns, RunsQuery
from comporta.web.openapi import openapi

PAGE = Path(__file__).parents[2] / "docs/reference/http.md"
EVENTS = {"log": answered.LogEvent, "reset": answered.ResetEvent}
BODIES = {"askForRuns": {"account": "matriz", "stream": ORDERS}, "releaseLease": {"confirm": True}}
QUERIES = {"showCoverage": f"?account=matriz&stream={ORDERS}", "showLog": "?after=1", "listStreams": "?account=matriz"}


def references(part: object) -> Iterator[str]:
    """Yield every reference of a document."""
    if isinstance(part, dict):
        yield from ([part["$ref"]] if "$ref" in part else [])
        part = list(part.values())
    for each in part if isinstance(part, list) else []:
        yield from references(each)


def test_the_document_is_whole() -> None:
    """Nothing is referred to that is not there, no name is given twice."""
    document = openapi()
    schemas = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]

    assert document["openapi"].startswith("3.1.")
    assert set(references(document)) <= schemas
    assert len(set(names)) == len(names) == len(OPERATIONS) + 1
    for path, operations in document["paths"].items():
        for operation in operations.values():
            declared = {each["name"] for each in operation.get("parameters", []) if each["in"] == "path"}
            assert declared == set(re.findall(r"{(\w+)}", path))


async def test_every_route_is_in_it_and_nothing_else(office: Office) -> None:
    """A client that was made from it finds what it asks for."""
    answer = await office.ask("GET", "/openapi.json")
    routes = cast("Any", office.server)._server.config.app.routes
    served = {
        (method, route.path) for route in routes if route.path.startswith(ROOT) for method in route.methods - {"HEAD"}
    }

    assert answer.body == openapi()
    told = {(method.upper(), path) for path, each in answer.body["paths"].items() for method in each}
    assert told == served


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
async def test_every_answer_is_as_it_says(office: Office, operation: Operation) -> None:
    """Each field is there, of its type, and no other; with a run that has ended and one that waits."""
    office.workshop.source.stream(ORDERS).put(1, name="S1")
    ended = (await office.post("/runs", {"account": "matriz", "stream": ORDERS}))["runs"][0]["id"]
    await happened(office, ended, "succeeded")
    office.is_draining = False
    waiting = (await office.post("/runs", {"account": "filial", "stream": ORDERS}))["runs"][0]["id"]
    run_id = waiting if operation.name == "cancelRun" else ended
    path = operation.path.format(id=run_id, account="matriz", stream=ORDERS) + QUERIES.get(operation.name, "")
    answer = await office.ask(operation.method, ROOT + path, BODIES.get(operation.name))

    assert answer.status == operation.status, answer.body
    assert msgspec.to_builtins(msgspec.convert(answer.body, operation.answer)).keys() == answer.body.keys()


async def test_every_event_is_as_it_says(office: Office) -> None:
    """Of a run that is queued, works and ends."""
    listener = await office.listen()
    run_id = (await office.post("/runs", {"account": "matriz", "stream": ORDERS}))["runs"][0]["id"]
    ended = await listener.until("run_ended", id=run_id)

    for event in listener.heard:
        assert msgspec.convert(event.data, EVENTS.get(event.kind, answered.RunEvent)) is not None
    assert parse_instant(ended.data["run"]["finished_at"]) <= office.workspace.clock.now()


@pytest.mark.parametrize(
    ("method", "address", "body"),
    [
        ("POST", "/runs", {"account": "nobody"}),
        ("POST", "/runs", {}),
        ("POST", "/runs/none/cancel", {}),
        ("POST", "/leases/nobody/orders/release", {}),
        ("GET", "/runs/none", None),
        ("GET", "/runs/none/log", None),
        ("GET", "/runs?limit=0", None),
        ("GET", "/coverage", None),
        ("GET", "/coverage?account=nobody&stream=x", None),
        ("GET", "/streams?account=nobody", None),
    ],
)
async def test_every_refusal_is_foretold(office: Office, method: str, address: str, body: object) -> None:
    """Its status is in the document, its body of the form that is said there."""
    answer = await office.ask(method, ROOT + address, body)
    known = openapi()["paths"]
    found = next(
        each
        for told, each in known.items()
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", told), ROOT + address.partition("?")[0])
    )

    assert str(answer.status) in found[method.lower()]["responses"]
    assert not msgspec.convert(answer.body, answered.Refusal).ok


def test_whoever_sends_a_body_is_told_what_may_become_of_it() -> None:
    """Too slow, too long, of another type: that is decided before anything of the operation is known."""
    told = [each for path in openapi()["paths"].values() for each in path.values()]
    foretold = {each["operationId"] for each in told if {"408", "413", "415"} & set(each["responses"])}

    assert foretold == {each["operationId"] for each in told if "requestBody" in each}
    assert all({"408", "413", "415"} <= set(each["responses"]) for each in told if "requestBody" in each)


def test_the_page_names_every_address_field_and_event() -> None:
    """Who reads docs/reference/http.md needs no other document."""
    page = PAGE.read_text(encoding="utf-8")
    addresses = [ROOT + re.sub(r"{(\w)\w*}", lambda part: part[1].upper(), each.path) for each in OPERATIONS]
    addresses = [each.replace("/runs/I", "/runs/ID") for each in addresses]
    fields = [field.name for form in (AskedRuns, RunsQuery) for field in msgspec.structs.fields(form)]

    assert [each for each in [*addresses, f"{ROOT}/events"] if each not in page] == []
    assert [each for each in fields if f"`{each}`" not in page and f"{each}=" not in page] == []
    foretold = {
        int(status) for each in openapi()["paths"].values() for told in each.values() for status in told["responses"]
    }
    rows = {int(status) for row in re.findall(r"^\| ([\d, ]+) \|", page, re.MULTILINE) for status in row.split(", ")}
    assert rows == {*map(int, STATUS.values()), *foretold, 405, 500}


def test_there_is_no_api_without_a_reception() -> None:
    """Nor is anything taken without a hook: monitors may look, and that is all."""
    from comporta.web.doors import Doors

    nothing = cast("Any", None)
    routes = [cast("Any", route).path for route in make_app(Doors({}, nothing, nothing)).routes]

    assert routes == ["/health/live", "/health/ready", "/metrics"]
