"""What refusals teach the sliding log: pauses for everybody, less for a while, and how unknown limits are found."""

from itertools import pairwise

import pytest
from tests.core.test_limit import FIVE

from comporta.core.allowance import Learnt, Limit, allowed
from comporta.core.limit import (
    LimitState,
    Plea,
    Refusal,
    ask,
    refused,
)


def test_a_pause_is_for_everybody_and_ends() -> None:
    """Retry-After, as long as it says; a shorter one does not end a longer."""
    state = refused(LimitState(), Refusal(FIVE, 30.0, "429 Too Many"), 100.0)
    state = refused(state, Refusal(FIVE, 1.0, "429 again", age_s=0.5), 101.0)
    _, during = ask(state, Plea("other", FIVE), 129.9)
    _, after = ask(state, Plea("other", FIVE), 130.0)

    assert (during.is_granted, during.paused) == (False, "429 Too Many")
    assert during.wait_s == pytest.approx(0.1)
    assert after.is_granted


def test_pauses_without_a_wish_grow_while_refusals_go_on() -> None:
    """One second, two, four … a minute at most; quiet forgets it."""
    state, now, lengths = LimitState(), 100.0, []
    for _ in range(8):
        state = refused(state, Refusal(FIVE, None, "429"), now)
        assert state.pause is not None
        lengths.append(state.pause.until - now)
        now = state.pause.until + 1.0
    calm = refused(state, Refusal(FIVE, None, "429"), now + 60.0)

    assert lengths == [1, 2, 4, 8, 16, 32, 60, 60]
    assert calm.pause is not None
    assert calm.pause.until == now + 61.0


def test_what_was_under_way_teaches_nothing_twice() -> None:
    """Five requests of one burst are refused, and five of the next, after the pause: less is allowed once.

    The last of them leave when the first is refused already: they had been granted.
    """
    state = LimitState()
    for burst in (100.0, 101.5):
        for n in range(5):
            state = refused(state, Refusal(FIVE, None, "429", age_s=0.1), burst + 0.1 + n * 0.05)

    assert state.learnt == Learnt(3, 1.0, changed_at=101.6)


@pytest.mark.parametrize("learnt", [None, Learnt(3, 1.0, changed_at=70.0), Learnt(4, 1.0, changed_at=80.0, step=1)])
def test_a_refusal_now_and_then_teaches_nothing(learnt: Learnt | None) -> None:
    """The way may bring a request sooner after another than it left; only a try for more is given up at once."""
    state = LimitState(learnt=learnt)
    for at in (100.0, 115.0, 128.0):
        state = refused(state, Refusal(FIVE, None, "429"), at)

    present = 5 if learnt is None else 3
    assert allowed(FIVE, state.learnt) == Limit(present, 1.0)
    assert state.pause is not None
    assert state.pause.until == 129.0


def test_a_source_that_counts_by_minutes_is_learnt_from_minute_by_minute() -> None:
    """Its window is fresh after the pause that it asked for, so it refuses again only when that is used up."""
    minute = Limit(100, 60.0)
    state = refused(LimitState(), Refusal(minute, 60.0, "429"), 100.0)
    state = refused(state, Refusal(minute, 60.0, "429"), 200.0)

    assert allowed(minute, state.learnt) == Limit(70, 60.0)


@pytest.mark.full
def test_where_others_use_a_part_it_settles_beside_them() -> None:
    """Of five others use two, evenly: after an hour there were few refusals, each a try for more."""
    others = [100.0 + n * 0.5 for n in range(7_200)]
    state, now, seen, refusals = LimitState(), 100.0, list[float](), list[float]()
    while now < 3_700.0:
        state, verdict = ask(state, Plea("p", FIVE, count=2), now)
        if verdict.is_granted:
            first = max(0, int((now - 101.0) / 0.5))
            beside = sum(now - 1.0 < at <= now for at in others[first : first + 4])
            mine = sum(now - 1.0 < at for at in seen[-6:])
            if beside + mine >= 5:
                refusals.append(now)
                state = refused(state, Refusal(FIVE, None, "429"), now)
            else:
                seen.append(now)
        now += max(verdict.wait_s, 0.001)

    tries = [round(later - first) for first, later in pairwise(refusals)]
    assert len(refusals) <= 10
    assert all(later >= 1.5 * first for first, later in pairwise(tries[:4]))
    assert len(seen) / 3_600 >= 0.95 * 3


def test_a_limit_that_nobody_knows_is_found() -> None:
    """Nothing is counted until the first refusal; then seven tenths of what was sent in the last second."""
    state, free = ask(LimitState(), Plea("p", None), 100.0)
    state = refused(state, Refusal(None, None, "429", used=40), 101.0)
    _, bound = ask(state, Plea("p", None), 103.0)

    assert (free.is_granted, free.limit) == (True, None)
    assert bound.limit == Limit(28, 1.0)


def settled(source: int, *, storm: tuple[float, float] = (0.0, 0.0)) -> tuple[list[float], list[float]]:
    """Ask a source of an unknown limit all the time; return when it let pass and when it refused, as in a storm."""
    state, now, passed, refusals = LimitState(), 0.0, list[float](), list[float]()
    while now < 240:
        state, verdict = ask(state, Plea("p", None), now)
        if verdict.is_granted:
            sent = sum(at > now - 1.0 for at in [*passed[-400:], *refusals[-400:]]) + 1
            if storm[0] < now < storm[1] or sum(at > now - 1.0 for at in passed[-400:]) >= source:
                refusals.append(now)
                state = refused(state, Refusal(None, None, "429", used=sent), now)
            else:
                passed.append(now)
        now += max(verdict.wait_s, 0.004)
    return passed, refusals


@pytest.mark.full
@pytest.mark.parametrize("source", [3, 20, 100])
def test_an_unknown_limit_is_found_within_a_minute_and_kept(source: int) -> None:
    """From then on nearly all of it is used, with a refusal now and then."""
    passed, refusals = settled(source)

    assert sum(60 < at < 240 for at in passed) > 0.9 * source * 180
    assert sum(at > 120 for at in refusals) <= 3


@pytest.mark.full
def test_an_unknown_limit_is_found_again_after_a_storm() -> None:
    """Fifteen seconds in which everything was refused leave one a second; a minute later it is all again."""
    passed, _ = settled(20, storm=(60.0, 75.0))

    assert sum(135 < at < 195 for at in passed) > 0.9 * 20 * 60


def test_an_allowance_that_nobody_used_teaches_nothing() -> None:
    """It rises while little is sent; a refusal then counts what was sent, and is not worked off step by step."""
    state = refused(LimitState(), Refusal(None, None, "429", used=2), 0.0)
    for now in range(2, 60, 3):
        state, _ = ask(state, Plea("p", None), float(now))
    state = refused(state, Refusal(None, None, "429", used=8), 60.0)

    assert state.learnt is not None
    assert state.learnt.requests == 5


def test_a_climb_that_nobody_refuses_ends() -> None:
    """After a while nothing is counted any more."""
    state = refused(LimitState(), Refusal(None, None, "429", used=2), 0.0)
    for now in range(2, 120, 3):
        state, _ = ask(state, Plea("p", None), float(now))

    assert state.learnt is None


def test_other_terms_forget_what_was_learnt_under_these() -> None:
    """Three a second are not three a minute."""
    state = refused(LimitState(), Refusal(FIVE, 0.0, "429"), 100.0)
    _, verdict = ask(state, Plea("p", Limit(100, 60.0)), 100.0)

    assert verdict.limit == Limit(100, 60.0)
