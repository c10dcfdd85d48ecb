"""The sliding log: never more than allowed in any span, hardly fewer while there is work, in the right order."""

from collections import Counter
from dataclasses import replace
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comporta.core.allowance import Limit
from comporta.core.limit import (
    GRACE_S,
    GRAINS,
    WAY_S,
    LimitState,
    Plea,
    Refusal,
    ask,
    lost,
    rebased,
    refused,
    used,
    waiting,
    withdraw,
)

FIVE = Limit(5, 1.0)
PERSON, BULK = 0, 2


def passed_in_any_span(left: list[float], limit: Limit) -> int:
    """Return the most requests that left within one span."""
    left = sorted(left)
    return max(sum(at <= other < at + limit.span_s for other in left) for at in left)


def play(pleas: list[Plea], seconds: float) -> list[tuple[float, str]]:
    """Let everybody ask when told, a little late, all the time; return who passed when."""
    state, begun, late_s = LimitState(), 100.0, 0.0005
    due = {plea.who: begun for plea in pleas}
    by_name = {plea.who: plea for plea in pleas}
    passed: list[tuple[float, str]] = []
    while (now := min(due.values()) + late_s) < begun + seconds:
        who = min(due, key=lambda name: due[name])
        state, verdict = ask(state, by_name[who], now)
        if verdict.is_granted:
            passed.append((now + verdict.start_s, who))
        due[who] = now + verdict.wait_s
    return passed


steps = st.lists(
    st.tuples(
        st.floats(0, 0.5),  # seconds since the last plea
        st.integers(0, 3),  # who
        st.integers(0, 2),  # priority
        st.integers(1, 4),  # how many wait
        st.sampled_from([0.01, 0.02, 0.2]),  # the lead
        st.floats(0, 1),  # how much of it was needed
        st.sampled_from([0.0, 0.02, 0.5, 3.0]),  # how long ahead it is asked
    ),
    max_size=120,
)


@given(steps, st.sampled_from([Limit(1, 1.0), FIVE, Limit(7, 2.5), Limit(GRAINS + 50, 0.5)]))
def test_never_more_than_the_limit_leave_in_any_span(
    played: list[tuple[float, int, int, int, float, float, float]], limit: Limit
) -> None:
    """Whoever asks, whenever, and however late within the lead a request leaves."""
    state, now, left = LimitState(), 1_000.0, []
    for apart, who, priority, count, lead_s, share, ahead_s in played:
        now += apart
        for _ in range(40):
            state, verdict = ask(state, Plea(f"p{who}", limit, priority, count, lead_s, ahead_s), now)
            if not verdict.is_granted:
                break
            left.append(now + verdict.start_s + lead_s * share)

    assert not left or passed_in_any_span(left, limit) <= limit.requests


@pytest.mark.parametrize("processes", [1, 4])
@pytest.mark.parametrize("limit", [Limit(1, 1.0), FIVE, Limit(100, 60.0)], ids=str)
def test_hardly_less_than_the_limit_is_used_while_there_is_work(limit: Limit, processes: int) -> None:
    """97 % at least, with everybody half a millisecond late."""
    passed = play([Plea(f"p{n}", limit, count=9) for n in range(processes)], limit.span_s * 50)

    took = passed[-1][0] - passed[0][0]
    assert (len(passed) / limit.requests - 1) * limit.span_s / took >= 0.97


@pytest.mark.parametrize("ahead_s", [(0.0, 0.0, 0.0), (0.02, 0.02, 0.02), (0.0, 0.02, 0.5)], ids=str)
def test_processes_of_equal_priority_pass_in_turns(ahead_s: tuple[float, ...]) -> None:
    """Nobody gets more than one request ahead of another, though one asks much sooner."""
    passed = play([Plea(f"p{n}", FIVE, count=9, ahead_s=each) for n, each in enumerate(ahead_s)], 60)

    shares = Counter(who for _, who in passed)
    assert max(shares.values()) - min(shares.values()) <= 2


@pytest.mark.parametrize("counts", [(1, 1), (1, 9), (9, 1)], ids=str)
def test_who_has_one_request_after_another_takes_turns_too(counts: tuple[int, int]) -> None:
    """Such a process leaves the log with each grant and comes anew at once: behind who waits, whatever their names."""
    passed = play([Plea(f"p{n}", Limit(1, 1.0), count=count) for n, count in enumerate(counts)], 60)

    assert max(len(list(run)) for _, run in groupby(who for _, who in passed)) <= 2


