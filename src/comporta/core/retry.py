"""Retry as data: given a policy and an attempt, when next, or never.

Nobody sleeps in a frame over a restart: the delay becomes ``not_before`` of a new queued run, which
people can see and hurry along.
"""

from dataclasses import dataclass
from datetime import timedelta

DOUBLINGS_MAX = 20
"""A delay doubles so often at most: a million times the base is beyond every cap, and no timedelta overflows."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often something is tried again and how far apart: exponential, with full jitter."""

    retries: int
    base: timedelta
    cap: timedelta

    def delay(self, attempt: int, *, jitter: float, asked: timedelta | None = None) -> timedelta | None:
        """Return how long to wait after attempt number ``attempt`` (from 1) failed; ``None`` for never.

        ``jitter`` is a random number in [0, 1). ``asked`` is the source's own Retry-After: never less
        than that.

        >>> policy = RetryPolicy(retries=3, base=timedelta(seconds=4), cap=timedelta(minutes=5))
        >>> [policy.delay(n, jitter=0.5) for n in (1, 2, 4)]
        [datetime.timedelta(seconds=2), datetime.timedelta(seconds=4), None]
        """
        if attempt > self.retries:
            return None
        full = min(self.base * (1 << min(attempt - 1, DOUBLINGS_MAX)), self.cap)
        return max(full * jitter, asked or timedelta())


RUN_RETRIES = RetryPolicy(retries=3, base=timedelta(seconds=4), cap=timedelta(minutes=5))
"""Runs: three more tries in a row, then the schedule's next."""
FOREGROUND_WAIT_MAX = timedelta(minutes=15)
"""A source that asks for more (Retry-After: 86400) is not waited for: the successor stays queued for a later sync."""
