"""A request that is told to end: it ends, whatever it meets."""

import asyncio
import socket
import threading

import pytest
from tests.sources.scripted import ScriptedServer, http
from tests.sources.test_http import Build, accept, ask, build

from comporta.ports.progress import Progress

__all__ = ["build"]
PATIENCE_S = 5.0
AT_HAND_S = 0.05
"""Nobody tells when the library's own thread has an answer that has arrived; this is long for it."""


@pytest.mark.parametrize("answer", [http([1]), http("down", status=502)], ids=["answer", "failure"])
async def test_a_cancellation_that_meets_the_answer_is_not_lost(
    server: ScriptedServer, build: Build, progress: Progress, *, answer: bytes
) -> None:
    """The library gives the answer then, and forgets the cancellation; a run that was told to stop would go on."""
    is_asked, may_answer, has_answered = threading.Event(), threading.Event(), threading.Event()

    def reply(connection: socket.socket) -> None:
        is_asked.set()
        may_answer.wait(PATIENCE_S)
        connection.sendall(answer)
        has_answered.set()

    server.script = [reply, http([2])]
    sending = asyncio.ensure_future(build().send(ask(f"{server.url}/script"), progress, accept))
    await asyncio.to_thread(is_asked.wait, PATIENCE_S)
    may_answer.set()
    # The loop stands still meanwhile, so that it finds answer and cancellation at once.
    has_answered.wait(PATIENCE_S)
    threading.Event().wait(AT_HAND_S)
    sending.cancel()
    await asyncio.wait([sending])

    assert sending.cancelled()
