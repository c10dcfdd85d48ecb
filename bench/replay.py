"""A replay of Odoo's JSON-RPC on loopback: answers are slices of bytes made beforehand.

A server that computed its answers would be what is measured. This one reads a request of a few hundred
bytes, finds a slice, and hands it to the kernel. ``/bench/...`` changes the state of the world, tells
the truth about it, counts what was asked, and lets the server be slow or refuse more than so many requests
in any second. Run as ``python -m bench.replay --rows N``.
"""

import argparse
import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from email.utils import formatdate
from typing import Any

from bench.world import FIELDS, MODES, Span, World

_UID = 7
_LOGIN = "sync@example.com"
_PREFIX = b'{"jsonrpc": "2.0", "id": 1, "result": ['
_SUFFIX = b"]}"
_COMPANY = {
    "res.currency": [
        {"id": 1, "name": "USD", "decimal_places": 2},
        {"id": 2, "name": "EUR", "decimal_places": 2},
        {"id": 6, "name": "BRL", "decimal_places": 2},
    ],
    "res.users": [{"id": _UID, "company_id": 1}],
    "res.company": [{"id": 1, "currency_id": 6}],
}


class Gate:
    """Counts requests, makes each wait for the latency, and refuses what exceeds the limit of a second."""

    def __init__(self) -> None:
        self.latency_s = 0.0
        self.limit = 0
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Count from nothing."""
        self.answered = self.throttled = 0
        self.began = self.ended = 0.0
        self._granted: deque[float] = deque()

    def admit(self) -> bool:
        """Take one request; say whether it is within the limit, by an exact log of the last second."""
        with self._lock:
            now = time.monotonic()
            self.began = self.began or now
            while self._granted and now - self._granted[0] >= 1.0:
                self._granted.popleft()
            is_within = not self.limit or len(self._granted) < self.limit
            if is_within:
                self._granted.append(now)
                self.answered += 1
            else:
                self.throttled += 1
        if self.latency_s:
            time.sleep(self.latency_s)
        self.ended = time.monotonic()
        return is_within

    @property
    def said(self) -> dict[str, float]:
        """Return the counts, and the seconds from the first request to the last answer."""
        return {
            "requests": self.answered + self.throttled,
            "throttled": self.throttled,
            "span_s": self.ended - self.began,
        }


class Replay:
    """The server's state and its answers, as lists of buffers."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.world = World(rows, "base", "")
        self.gate = Gate()

    def answer(self, method: str, path: str, body: bytes) -> list[bytes | memoryview]:
        """Return status line, headers and body."""
        if path.startswith("/bench/"):
            return _response(json.dumps(self._control(path, body)).encode())
        if not self.gate.admit():
            return _response(b"slow down", status=b"429 Too Many Requests", more=b"Retry-After: 1\r\n")
        if path == "/web/webclient/version_info" and method == "POST":
            return _result({"server_version": "17.0", "server_serie": "17.0"})
        if path != "/jsonrpc":
            return _response(b"not here", status=b"404 Not Found")
        params = json.loads(body)["params"]
        if params["service"] == "common":
            return _result(_UID if params["method"] == "authenticate" else {"server_version": "17.0"})
        _, _, _, model, name, args, *rest = params["args"]
        return self._call(model, name, args, rest[0] if rest else {})

    def _control(self, path: str, body: bytes) -> object:
        if path == "/bench/mode":
            asked = json.loads(body)
            if asked["mode"] not in MODES:
                raise ValueError(asked["mode"])
            self.world = World(self.rows, asked["mode"], asked.get("changed_at", ""))
        elif path == "/bench/pace":
            asked = json.loads(body)
            self.gate.limit, self.gate.latency_s = asked["limit"], asked["latency_s"]
        elif path == "/bench/reset":
            self.gate.reset()
        return {"truth": self.world.truth, "changed": len(self.world.changed), **self.gate.said}

    def _call(self, model: str, name: str, args: list[Any], options: dict[str, Any]) -> list[bytes | memoryview]:
        if model == "sale.order" and name == "search_read":
            return self._page(args, options)
        if name == "search_read":
            return _result(_COMPANY[model])
        if name == "search_count":
            return _result(len(self.world.select(_span(args[0]))))
        if name == "search":
            return _result([place + 1 for place in self.world.select(_span(args[0]))[: options.get("limit")]])
        return _result(_FIXED[name]())

    def _page(self, args: list[Any], options: dict[str, Any]) -> list[bytes | memoryview]:
        world = self.world
        offset = options.get("offset") or 0
        places = world.select(_span(args[0]))[offset : offset + options["limit"]]
        if set(options.get("fields") or FIELDS) <= {"id", "write_date"}:
            return _result([{"id": place + 1, "write_date": world.stamps[place]} for place in places])
        if isinstance(places, range) or (places and places[-1] - places[0] == len(places) - 1):
            parts = [world.slice(places[0], len(places))] if places else []
        else:
            parts = [memoryview(b", ".join(world.slice(place, 1) for place in places))]
        return _response(_PREFIX, *parts, _SUFFIX)


_FIXED: dict[str, Callable[[], object]] = {
    "fields_get": lambda: {
        name: {"type": kind, "string": name, "store": True, "relation": None} for name, kind in FIELDS.items()
    },
    "get_param": lambda: "00000000-0000-4000-8000-000000000001",
    "context_get": lambda: {"lang": "en_US", "tz": "UTC", "uid": _UID},
}


def _span(domain: Sequence[Any]) -> Span:
    after, since, until, ids = 0, "", "9999", None
    for term in domain:
        if term == "&":
            continue
        match term:
            case ["id", ">", value]:
                after = value
            case ["id", "in", value]:
                ids = frozenset(value)
            case ["write_date", ">=", value]:
                since = value
            case ["write_date", "<", value]:
                until = value
            case _:
                raise ValueError(term)
    return Span(after, since, until, ids)


def _result(value: object) -> list[bytes | memoryview]:
    return _response(json.dumps({"jsonrpc": "2.0", "id": 1, "result": value}).encode())


def _response(*parts: bytes | memoryview, status: bytes = b"200 OK", more: bytes = b"") -> list[bytes | memoryview]:
    size = sum(map(len, parts))
    date = formatdate(usegmt=True).encode()
    head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nDate: %b\r\n%bContent-Length: %d\r\n\r\n"
    return [head % (status, date, more, size), *parts]


def _serve(connection: socket.socket, replay: Replay) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    pending = b""
    with connection:
        while True:
            while b"\r\n\r\n" not in pending:
                more = connection.recv(65_536)
                if not more:
                    return
                pending += more
            head, _, pending = pending.partition(b"\r\n\r\n")
            size = _content_length(head)
            while len(pending) < size:
                pending += connection.recv(65_536)
            body, pending = pending[:size], pending[size:]
            method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            _send(connection, replay.answer(method, path, body))


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    return 0


def _send(connection: socket.socket, parts: list[bytes | memoryview]) -> None:
    sent = connection.sendmsg(parts)
    if sent < sum(map(len, parts)):
        connection.sendall(memoryview(b"".join(parts))[sent:])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, required=True)
    replay = Replay(parser.parse_args().rows)
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve, args=(connection, replay), daemon=True).start()


if __name__ == "__main__":
    main()