def test_the_more_urgent_passes_first() -> None:
    """While a person's requests wait in one process, a backfill in another gets nothing."""
    passed = play([Plea("bulk", FIVE, BULK, 9), Plea("person", FIVE, PERSON, 9)], 60)

    after = [who for at, who in passed if at > 102]
    assert set(after) == {"person"}


def test_one_request_of_a_person_waits_for_one_place_only() -> None:
    """It passes as soon as there is room at all, though a backfill is always waiting."""
    state, now = LimitState(), 100.0
    for _ in range(5):
        state, _ = ask(state, Plea("bulk", FIVE, BULK, 9), now)
        now += 0.1
    state, verdict = ask(state, Plea("person", FIVE, PERSON), now)
    state, bulk = ask(state, Plea("bulk", FIVE, BULK, 9), now + verdict.wait_s)
    state, person = ask(state, Plea("person", FIVE, PERSON), now + verdict.wait_s)

    assert (bulk.is_granted, person.is_granted) == (False, True)


def test_who_died_costs_a_quarter_of_a_second() -> None:
    """A place is kept for the first until it should have asked again, and a little longer."""
    state, died = ask(lost(Limit(1, 1.0), 100.0), Plea("dead", Limit(1, 1.0), PERSON), 100.0)
    due = 100.0 + died.wait_s
    state, early = ask(state, Plea("alive", Limit(1, 1.0), BULK), due + GRACE_S - 0.01)
    _, late = ask(state, Plea("alive", Limit(1, 1.0), BULK), due + GRACE_S + 0.001)

    assert (early.is_granted, late.is_granted) == (False, True)


def test_who_asks_late_loses_that_place_and_no_other() -> None:
    """The way to the log took longer than a place is kept: the next is its own, for it had fewer turns."""
    near, far = (Plea(who, Limit(1, 1.0), count=9) for who in ("near", "far"))
    state, told = ask(lost(Limit(1, 1.0), 100.0), far, 100.0)
    state, _ = ask(state, near, 100.1)
    state, taken = ask(state, near, 100.0 + told.wait_s + GRACE_S + 0.01)
    state, told = ask(state, far, 101.4)
    state, refused_ = ask(state, near, 101.4 + told.wait_s)
    _, granted = ask(state, far, 101.4 + told.wait_s + GRACE_S / 2)

    assert [each.is_granted for each in (taken, told, refused_, granted)] == [True, False, False, True]


def told_until_granted(state: LimitState, plea: Plea, now: float) -> list[float]:
    """Return when somebody asks who always asks again when told, the last time with success."""
    asked, is_granted = [], False
    while not is_granted:
        asked.append(now)
        state, verdict = ask(state, plea, now)
        is_granted, now = verdict.is_granted, now + verdict.wait_s
    return asked


def test_whether_the_first_is_dead_is_asked_less_and_less_often() -> None:
    """Each asking changes the log, and whoever is far away from it must decide anew then."""
    state, died = ask(lost(Limit(1, 1.0), 100.0), Plea("dead", Limit(1, 1.0), PERSON), 100.0)
    asked = told_until_granted(state, Plea("alive", Limit(1, 1.0), BULK), 100.0 + died.wait_s)

    assert asked[-1] - asked[0] < 1.5 * GRACE_S
    assert len(asked) <= 12


def test_who_died_with_many_requests_costs_hardly_more_than_with_one() -> None:
    """Who waits behind fifty places of a minute's budget does not sleep until the fifty-first."""
    limit = Limit(100, 60.0)
    state = LimitState(stamps=tuple((100.0 + n * 0.6, 1) for n in range(100)), touched=159.5)
    state, died = ask(state, Plea("dead", limit, PERSON, 50), 159.5)
    asked = told_until_granted(state, Plea("alive", limit, BULK), 159.6)

    assert asked[-1] - (159.5 + died.wait_s) < 2.5
    assert len(asked) <= 3


