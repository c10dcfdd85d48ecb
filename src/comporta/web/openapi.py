"""/openapi.json, made from the table of operations and the classes of what is asked and answered.

Nothing is written twice: a route that is not in the table is not served, a field that is not in a class is not read.
"""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from comporta import __version__
from comporta.web import answered
from comporta.web.api import OPERATIONS, ROOT, Operation

REFERENCE = "#/components/schemas/{name}"
EVENTS = (answered.RunEvent, answered.LogEvent, answered.ResetEvent)
ALWAYS = (400, 403, 503)
"""What any request may be answered: a request that is none, a foreign one, a database that is busy."""

WITH_BODY = (408, 413, 415)
"""What may become of a body before it is read: it comes too slowly, it is too long, it is no JSON."""


def openapi() -> dict[str, Any]:
    """Return the document."""
    types = list(dict.fromkeys(each for operation in OPERATIONS for each in _types(operation)))
    known = [*types, answered.Refusal, *EVENTS]
    found, parts = msgspec.json.schema_components(known, ref_template=REFERENCE)
    schemas = dict(zip(known, found, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for each in OPERATIONS:
        paths.setdefault(ROOT + each.path, {})[each.method.lower()] = _operation(each, schemas, parts)
    paths[f"{ROOT}/events"] = {"get": _events(schemas)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Comporta: the API of runs", "version": __version__},
        "paths": paths,
        "components": {"schemas": {name: _opened(part) for name, part in sorted(parts.items())}},
    }


def _types(operation: Operation) -> Sequence[type[msgspec.Struct]]:
    return [each for each in (operation.answer, operation.query, operation.body) if each is not None]


def _operation(
    each: Operation, schemas: Mapping[Any, Mapping[str, Any]], parts: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    told: dict[str, Any] = {"operationId": each.name, "summary": each.summary}
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", each.path)
    ]
    if each.query is not None:
        form = parts[each.query.__name__]
        required = form.get("required", [])
        parameters += [
            {"name": name, "in": "query", "required": name in required, "schema": schema}
            for name, schema in form["properties"].items()
        ]
    if parameters:
        told["parameters"] = parameters
    if each.body is not None:
        is_needed = bool(parts[each.body.__name__].get("required"))
        told["requestBody"] = {"required": is_needed, "content": _content(schemas[each.body])}
    statuses = sorted({*ALWAYS, *(WITH_BODY if each.body is not None else ()), *each.refusals})
    refusals = {str(status): _answer(status, schemas[answered.Refusal]) for status in statuses}
    told["responses"] = {str(int(each.status)): _answer(each.status, schemas[each.answer]), **refusals}
    return told


def _events(schemas: Mapping[Any, Mapping[str, Any]]) -> dict[str, Any]:
    last = {"name": "Last-Event-ID", "in": "header", "required": False, "schema": {"type": "string"}}
    content = {"text/event-stream": {"schema": {"type": "string"}, "x-events": [schemas[each] for each in EVENTS]}}
    return {
        "operationId": "listen",
        "summary": "What happens to runs, as server-sent events; goes on after Last-Event-ID where it can",
        "parameters": [last],
        "responses": {
            "200": {"description": "A stream that does not end", "content": content},
            **{str(status): _answer(status, schemas[answered.Refusal]) for status in ALWAYS[1:]},
        },
    }


def _answer(status: int, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": HTTPStatus(status).phrase, "content": _content(schema)}


def _content(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _opened(part: Mapping[str, Any]) -> dict[str, Any]:
    """Leave room for fields of later releases in answers; what is asked is taken at its word."""
    name = str(part.get("title", ""))
    is_asked = name.startswith("Asked") or name.endswith("Query")
    return {key: value for key, value in part.items() if is_asked or key != "additionalProperties"}
