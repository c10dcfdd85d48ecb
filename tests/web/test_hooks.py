"""The hooks over real HTTP: what is answered is kept, what is not well is told in our form."""

import asyncio
import http.client
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from comporta.bootstrap.source_kinds import HOOKS
from comporta.core.notification import Notification
from comporta.errors import DestinationBusy, DestinationRefused, SettingsError
from comporta.web.app import make_app
from comporta.web.bodies import BODY_MAX
from comporta.web.doors import Doors
from comporta.web.server import Server

HOOK = "/hooks/mercadolivre"
BODY = {
    "_id": "00000000-0000-4000-8000-000000000001",
    "resource": "/orders/2000010000000123",
    "user_id": 700100200,
    "topic": "orders_v2",
    "application_id": 5000000000000001,
    "attempts": 1,
    "sent": "2026-03-02T13:40:06.129Z",
    "received": "2026-03-02T13:40:06.101Z",
}


@dataclass
class House:
    """A running server and what is behind its doors."""

    url: str = ""
    kept: list[Notification] = field(default_factory=list)
    problem: Exception | None = None
    looking: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event | None = None

    async def post(self, told: Notification) -> None:
        """Keep, or fail, when it is let."""
        self.begun.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.problem is not None:
            raise self.problem
        self.kept.append(told)

    async def look(self) -> None:
        """Answer when the database does."""
        await self.looking.wait()

    async def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any, dict[str, str]]:
        """Send a request and return status, JSON and headers."""

        def go() -> tuple[int, Any, dict[str, str]]:
            connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=5)
            connection.request(method, path, body)
            answer = connection.getresponse()
            found = answer.status, json.loads(answer.read()), dict(answer.getheaders())
            connection.close()
            return found

        return await asyncio.to_thread(go)

    async def send(self, body: object) -> tuple[int, Any, dict[str, str]]:
        """Send a body to the hook."""
        return await self.ask("POST", HOOK, body if isinstance(body, bytes) else json.dumps(body).encode())


@asynccontextmanager
async def running(house: House) -> AsyncIterator[Server]:
    """Serve a house."""
    hooks = {source: hook.read for source, hook in HOOKS.items()}
    server = Server(make_app(Doors(hooks, house.post, house.look)), host="127.0.0.1", port=0)
    house.url = server.url
    serving = asyncio.ensure_future(server.run())
    try:
        yield server
    finally:
        server.stop()
        await serving


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """Return a running server whose database answers."""
    opened = House()
    opened.looking.set()
    async with running(opened):
        yield opened


async def test_a_notification_is_kept_and_answered(house: House) -> None:
    """As it came; nothing in it is believed but where it points."""
    status, answer, _ = await house.send(BODY)

    assert (status, answer) == (200, {"ok": True})
    assert [(each.source, each.user_id, each.topic, each.resource) for each in house.kept] == [
        ("mercadolivre", "700100200", "orders_v2", "/orders/2000010000000123")
    ]


@pytest.mark.full
async def test_nobody_is_answered_before_it_is_kept(house: House) -> None:
    """A process that dies between the two would have lost what its sender takes for taken."""
    house.gate = asyncio.Event()
    answer = asyncio.ensure_future(house.send(BODY))
    await house.begun.wait()
    early, _ = await asyncio.wait({answer}, timeout=0.1)
    house.gate.set()

    assert early == set()
    assert (await answer)[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        {},
        {**BODY, "user_id": None},
        {**BODY, "user_id": 1.5},
        {**BODY, "user_id": True},
        {**BODY, "topic": ""},
        {**BODY, "topic": 7},
        {**BODY, "resource": "/" + "x" * 1_000},
        {**BODY, "resource": None},
        b'{"resource": "\\ud800", "user_id": 1, "topic": "x"}',
        b"[" * 60_000,
    ],
)
async def test_what_is_no_notification_is_refused(house: House, body: object) -> None:
    """With what was expected; nothing of it is kept."""
    status, answer, _ = await house.send(body)

    assert (status, answer["ok"], answer["error"]["code"]) == (400, False, "CMP-WEB-001")
    assert "expected resource, user_id and topic" in answer["error"]["message"]
    assert house.kept == []


