"""A server that answers whatever a test wrote, byte for byte: for what no decent server would send.

It speaks enough of Odoo (version, login, fields) to be read from; calls for data take the next
answer of ``script``. Every connection is closed after its answer.
"""

import json
import socket
import socketserver
import struct
import threading
import xmlrpc.client
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, Self, cast

Reply = bytes | Callable[[socket.socket], None]

FIELDS: dict[str, dict[str, Any]] = {
    "id": {"type": "integer", "store": True},
    "name": {"type": "char", "store": True},
    "amount_total": {"type": "monetary", "store": True},
    "partner_id": {"type": "many2one", "store": True},
    "locked": {"type": "boolean", "store": True},
    "tag_ids": {"type": "many2many", "store": True},
    "validity_date": {"type": "date", "store": True},
    "write_date": {"type": "datetime", "store": True},
}

RECORD: dict[str, Any] = {
    "id": 7,
    "name": "S00007",
    "amount_total": 12.5,
    "partner_id": 3,
    "locked": False,
    "tag_ids": [1, 2],
    "validity_date": False,
    "write_date": "2026-03-01 10:00:00",
}


class SteppingClock:
    """A clock that moves only when somebody sleeps, and remembers how long."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._now = datetime(2026, 11, 22, 12, tzinfo=UTC)
        self._monotonic = 1_000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, duration: timedelta) -> None:
        self.slept.append(duration.total_seconds())
        self.advance(duration)

    def advance(self, duration: timedelta) -> None:
        self._now += duration
        self._monotonic += duration.total_seconds()


@dataclass
class Received:
    """One request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


def http(
    body: bytes | str | object = b"", *, status: int = 200, kind: str = "application/json", headers: str = ""
) -> bytes:
    """Return a whole HTTP answer; an object is sent as JSON."""
    raw = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\nContent-Length: {len(raw)}\r\n"
    return f"{head}Date: Sun, 22 Nov 2026 12:00:05 GMT\r\nConnection: close\r\n{headers}\r\n".encode() + raw


def page(title: str, *, status: int = 200, headers: str = "") -> bytes:
    """Return a web page."""
    html = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body>…</body></html>"
    return http(html, status=status, kind="text/html; charset=utf-8", headers=headers)


def reset(connection: socket.socket) -> None:
    """Hang up so that the client sees a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def result(protocol: str, value: object) -> bytes:
    """Return the answer that carries a result in this protocol."""
    if protocol == "xmlrpc":
        return http(xmlrpc.client.dumps((value,), methodresponse=True, allow_none=True), kind="text/xml")  # type: ignore[arg-type]  # typeshed knows fewer values
    return http(json.dumps(value if protocol == "json2" else {"jsonrpc": "2.0", "id": 1, "result": value}))


def failure(protocol: str, name: str, message: str) -> bytes:
    """Return the answer that carries an exception of the server in this protocol."""
    debug = f'Traceback (most recent call last):\n  File "/odoo/http.py", line 1, in f\n    g()\n{name}: {message}\n'
    data = {"name": name, "message": message, "arguments": [message], "context": {}, "debug": debug}
    short = name.rpartition(".")[2]
    if protocol == "xmlrpc":
        code = {"UserError": 2, "MissingError": 2, "AccessDenied": 3, "AccessError": 4}.get(short, 1)
        fault = xmlrpc.client.Fault(code, debug if code == 1 else message)
        return http(xmlrpc.client.dumps(fault, methodresponse=True), kind="text/xml")
    if protocol == "json2":
        statuses = {"Unauthorized": 401, "AccessDenied": 403, "AccessError": 403, "NotFound": 404, "UserError": 422}
        return http(data, status=statuses.get(short, 500))
    error = {"code": 200, "message": "Odoo Server Error", "data": data}
    return http({"jsonrpc": "2.0", "id": 1, "error": error})


@dataclass
class ScriptedServer:
    """The server. ``url`` is its address; ``received`` what was asked of it."""

    protocol: str = "jsonrpc"
    version: str = "16.0"
    fields: dict[str, dict[str, Any]] = field(default_factory=lambda: dict(FIELDS))
    script: list[Reply] = field(default_factory=list)
    overrides: dict[str, Reply] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    uid: object = 2
    url: str = ""

    def __enter__(self) -> Self:
        outer = self

        class Connection(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                outer.serve(cast("BinaryIO", self.rfile), self.connection)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def say(self, *values: object) -> None:
        """Add results to the script."""
        self.script.extend(result(self.protocol, value) for value in values)

    def fail(self, name: str, message: str) -> None:
        """Add an exception of the server to the script."""
        self.script.append(failure(self.protocol, name, message))

    @property
    def calls(self) -> list[tuple[str, dict[str, Any]]]:
        """Return method and arguments by name of every call of a model's method, newest last."""
        return [call for call in map(self._call, self.received) if call[0]]

    def serve(self, stream: BinaryIO, connection: socket.socket) -> None:
        request = _parse(stream)
        if request is None:
            return
        self.received.append(request)
        reply = self._reply(request)
        if callable(reply):
            reply(connection)
        else:
            connection.sendall(reply)

    def _reply(self, request: Received) -> Reply:
        method = "data" if request.path == "/script" else self._call(request)[0]
        for known in (request.path, method):
            if known in self.overrides:
                return self.overrides[known]
        if request.path.startswith("/web/"):
            return self._version(request.path)
        if not self._speaks(request) and method != "data":
            return page("Not Found", status=404)
        prepared = {
            "": self.uid,
            "fields_get": self.fields,
            "get_param": "uuid-1",
            "context_get": {"uid": self.uid},
        }
        return result(self.protocol, prepared[method]) if method in prepared else self.script.pop(0)

    def _version(self, path: str) -> Reply:
        if path == "/web/version":
            return http({"version": self.version}) if self.version >= "19" else page("404", status=404)
        return result("jsonrpc", {"server_version": self.version})

    def _speaks(self, request: Received) -> bool:
        return request.path.startswith(
            {"jsonrpc": "/jsonrpc", "xmlrpc": "/xmlrpc/2/", "json2": "/json/2/"}.get(self.protocol, "/never")
        )

    def _call(self, request: Received) -> tuple[str, dict[str, Any]]:
        if request.path.startswith("/json/2/"):
            return request.path.rpartition("/")[2], json.loads(request.body)
        if request.path == "/jsonrpc":
            params = json.loads(request.body)["params"]
            return _execute(params["args"]) if params["method"] == "execute_kw" else ("", {})
        if request.path == "/xmlrpc/2/object":
            return _execute(cast("Any", xmlrpc.client.loads(request.body)[0]))
        return "", {}


def _execute(args: Sequence[Any]) -> tuple[str, dict[str, Any]]:
    names = {"get_param": ["key"], "fields_get": []}.get(args[4], ["domain", "fields", "groupby"])
    return args[4], {**dict(zip(names, args[5], strict=False)), **args[6]}


def _parse(stream: BinaryIO) -> Received | None:
    first = stream.readline().decode()
    if not first:
        return None
    method, path, _ = first.split(" ", 2)
    headers: dict[str, str] = {}
    while line := stream.readline().decode().strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return Received(method, path, headers, stream.read(int(headers.get("content-length", "0"))))
