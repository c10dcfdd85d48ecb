"""What every route answers with: JSON, and for each error its code, its next step and the status that fits it.

An error that is not foreseen is a fault of ours and is told as one; nothing is ever answered without a body.
"""

from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from comporta.errors import (
    ComportaError,
    DestinationRefused,
    Retryable,
    Unforeseen,
    UnknownAccount,
    WrongUse,
)
from comporta.errors_web import BadFields, BadRequest, ForeignRequest, NotNow, RequestRefused, UnknownRun

AGAIN_S = "1"
"""When to come again, for what may be done later."""
STATUS: Mapping[type[ComportaError], HTTPStatus] = {
    UnknownAccount: HTTPStatus.NOT_FOUND,
    UnknownRun: HTTPStatus.NOT_FOUND,
    WrongUse: HTTPStatus.UNPROCESSABLE_ENTITY,
    BadFields: HTTPStatus.UNPROCESSABLE_ENTITY,
    ForeignRequest: HTTPStatus.FORBIDDEN,
    NotNow: HTTPStatus.CONFLICT,
    RequestRefused: HTTPStatus.BAD_REQUEST,
    Retryable: HTTPStatus.SERVICE_UNAVAILABLE,
    DestinationRefused: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""The first that an error is one of counts; every other error is a fault of Comporta."""


def json(document: object, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Response:
    """Return a document as an answer; what people see of runs is never kept by a browser."""
    told = {"Cache-Control": "no-store", **(headers or {})}
    return Response(msgspec.json.encode(document), status, told, "application/json")


def well() -> Response:
    """Return the answer to what went well and has nothing to say."""
    return json({"ok": True})


def refusal(error: ComportaError, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error as an answer."""
    return json({"ok": False, "error": error.as_json()}, status, headers)


def refused(_: Request, error: Exception) -> Response:
    """Answer an error of ours."""
    assert isinstance(error, ComportaError)  # noqa: S101  what the handler is registered for
    return refusal_of(error)


def refusal_of(error: ComportaError) -> Response:
    """Return an error with its status: the sender's fault, a server that may do it later, or a fault of Comporta."""
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
    return refusal(error, status, {"Retry-After": AGAIN_S} if status is HTTPStatus.SERVICE_UNAVAILABLE else None)


def unserved(request: Request, error: Exception) -> Response:
    """Answer what no route takes, in our form."""
    assert isinstance(error, HTTPException)  # noqa: S101  what the handler is registered for
    known = BadRequest(f"{request.method} {request.url.path}: {error.detail}")
    return refusal(known, error.status_code, error.headers)


def unheard(_request: Request, _error: Exception) -> Response:
    """Answer nobody: who sent a part of a body and hung up sends it again."""
    return Response(status_code=HTTPStatus.BAD_REQUEST)


def unforeseen(_: Request, error: Exception) -> Response:
    """Answer a fault of ours."""
    known = Unforeseen(f"an error nobody foresaw: {type(error).__name__}: {error}")
    return refusal(known, HTTPStatus.INTERNAL_SERVER_ERROR)