async def test_a_body_that_is_too_long_is_not_read(house: House) -> None:
    """One letter less, and it is."""
    longest = json.dumps(BODY).encode().ljust(BODY_MAX)

    fits, _, _ = await house.send(longest)
    status, answer, _ = await house.send(longest + b" ")

    assert (fits, status, answer["error"]["code"]) == (200, 413, "CMP-WEB-002")
    assert len(house.kept) == 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", HOOK, 405),
        ("PUT", HOOK, 405),
        ("POST", "/hooks/elsewhere", 404),
        ("POST", "/hooks/mercadolivre/more", 404),
        ("POST", "/health/live", 405),
        ("GET", "/", 404),
        ("GET", "/api/v1/runs", 404),
    ],
)
async def test_what_no_route_takes_is_refused_in_our_form(house: House, method: str, path: str, status: int) -> None:
    """The method and the path are in the message."""
    found, answer, _ = await house.ask(method, path, b"{}")

    assert (found, answer["error"]["code"]) == (status, "CMP-WEB-002")
    assert answer["error"]["message"].startswith(f"{method} {path}: ")


@pytest.mark.parametrize("problem", [DestinationBusy("another program writes"), DestinationRefused("the disk is full")])
async def test_what_cannot_be_kept_now_is_to_be_sent_again(house: House, problem: Exception) -> None:
    """Never 200 for what is not kept."""
    house.problem = problem

    status, answer, headers = await house.send(BODY)

    assert (status, answer["ok"], headers["retry-after"]) == (503, False, "1")
    assert answer["error"]["message"] == str(problem)


@pytest.mark.parametrize(
    ("problem", "code"), [(ZeroDivisionError("oh"), "CMP-BUG-001"), (SettingsError("no such key"), "CMP-SET-001")]
)
@pytest.mark.filterwarnings("default")
async def test_a_fault_of_ours_is_told_with_its_code(house: House, problem: Exception, code: str) -> None:
    """And the server goes on."""
    house.problem = problem
    status, answer, _ = await house.send(BODY)
    house.problem = None

    assert (status, answer["error"]["code"]) == (500, code)
    assert (await house.send(BODY))[0] == 200


async def test_it_is_ready_when_the_database_answers(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lives before that."""
    monkeypatch.setattr("comporta.web.app.LOOK_WAIT_S", 0.05)
    ready = await house.ask("GET", "/health/ready")
    house.looking.clear()
    unready = await house.ask("GET", "/health/ready")
    live = await house.ask("GET", "/health/live")

    assert (ready[0], unready[0], live[0]) == (200, 503, 200)
    assert unready[1]["error"]["code"] == "CMP-DB-001"


async def test_a_sender_that_hangs_up_or_dawdles_is_left(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that never ends keeps nobody else from being served."""
    monkeypatch.setattr("comporta.web.bodies.BODY_WAIT_S", 0.05)
    head = f"POST {HOOK} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode()
    parts = urlsplit(house.url)

    def dawdle() -> bytes:
        with socket.create_connection((parts.hostname, parts.port), timeout=5) as connection:
            connection.sendall(head)
            return connection.recv(100)

    def hang_up() -> None:
        with socket.create_connection((parts.hostname, parts.port), timeout=5) as connection:
            connection.sendall(head)

    answer = await asyncio.to_thread(dawdle)
    await asyncio.to_thread(hang_up)

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert (await house.send(BODY))[0] == 200


async def test_it_ends_although_a_client_keeps_its_connection() -> None:
    """Left to itself the server would wait for a client that waits for it."""
    house = House()
    async with running(house):
        parts = urlsplit(house.url)
        idle = await asyncio.to_thread(socket.create_connection, (parts.hostname, parts.port))
    gone = await asyncio.to_thread(idle.recv, 1)
    idle.close()

    assert gone == b""


async def test_the_routes_know_the_sources_that_notify() -> None:
    """One hook each."""
    read: dict[str, Callable[[bytes], Notification]] = {source: hook.read for source, hook in HOOKS.items()}

    assert list(read) == ["mercadolivre"]
