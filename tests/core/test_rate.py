"""Shares of a limit: exact as the source counts, so that neither a burst nor a pause flatters."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from comporta.core.rate import limit_used, rate_text
from comporta.settings_values import RateLimit

SECOND = timedelta(seconds=1)


@given(limit=st.integers(1, 10), gaps=st.lists(st.floats(0, 3), max_size=50))
def test_the_share_is_never_above_one_while_the_limit_is_kept(limit: int, gaps: list[float]) -> None:
    """Whenever they are sent, each at the earliest a span after the N-th last."""
    sent = [0.0]
    for gap in gaps:
        earliest = sent[-limit] + 1.0 if len(sent) >= limit else 0.0
        sent.append(max(sent[-1] + gap, earliest))

    used = limit_used(len(sent), sent[0], sent[-1], (limit, SECOND))

    assert (used is None) == (len(sent) == 1)
    assert used is None or 0 < used <= 1


def test_a_client_that_waits_for_each_answer_is_seen() -> None:
    """One request in 0.8 s is a quarter of five in a second."""
    assert limit_used(100, 0.0, 99 * 0.8, (5, SECOND)) == 0.25


def test_nothing_is_said_where_nothing_is_known() -> None:
    """No limit, no request, or one: there is no span to speak of."""
    assert limit_used(10, 0.0, 1.0, None) is None
    assert limit_used(0, None, None, (5, SECOND)) is None
    assert limit_used(1, 3.0, 3.0, (5, SECOND)) is None


@given(st.integers(1, 100), st.sampled_from([0.5, 1, 30, 60, 90, 3_600, 86_400]))
def test_a_rate_is_said_as_the_settings_say_it(requests: int, seconds: float) -> None:
    """One form for people, wherever they read it."""
    rate = (requests, timedelta(seconds=seconds))

    assert rate_text(rate) == RateLimit(*rate).text
