"""`comporta serve` as a process, and a crowd that tells it of orders as Mercado Livre does."""

import http.client
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import Self
from urllib.parse import urlsplit

from tests.acceptance.databases import Json
from tests.acceptance.project import Project, told

HOOK = "/hooks/mercadolivre"
TIMEOUT_S = 5.0


@dataclass
class Serving:
    """A running server."""

    process: "subprocess.Popen[str]"
    url: str | None

    def ask(self, method: str, path: str, body: Json = None) -> tuple[int, Json]:
        """Return status and JSON of an answer."""
        connection = http.client.HTTPConnection(urlsplit(self.url or "").netloc, timeout=TIMEOUT_S)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": "application/json"} if text else {})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


@contextmanager
def serving(project: Project, *options: str) -> Iterator[Serving]:
    """Start a server and wait until it listens; whatever is left of it at the end is killed."""
    port = () if "--no-web" in options else ("--port", "0")
    with project.started("serve", *port, *options) as process:
        yield Serving(process, begun(process)["url"])


def begun(process: "subprocess.Popen[str]") -> dict[str, Json]:
    """Wait until a process is at work, and return what it says of itself."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise AssertionError(told(process).errors)
    server: dict[str, Json] = json.loads(line)["server"]
    return server


def body(number: int) -> dict[str, Json]:
    """Return a notification of an order."""
    at = "2026-03-02T13:40:06.101Z"
    return {
        "_id": f"{number:032x}",
        "resource": f"/orders/{number}",
        "user_id": 1001,
        "topic": "orders_v2",
        "application_id": 5000000000000001,
        "attempts": 1,
        "sent": at,
        "received": at,
    }


@dataclass
class Crowd:
    """So many senders at once, each with a connection of its own, of orders that nobody else tells of."""

    url: str
    senders: int = 8
    first: int = 1
    taken: set[int] = field(default_factory=set)
    refused: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock = Lock()
        self._next = self.first
        self._stopping = Event()
        self._threads = [Thread(target=self._send, daemon=True) for _ in range(self.senders)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=TIMEOUT_S)
        try:
            while not self._stopping.is_set():
                with self._lock:
                    number, self._next = self._next, self._next + 1
                connection.request("POST", HOOK, json.dumps(body(number)))
                answer = connection.getresponse()
                answer.read()
                with self._lock:
                    if answer.status == http.HTTPStatus.OK:
                        self.taken.add(number)
                    else:
                        self.refused[number] = answer.status
        except (OSError, http.client.HTTPException):
            return  # the server was killed
        finally:
            connection.close()
