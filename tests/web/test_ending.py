"""What is under way when the server ends: it is answered in our form, unless its answer has begun."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import Message, Receive, Scope, Send

from comporta.web.ending import Ending

SCOPE = {"type": "http", "method": "POST", "path": "/api/v1/runs", "headers": [], "query_string": b"", "root_path": ""}


async def cancelled(app: Callable[[Scope, Receive, Send], Awaitable[None]], scope: Scope) -> list[Message]:
    """Ask an application, cancel it while it waits, and return what was sent."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    asking = asyncio.ensure_future(Ending(app)(scope, receive, send))
    await asyncio.sleep(0)
    asking.cancel()
    await asking
    return sent


async def hangs(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Wait for a database that does not answer."""
    await asyncio.Event().wait()


async def streams(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Begin, and go on for ever."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await asyncio.Event().wait()


async def test_who_waits_is_told_that_the_server_ends() -> None:
    """With a code and a next step, and that it may be asked again: not 500 in plain text."""
    start, body = await cancelled(hangs, SCOPE)
    error = json.loads(body["body"])["error"]

    assert start["status"] == 503
    assert (b"retry-after", b"1") in start["headers"]
    assert error["code"] == "CMP-WEB-007"
    assert error["message"].startswith("POST /api/v1/runs: the server was told to end")


@pytest.mark.parametrize("scope", [SCOPE, {"type": "lifespan"}])
async def test_what_has_begun_or_is_no_request_is_cancelled_as_ever(scope: Scope) -> None:
    """A stream of events ends; nothing is sent into the middle of it."""
    with pytest.raises(asyncio.CancelledError):
        await cancelled(streams if scope is SCOPE else hangs, scope)
