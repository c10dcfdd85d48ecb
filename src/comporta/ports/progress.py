"""The sign of life of one run, and its count of requests. Written by the run, read by its heartbeat.

The heartbeat lives in a thread of its own, so every field is replaced whole, never edited: an
attribute assignment is atomic in CPython and a reader sees either the old value or the new one.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum

from comporta.core.rate import Rate
from comporta.observability.trace import UNTRACED, Trace
from comporta.ports.clock import Clock

TOLD_MAX = 100
"""Notices kept until the run takes them, at once unless its database is busy; a storm of retries loses the oldest."""


class Priority(IntEnum):
    """Whose requests go first when there are more than the limit allows."""

    PERSON = 0
    SCHEDULE = 1
    BULK = 2


@dataclass(frozen=True, slots=True)
class LogLine:
    """One step of a run, told to people; ``step`` is from the closed list of events."""

    level: str
    step: str
    message: str
    fields: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Requests:
    """What a run asked of its source so far. ``waited_s`` is time spent waiting for permission.

    ``first_s`` and ``last_s`` are when the first and the last were sent, by the monotonic clock; ``rate`` is the limit
    that they are counted against. ``failures`` counts what went wrong by operation, such as ``{"deals: page": 2}``,
    also where a repetition succeeded.
    """

    sent: int = 0
    retried: int = 0
    throttled: int = 0
    waited_s: float = 0.0
    first_s: float | None = None
    last_s: float | None = None
    failures: Mapping[str, int] = field(default_factory=dict)
    rate: Rate | None = None


class Progress:
    """What a run has done last, and what it waits for."""

    def __init__(
        self, clock: Clock, *, scope: str = "", priority: Priority = Priority.PERSON, rate: Rate | None = None
    ) -> None:
        self._clock = clock
        self.scope = scope
        self.priority = priority
        self.touched = clock.monotonic()
        self.waiting_until: float | None = None
        self.waiting_for: str | None = None
        self.requests = Requests(rate=rate)
        self.rows_read = 0
        self.rows_expected: int | None = None
        self.told: deque[LogLine] = deque(maxlen=TOLD_MAX)
        self.has_news = asyncio.Event()
        self.trace: Trace = UNTRACED

    def touch(self) -> None:
        """Say that something was achieved: a page read, a batch committed."""
        self.touched = self._clock.monotonic()
        self.waiting_until = None
        self.waiting_for = None

    def wait(self, seconds: float, reason: str) -> None:
        """Say that the run waits on purpose and when that ends, so that it is not taken for hung."""
        self.waiting_until = self._clock.monotonic() + seconds
        self.waiting_for = reason

    def count_request(
        self, *, retried: bool = False, throttled: bool = False, waited_s: float = 0.0, sent_s: float | None = None
    ) -> None:
        """Add one request that was sent, at ``sent_s`` of the monotonic clock if that is not now."""
        seen = self.requests
        sent_s = self._clock.monotonic() if sent_s is None else sent_s
        self.requests = replace(
            seen,
            sent=seen.sent + 1,
            retried=seen.retried + retried,
            throttled=seen.throttled + throttled,
            waited_s=seen.waited_s + waited_s,
            first_s=sent_s if seen.first_s is None else min(seen.first_s, sent_s),
            last_s=sent_s if seen.last_s is None else max(seen.last_s, sent_s),
        )

    def count_failure(self, operation: str, *, times: int = 1) -> None:
        """Add one request that went wrong, or so many, whether or not it is tried again."""
        seen = self.requests
        if times:
            failures = {**seen.failures, operation: seen.failures.get(operation, 0) + times}
            self.requests = replace(seen, failures=failures)

    def tell(self, line: LogLine) -> None:
        """Leave something for the run's log; on the event loop's thread."""
        self.told.append(line)
        self.has_news.set()