def test_room_that_came_unexpectedly_is_kept_for_nobody_who_will_not_ask_yet() -> None:
    """A grant was thrown away while the one with fewer turns sleeps until the next is due: whoever is here takes it."""
    state, grants = LimitState(), []
    for n in range(5):
        state, granted = ask(state, Plea("b", FIVE, count=9), 100.0 + n / 1_000)
        grants.append(granted)
    state, asleep = ask(state, Plea("a", FIVE), 100.1)
    _, taken = ask(state, Plea("b", FIVE, count=9, unused=grants[0].stamp), 100.2)

    assert (asleep.is_granted, asleep.wait_s > 0.8) == (False, True)
    assert taken.is_granted


def test_of_two_grants_of_one_instant_one_is_thrown_away() -> None:
    """Whose stamp it is cannot be told apart, and need not be."""
    state, grant = ask(LimitState(), Plea("a", FIVE), 100.0)
    state, _ = ask(state, Plea("b", FIVE), 100.0)
    state, _ = ask(state, Plea("a", FIVE, unused=grant.stamp), 100.001)

    assert used(state, FIVE, 100.002) == 2


def test_who_withdraws_costs_nothing() -> None:
    """The place is free at once."""
    state, first = ask(lost(Limit(1, 1.0), 100.0), Plea("gone", Limit(1, 1.0), PERSON), 100.0)
    state = withdraw(state, "gone", 100.5)
    _, next_ = ask(state, Plea("next", Limit(1, 1.0), BULK), 100.0 + first.wait_s)

    assert next_.is_granted


@pytest.mark.parametrize("other_lead_s", [0.008, 0.5])
def test_a_long_log_is_kept_short(other_lead_s: float) -> None:
    """A limit of thousands is a few hundred entries, and still never passed, whatever leads there are."""
    limit = Limit(3_000, 60.0)
    state, left = LimitState(), []
    for n in range(6_000):
        now = 100.0 + n * 0.015
        state, verdict = ask(state, Plea("p", limit, lead_s=other_lead_s if n % 2 else 0.008), now)
        left += [now] if verdict.is_granted else []

    assert len(state.stamps) <= GRAINS + 4
    assert list(state.stamps) == sorted(state.stamps)
    assert used(state, limit, now) <= 3_000
    assert all(later - first >= 60.0 for first, later in zip(left, left[3_000:], strict=False))


@given(st.floats(-1e6, 1e6))
def test_a_clock_that_jumps_back_lets_nothing_pass_early(jump: float) -> None:
    """A machine that started anew, a clock that was set: what was in the log counts as just as young."""
    state = LimitState(touched=1e6 + 100.0)
    for _ in range(5):
        state, _ = ask(state, Plea("p", FIVE), 1e6 + 100.0)
    now = 1e6 + 100.0 + min(jump, 0.0)
    state, verdict = ask(state, Plea("p", FIVE), now)

    assert not verdict.is_granted
    assert 1.0 <= verdict.wait_s <= 1.03


def test_everything_moves_with_the_clock() -> None:
    """Pauses and what was learnt too: nobody waits for an instant that never comes."""
    state = refused(LimitState(touched=5_000.0), Refusal(FIVE, 30.0, "429"), 5_000.0)
    state, _ = ask(state, Plea("p", FIVE), 5_000.0)
    moved = rebased(state, 10.0)

    assert moved.pause is not None
    assert moved.learnt is not None
    assert (moved.pause.until, moved.learnt.changed_at) == (40.0, 10.0)
    assert waiting(moved, 10.0) == 1


def test_a_lost_log_counts_as_full() -> None:
    """For one span nothing passes."""
    _, at_once = ask(lost(FIVE, 100.0), Plea("p", FIVE), 100.5)
    _, later = ask(lost(FIVE, 100.0), Plea("p", FIVE), 101 + WAY_S + 0.001)

    assert (at_once.is_granted, later.is_granted) == (False, True)


def test_entries_of_the_dead_are_dropped() -> None:
    """The state does not grow with every process there ever was."""
    state = LimitState()
    for n in range(100):
        state, _ = ask(lost(FIVE, 100.0 + n) if not n else state, Plea(f"p{n}", FIVE, count=9), 100.0 + n)

    assert len(state.waiters) <= 5
    assert replace(state, waiters=()).stamps != ()
