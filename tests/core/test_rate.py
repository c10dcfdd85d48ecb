"""Shares of a limit: of what it allowed in the time from the first request to the last."""

from datetime import timedelta
from math import floor

from hypothesis import given
from hypothesis import strategies as st

from comporta.core.rate import limit_used

SECOND = timedelta(seconds=1)


@given(limit=st.integers(1, 10), gaps=st.lists(st.floats(0, 3), max_size=50))
def test_the_share_is_right_but_for_one_burst(limit: int, gaps: list[float]) -> None:
    """Whenever they are sent, each at the earliest a span after the N-th last, as a source counts it."""
    sent = [0.0]
    for gap in gaps:
        earliest = sent[-limit] + 1.0 if len(sent) >= limit else 0.0
        sent.append(max(sent[-1] + gap, earliest))

    used = limit_used(len(sent), sent[0], sent[-1], (limit, SECOND))

    assert (used is None) == (len(sent) == 1)
    if used is not None:
        allowed = limit * (floor(sent[-1] - sent[0]) + 1)
        assert len(sent) / allowed - 1e-4 <= used <= min(1.0, len(sent) / max(limit, allowed - limit)) + 1e-4


def test_a_client_that_waits_for_each_answer_is_seen() -> None:
    """One request in 0.8 s is a quarter of five in a second; one in 0.2 s is all of it."""
    assert limit_used(100, 0.0, 99 * 0.8, (5, SECOND)) == 0.2525
    assert limit_used(11, 0.0, 10 * 0.2, (5, SECOND)) == 1.0


def test_nothing_is_said_where_nothing_is_known() -> None:
    """No limit, no request, or one: there is no span to speak of."""
    assert limit_used(10, 0.0, 1.0, None) is None
    assert limit_used(0, None, None, (5, SECOND)) is None
    assert limit_used(1, 3.0, 3.0, (5, SECOND)) is None
