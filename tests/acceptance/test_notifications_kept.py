"""Promise 9, of notifications: what was answered 200 is in the database, whatever kills the server and whenever."""

import json
import random
import signal
import socket
import sys
import time
from threading import Event
from urllib.parse import urlsplit

import pytest
from tests.acceptance.conftest import each_database
from tests.acceptance.project import Project, until
from tests.acceptance.serving import HOOK, Crowd, body, serving

pytestmark = pytest.mark.full
ENOUGH = 200
"""Notifications that are answered before the server is killed, at least."""
MOMENT_MAX_S = 0.3
END_MAX_S = 10.0


@each_database
@pytest.mark.timeout(120)
def test_what_was_answered_is_kept_whatever_kills_the_server(new_project: Project, chaos_seed: int) -> None:
    """Three times in a flood, at a random moment; each time the next server finds all of it."""
    new_project.configure({})
    dice = random.Random(chaos_seed)
    taken: set[int] = set()
    for _ in range(3):
        with serving(new_project) as server, Crowd(server.url or "", first=max(taken, default=0) + 1_000) as crowd:
            until(lambda crowd=crowd: len(crowd.taken) >= ENOUGH, "a flood is taken")  # type: ignore[misc]  # a lambda with a default
            # Not a wait for something: the random moment of the crash itself.
            Event().wait(dice.uniform(0, MOMENT_MAX_S))
            server.process.kill()
            server.process.wait()
        taken |= crowd.taken
    with serving(new_project):
        kept = {int(number) for (number,) in new_project.ask("SELECT substr(resource, 9) FROM cmp_notification")}

    assert len(taken) >= 3 * ENOUGH
    assert taken - kept == set()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends processes another way")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.timeout(60)
def test_told_to_end_it_ends_although_somebody_stays_connected(
    new_project: Project, way: str, number: signal.Signals
) -> None:
    """In time, well, and with nothing on standard output but its one document."""
    new_project.configure({})
    with serving(new_project) as server:
        parts = urlsplit(server.url or "")
        half = f"POST {HOOK} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode()
        with (
            socket.create_connection((parts.hostname, parts.port)) as idle,
            socket.create_connection((parts.hostname, parts.port)) as dawdling,
        ):
            dawdling.sendall(half)
            first = server.ask("POST", HOOK, body(1))
            began = time.monotonic()
            server.process.send_signal(number)
            left, log = server.process.communicate(timeout=END_MAX_S)
            took = time.monotonic() - began
            idle.close()

    assert first == (200, {"ok": True})
    assert (server.process.returncode, left) == (0, "")
    assert took < END_MAX_S
    events = [json.loads(line)["event"] for line in log.splitlines() if line.startswith("{")]
    assert (events[0], events[-1]) == ("server_started", "server_stopped")


@pytest.mark.timeout(60)
def test_it_listens_to_nobody_else(new_project: Project, way: str) -> None:
    """And says what to do instead; a port that is taken is named."""
    new_project.configure({}, host="0.0.0.0")
    refused = new_project.command("serve")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        occupied = new_project.command("serve", "--host", "127.0.0.1", "--port", str(port))

    assert (refused.code, refused.document["error"]["code"]) == (2, "CMP-SET-007")
    assert "loopback only" in refused.document["error"]["message"]
    assert (occupied.code, str(port) in occupied.document["error"]["message"]) == (2, True)


@pytest.mark.timeout(60)
def test_without_a_web_it_listens_nowhere(new_project: Project, way: str) -> None:
    """It looks at what others kept, and ends like any server."""
    new_project.configure({})
    with serving(new_project, "--no-web") as server:
        server.process.terminate()
        server.process.wait(END_MAX_S)

    assert server.url is None
    assert sys.platform == "win32" or server.process.returncode == 0


@pytest.mark.timeout(60)
def test_it_is_well_while_it_is(new_project: Project, way: str) -> None:
    """For whoever watches it."""
    new_project.configure({})
    with serving(new_project) as server:
        live, ready = server.ask("GET", "/health/live"), server.ask("GET", "/health/ready")

    assert live == ready == (200, {"ok": True})
