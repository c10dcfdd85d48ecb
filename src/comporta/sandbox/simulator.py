"""A simulated source with its sockets: started and closed, on a thread of its own or in the foreground.

Use a simulator as a context manager, or ``serve_forever``. What it answers is its subclass's affair.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from threading import Thread
from typing import Protocol, Self

from comporta.sandbox.clock import SourceClock
from comporta.sandbox.exchange import Plan, Request
from comporta.sandbox.faults import Faults
from comporta.sandbox.reality import Reality
from comporta.sandbox.server import SandboxServer
from comporta.sandbox.stats import Stats

POLL_S = 0.01


class Workforce(Protocol):
    """The people at work, as far as a simulator and its control routes command them."""

    changes: int

    def start(self, rate: float) -> None:
        """Begin to change things, so many times a second."""

    def stop(self, *, is_finishing: bool = True) -> None:
        """Stop; finish what was begun, unless told not to."""

    def step(self, times: int = 1) -> None:
        """Make so many changes at once."""


class Simulator:
    """One simulated server."""

    people: Workforce

    def __init__(
        self,
        *,
        activity: float,
        faults: Faults,
        chosen: Iterable[str],
        clock: Callable[[], datetime] | None,
        reality: Reality,
    ) -> None:
        self.activity = activity
        self.clock = SourceClock(clock or reality.now)
        self.faults = faults
        for fault in chosen:
            faults.add(fault)
        self.stats = Stats()
        self._reality = reality
        self._thread: Thread | None = None
        self._is_serving = False

    def listen(self, host: str, port: int) -> None:
        """Take the port: the last thing a constructor does, for what fails after it would keep it."""
        self._server = SandboxServer(
            (host, port), self, faults=self.faults, stats=self.stats, reality=self._reality, now=self.clock.now
        )

    @property
    def url(self) -> str:
        """Return the address to give a client."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def plan(self, request: Request) -> Plan:
        """Return what this request asks for."""
        raise NotImplementedError

    def start(self) -> None:
        """Serve on a thread of its own, and let people work if there is activity."""
        self._is_serving = True
        self._thread = Thread(target=self._serve, name="sandbox", daemon=True)
        self._thread.start()
        self._begin_activity()

    def serve_forever(self) -> None:
        """Serve on this thread until interrupted, or closed from another; then everything is closed."""
        self._is_serving = True
        self._begin_activity()
        try:
            self._serve()
        finally:
            self.close()

    def close(self) -> None:
        """Stop people and server, hang up on every client, free the port; a second time does nothing."""
        self.people.stop(is_finishing=False)
        if self._is_serving:
            self._server.shutdown()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._server.close_connections()
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _serve(self) -> None:
        try:
            self._server.serve_forever(POLL_S)
        finally:
            self._is_serving = False

    def _begin_activity(self) -> None:
        if self.activity > 0:
            self.people.start(self.activity)
