"""Real time, and waiting in it: the only module of the simulators that touches either.

Everything else asks a ``Reality``, so that a test can hand in one that never waits.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event


def real_now() -> datetime:
    """Return the machine's present instant, aware, in UTC."""
    return datetime.now(UTC)


def wait_real(until: Event, seconds: float) -> bool:
    """Wait until the event is set or the seconds are over; return whether it is set."""
    return until.wait(seconds)


@dataclass(frozen=True, slots=True)
class Reality:
    """What a simulator needs of the real world: the hour, a stopwatch, and patience that can be interrupted."""

    now: Callable[[], datetime] = real_now
    monotonic: Callable[[], float] = time.monotonic
    wait: Callable[[Event, float], bool] = wait_real
