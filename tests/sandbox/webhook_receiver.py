"""A web server that takes notifications, as slowly and unwillingly as it is told."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any


class SilentServer(ThreadingHTTPServer):
    """Says nothing of a sender that hangs up: that is what is being tested."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass


class Receiver:
    """What came, and how it is answered."""

    def __init__(self) -> None:
        self.came: list[dict[str, Any]] = []
        self.status = 200
        self.pauses: tuple[float, float] = (0.0, 0.0)
        self.closing = Event()
        receiver = self

        class Connection(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.came.append(json.loads(body))
                before, between = receiver.pauses
                receiver.closing.wait(before)
                self.send_response(receiver.status)
                self.send_header("Content-Length", "1")
                self.end_headers()
                receiver.closing.wait(between)
                self.wfile.write(b"!")

            def log_message(self, *_said: object) -> None:
                """Say nothing."""

        self.server = SilentServer(("127.0.0.1", 0), Connection)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/back?source=demo"


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Take notifications until the test is over."""
    taking = Receiver()
    thread = Thread(target=taking.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield taking
    finally:
        taking.closing.set()
        taking.server.shutdown()
        thread.join()
        taking.server.server_close()
