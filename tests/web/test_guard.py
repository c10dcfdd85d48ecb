"""What this machine's own programs may ask, and no page of somebody else."""

import socket
from urllib.parse import urlsplit

import pytest
from starlette.datastructures import Headers
from tests.web.office import Office

from comporta.web.guard import foreign

RUNS = "/api/v1/runs"
BODY = {"account": "matriz"}


@pytest.mark.parametrize(
    "host",
    ["shop.example", "127.0.0.1.shop.example", "shop.example:8000", "user@127.0.0.1", "127.0.0.1/x", "0.0.0.0", "[::1"],
)
async def test_a_foreign_name_is_refused(office: Office, host: str) -> None:
    """A page whose host was made to point here (DNS rebinding) still says its own name."""
    for method, path in (("GET", RUNS), ("POST", RUNS), ("GET", "/api/v1/events"), ("GET", "/openapi.json")):
        answer = await office.ask(method, path, BODY if method == "POST" else None, {"Host": host})

        assert (answer.status, answer.body["error"]["code"]) == (403, "CMP-WEB-005"), path
    assert await office.workspace.store.runs() == []


@pytest.mark.parametrize("origin", ["http://shop.example", "null", "http://localhost:1", "https://127.0.0.1"])
async def test_a_foreign_page_is_refused(office: Office, origin: str) -> None:
    """Also one of another program on this machine, and one that hides where it is from."""
    answer = await office.ask("POST", RUNS, BODY, {"Origin": origin})

    assert (answer.status, answer.body["error"]["code"]) == (403, "CMP-WEB-005")
    assert await office.workspace.store.runs() == []


async def test_our_own_page_may_ask(office: Office) -> None:
    """Its origin is the address that it was read from."""
    answer = await office.ask("POST", RUNS, BODY, {"Origin": office.server.url})

    assert answer.status == 202


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_a_form_is_refused(office: Office, kind: str) -> None:
    """A page may send these to anybody without asking."""
    answers = [
        await office.ask("POST", path, BODY, {"Content-Type": kind})
        for path in (RUNS, f"{RUNS}/x/cancel", "/api/v1/leases/matriz/x/release")
    ]

    assert [answer.status for answer in answers] == [415] * 3
    assert await office.workspace.store.runs() == []


async def test_a_request_that_names_nobody_is_refused(office: Office) -> None:
    """HTTP/1.0 need not say a host; two hosts are none."""
    parts = urlsplit(office.server.url)
    head = f"GET {RUNS} HTTP/1.0\r\n\r\n".encode()

    def go() -> bytes:
        with socket.create_connection((parts.hostname, parts.port), timeout=5) as connection:
            connection.sendall(head)
            return connection.recv(100)

    import asyncio

    assert b" 403 " in await asyncio.to_thread(go)
    assert foreign(Headers(raw=[(b"host", b"127.0.0.1"), (b"host", b"shop.example")]))


async def test_proxies_may_bring_notifications_and_ask_how_it_is(office: Office) -> None:
    """They come under the name of a shop."""
    live = await office.ask("GET", "/health/live", headers={"Host": "shop.example"})
    hook = await office.ask("POST", "/hooks/elsewhere", {}, {"Host": "shop.example"})

    assert (live.status, hook.status) == (200, 404)
