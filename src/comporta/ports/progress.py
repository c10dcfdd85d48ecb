"""The sign of life of one run, and its count of requests. Written by the run, read by its heartbeat.

The heartbeat lives in a thread of its own, so every field is replaced whole, never edited: an
attribute assignment is atomic in CPython and a reader sees either the old value or the new one.
"""

from dataclasses import dataclass

from comporta.ports.clock import Clock


@dataclass(frozen=True, slots=True)
class Requests:
    """What a run asked of its source so far. ``waited_s`` is time spent waiting for permission."""

    sent: int = 0
    retried: int = 0
    throttled: int = 0
    waited_s: float = 0.0


class Progress:
    """What a run has done last, and what it waits for."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.touched = clock.monotonic()
        self.waiting_until: float | None = None
        self.waiting_for: str | None = None
        self.requests = Requests()
        self.rows_read = 0
        self.rows_expected: int | None = None

    def touch(self) -> None:
        """Say that something was achieved: a page read, a batch committed."""
        self.touched = self._clock.monotonic()
        self.waiting_until = None
        self.waiting_for = None

    def wait(self, seconds: float, reason: str) -> None:
        """Say that the run waits on purpose and when that ends, so that it is not taken for hung."""
        self.waiting_until = self._clock.monotonic() + seconds
        self.waiting_for = reason

    def count_request(self, *, retried: bool = False, throttled: bool = False, waited_s: float = 0.0) -> None:
        """Add one request that was sent."""
        seen = self.requests
        self.requests = Requests(
            sent=seen.sent + 1,
            retried=seen.retried + retried,
            throttled=seen.throttled + throttled,
            waited_s=seen.waited_s + waited_s,
        )
