"""When next, or never."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comporta.core.retry import RUN_RETRIES, RetryPolicy

attempts = st.integers(1, 10_000)
jitters = st.floats(0, 1, exclude_max=True)
pauses = st.none() | st.timedeltas(timedelta(0), timedelta(days=1))


@given(attempts, jitters, pauses)
def test_a_delay_is_there_exactly_while_tries_are_left(attempt: int, jitter: float, asked: timedelta | None) -> None:
    """The fourth failure of a run is the last: the schedule's next run takes over."""
    delay = RUN_RETRIES.delay(attempt, jitter=jitter, asked=asked)

    assert (delay is not None) == (attempt <= 3)


@given(attempts, jitters)
def test_a_delay_never_exceeds_its_cap_nor_overflows(attempt: int, jitter: float) -> None:
    """However often something was tried."""
    policy = RetryPolicy(retries=10_000, base=timedelta(seconds=4), cap=timedelta(minutes=5))
    delay = policy.delay(attempt, jitter=jitter)

    assert delay is not None
    assert timedelta(0) <= delay <= policy.cap


@given(attempts, jitters, st.timedeltas(timedelta(0), timedelta(days=1)))
def test_nobody_comes_back_before_the_source_allows_it(attempt: int, jitter: float, asked: timedelta) -> None:
    """Retry-After is a floor, above our own cap too."""
    policy = RetryPolicy(retries=10_000, base=timedelta(seconds=4), cap=timedelta(minutes=5))
    delay = policy.delay(attempt, jitter=jitter, asked=asked)

    assert delay is not None
    assert delay >= asked


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 2), (2, 4), (3, 8), (7, 128), (8, 150)])
def test_delays_double_up_to_the_cap(attempt: int, seconds: int) -> None:
    """Half of 4, 8, 16 … 300 seconds, with a jitter of one half."""
    policy = RetryPolicy(retries=8, base=timedelta(seconds=4), cap=timedelta(minutes=5))

    assert policy.delay(attempt, jitter=0.5) == timedelta(seconds=seconds)
