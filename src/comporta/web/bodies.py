"""Reading what is sent: a body within bounds, its fields and those of the query, all that is wrong with them at once.

A person mends what is named; to name one field at a time makes five tries of one.
"""

import asyncio
from collections.abc import Mapping
from difflib import get_close_matches
from http import HTTPStatus
from typing import TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request

from comporta.errors_web import BadFields, BadRequest

BODY_MAX = 64 * 1024
"""Bytes. A notification has some four hundred."""
BODY_WAIT_S = 10.0
"""Whoever sends a body more slowly than this keeps a connection for nothing."""
SHOWN_MAX = 100
"""Letters of what was sent that a message repeats."""
S = TypeVar("S", bound=msgspec.Struct)


async def read_body(request: Request) -> bytes:
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


async def read_json(request: Request, form: type[S]) -> S:
    """Return what a body says; no body says nothing. Anything but JSON is refused: other pages may send that."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Content-Type is {kind[:SHOWN_MAX]!r}; expected application/json"
        )
    body = await read_body(request)
    try:
        told = msgspec.json.decode(body or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f"{request.method} {request.url.path}: the body is not JSON: {error}"
        raise BadRequest(message, next_step=BadFields.next_step) from error
    if not isinstance(told, dict):
        raise BadFields(f"{request.method} {request.url.path}: the body is a {type(told).__name__}; expected an object")
    return fields_of(told, form, where=f"{request.method} {request.url.path}", is_text=False)


def read_query(request: Request, form: type[S]) -> S:
    """Return what a query says."""
    where = f"{request.method} {request.url.path}"
    return fields_of(dict(request.query_params), form, where=where, is_text=True)


def fields_of(told: Mapping[str, object], form: type[S], *, where: str, is_text: bool) -> S:
    """Return the fields as values; ``BadFields`` names everything that is wrong. ``is_text``: numbers come as text."""
    known = {field.name: field for field in msgspec.structs.fields(form)}
    problems = [_unknown(name, known) for name in told if name not in known]
    values: dict[str, object] = {}
    for name, field in known.items():
        if name in told:
            try:
                values[name] = msgspec.convert(told[name], field.type, strict=not is_text)
            except msgspec.ValidationError as error:
                problems.append(f"{name} is {_shown(told[name])}: {error}")
        elif field.required:
            problems.append(f"{name} is missing")
    if problems:
        raise BadFields(f"{where}: {'; '.join(problems[:10])}")
    return form(**values)


def _unknown(name: str, known: Mapping[str, object]) -> str:
    near = get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known) or 'none'}"
    return f"there is no {_shown(name)}; {hint}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_MAX else text[:SHOWN_MAX] + "…"
