"""A real HTTP/1.1 server around a simulated source, with the faults that networks and proxies have.

Connections are kept alive and answers leave in one write. Control routes (``/_…``) never suffer faults
and are not counted. ``close`` ends every open connection and every fault that is still waiting.
"""

import select
import socket
import struct
from collections.abc import Callable
from datetime import datetime
from email.utils import format_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Event
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from comporta.sandbox.exchange import Answer, Application, Plan, Request, html_answer, json_answer
from comporta.sandbox.faults import Faults
from comporta.sandbox.reality import Reality
from comporta.sandbox.stats import Stats

BODY_MAX = 64 * 1024 * 1024
CLOSE_PATIENCE_S = 5.0
FOREVER_S = 1_000_000.0  # eleven days; Windows waits at most seven weeks
GARBAGE = b'{"jsonrpc": "2.0", "result": [{"id": 1, "na'
NO_LINGER = struct.pack("ii", 1, 0)
TRANSPORT_FAULTS = {
    "latency": "50",
    "error_502": "1",
    "http_429": "1",
    "html": "1",
    "json_garbage": "1",
    "reset": "1",
    "truncate": "1",
    "truncate_clean": "1",
    "slow_page": "30",
    "hang": "1",
    "cut_after": "120",
}


class SandboxServer(ThreadingHTTPServer):
    """The sockets of one simulator."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        application: Application,
        *,
        faults: Faults,
        stats: Stats,
        reality: Reality,
        now: Callable[[], datetime],
    ) -> None:
        super().__init__(address, SandboxConnection)
        self.application = application
        self.faults = faults
        self.stats = stats
        self.reality = reality
        self.now = now
        self.closing = Event()
        self._connections: set[Any] = set()
        self._changed = Condition()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection to its end, known to ``close_connections``."""
        with self._changed:
            self._connections.add(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._changed:
                self._connections.discard(request)
                self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are daily business here."""

    def close_connections(self) -> None:
        """Hang up on everyone and wait until their threads are gone."""
        self.closing.set()
        with self._changed:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue
            self._changed.wait_for(lambda: not self._connections, CLOSE_PATIENCE_S)


class Severed(Exception):
    """The connection is to be reset without another byte."""


class SandboxConnection(BaseHTTPRequestHandler):
    """One client connection."""

    server: SandboxServer
    protocol_version = "HTTP/1.1"
    server_version = "Werkzeug/3.0.1"
    sys_version = "Python/3.12"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Serve a GET request."""
        self._serve()

    def do_POST(self) -> None:
        """Serve a POST request."""
        self._serve()

    def do_DELETE(self) -> None:
        """Serve a DELETE request."""
        self._serve()

    def date_time_string(self, _timestamp: float | None = None) -> str:
        """Return the ``Date`` header: the source's own clock, not the machine's."""
        return format_datetime(self.server.now(), usegmt=True)

    def log_message(self, *_said: object) -> None:
        """Write no access log; ``GET /_stats`` tells."""

    def _serve(self) -> None:
        request = self._read()
        plan = self.server.application.plan(request)
        if plan.is_control:
            self.wfile.write(self._packet(plan.run()))
            return
        self.server.stats.enter()
        packet, is_cut, is_error = b"", True, True
        self._is_whole = False
        try:
            answer = self._answer(plan)
            is_error = answer.status >= 400
            packet, is_cut = self._pack(answer, plan.label)
        except Severed:
            pass
        finally:
            # Counted before it leaves: whoever has the answer finds it in the statistics.
            seconds = self.server.reality.monotonic() - request.arrived
            route = "/json/2" if request.path.startswith("/json/2/") else plan.route or request.path
            self.server.stats.leave(route, plan.label, sent=len(packet), seconds=seconds, is_error=is_error)
            if plan.left:
                plan.left(self._is_whole and self._is_heard())
        self.wfile.write(packet)
        if is_cut:
            self._sever()

    def _is_heard(self) -> bool:
        """Tell whether the client is still there to read what is about to be sent."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        try:
            return not readable or bool(self.connection.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def parse_request(self) -> bool:
        """Note when the first line of a request arrived: limits count from there."""
        self._arrived = self.server.reality.monotonic()
        return super().parse_request()

    def _read(self) -> Request:
        length = min(int(self.headers.get("Content-Length") or 0), BODY_MAX)
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(length) if length else b""
        return Request(self.command, parts.path, headers, body, dict(parse_qsl(parts.query)), self._arrived)

    def _answer(self, plan: Plan) -> Answer:
        """Return the plan's answer, or what a fault puts in its place before any work is done."""
        faults = self.server.faults
        self._delay(plan.label)
        if faults.happens("error_502", plan.label):
            return html_answer(502, "502 Bad Gateway")
        if faults.happens("http_429", plan.label):
            answer = json_answer({"error": "Too Many Requests"}, 429)
            return Answer(429, answer.body, answer.content_type, {"Retry-After": "1"})
        if faults.happens("html", plan.label):
            return html_answer(200, "Estamos em manutenção")
        answer = plan.run()
        if faults.happens("json_garbage", plan.label):
            return Answer(answer.status, GARBAGE, answer.content_type)
        return answer

    def _delay(self, label: str) -> None:
        """Wait as latency and hanging pages demand; a worker killed meanwhile resets the connection."""
        faults = self.server.faults
        latency = faults.strikes("latency", label)
        slow = faults.strikes("slow_page", label) if "search_read" in label or "/read" in label else None
        seconds = (latency.number / 1000 if latency else 0.0) + (slow.number if slow else 0.0)
        if faults.happens("hang", label):
            seconds = FOREVER_S
        limit = faults.strikes("cut_after", label) if seconds else None
        is_cut = limit is not None and seconds >= limit.number
        if limit is not None and is_cut:
            seconds = limit.number
        if seconds and self.server.reality.wait(self.server.closing, seconds):
            raise Severed
        if is_cut:
            raise Severed

    def _pack(self, answer: Answer, label: str) -> tuple[bytes, bool]:
        """Return the bytes to send, spoilt as faults demand, and whether the connection is reset after them."""
        faults = self.server.faults
        half = len(answer.body) // 2
        if faults.happens("truncate_clean", label):
            return self._packet(Answer(answer.status, answer.body[:half], answer.content_type, answer.headers)), False
        if faults.happens("truncate", label):
            self.close_connection = True
            return self._packet(answer, only=half), False
        if faults.happens("reset", label):
            return self._packet(answer, only=half), True
        self._is_whole = answer.body is not GARBAGE
        return self._packet(answer), False

    def _packet(self, answer: Answer, *, only: int | None = None) -> bytes:
        """Return head and body as one; ``only`` so many bytes of the body, under the head of the whole."""
        self.send_response(answer.status)
        if answer.status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        head = b"".join(self._headers_buffer) + b"\r\n"
        self._headers_buffer: list[bytes] = []
        return head + (answer.body if only is None else answer.body[:only])

    def _sever(self) -> None:
        """Close with an RST, so that the client sees a reset and not an orderly end."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.rfile.close()
        self.connection.close()
