"""Counts of what a simulator was asked: requests, routes, calls, and how many were in flight at once.

Tests and people read it to see that a client asked no page twice.
"""

from threading import Lock
from typing import Any


class Stats:
    """Counters of one simulator; every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.requests = 0
        self.in_flight = 0
        self.in_flight_max = 0
        self.routes: dict[str, dict[str, float]] = {}
        self.calls: dict[str, int] = {}

    def enter(self) -> None:
        """Note that a request arrived."""
        with self._lock:
            self.requests += 1
            self.in_flight += 1
            self.in_flight_max = max(self.in_flight_max, self.in_flight)

    def leave(self, route: str, label: str, *, sent: int, seconds: float, is_error: bool) -> None:
        """Note that a request was answered, or cut off."""
        with self._lock:
            self.in_flight -= 1
            counts = self.routes.setdefault(route, {"requests": 0, "errors": 0, "bytes": 0, "seconds": 0.0})
            counts["requests"] += 1
            counts["errors"] += is_error
            counts["bytes"] += sent
            counts["seconds"] += seconds
            if label:
                self.calls[label] = self.calls.get(label, 0) + 1

    def as_json(self) -> dict[str, Any]:
        """Return all counters as JSON values."""
        with self._lock:
            return {
                "requests": self.requests,
                "in_flight": self.in_flight,
                "in_flight_max": self.in_flight_max,
                "routes": {route: dict(counts) for route, counts in self.routes.items()},
                "calls": dict(self.calls),
            }
