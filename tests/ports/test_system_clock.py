"""The real clock keeps the port's words."""

from datetime import UTC, timedelta

from comporta.ports.clock import Clock
from comporta.ports.system_clock import SystemClock


def test_now_is_aware_and_in_utc() -> None:
    """Nothing inside the product ever sees a naive time."""
    clock: Clock = SystemClock()

    assert clock.now().tzinfo is UTC


async def test_sleep_lasts_at_least_as_long_as_asked() -> None:
    """A budget may rely on it: waiting too short would break the limit."""
    clock = SystemClock()
    began = clock.monotonic()

    await clock.sleep(timedelta(milliseconds=20))

    assert clock.monotonic() - began >= 0.02


async def test_sleeping_for_a_time_that_has_passed_returns_at_once() -> None:
    """A wait that is computed may come out negative."""
    clock = SystemClock()
    began = clock.monotonic()

    await clock.sleep(timedelta(seconds=-5))

    assert clock.monotonic() - began < 1
