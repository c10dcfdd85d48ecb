"""The sliding log: never more than allowed in any span, hardly fewer while there is work, in the right order."""

from collections import Counter
from dataclasses import replace
from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comporta.core.allowance import Learnt, Limit, allowed
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


def play(
    pleas: list[Plea], seconds: float, *, late_s: float = 0.0005, begun: float = 100.0, state: LimitState | None = None
) -> list[tuple[float, str]]:
    """Let everybody ask when told, a little late, all the time; return who passed when."""
    state = state or LimitState()
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


def settled(
    source: int, *, storm: tuple[float, float] = (0.0, 0.0), seconds: int = 240
) -> tuple[list[float], list[float]]:
    """Ask a source of an unknown limit all the time; return when it let pass and when it refused, as in a storm."""
    state, now, passed, refusals = LimitState(), 0.0, list[float](), list[float]()
    while now < seconds:
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


def test_entries_of_the_dead_are_dropped() -> None:
    """The state does not grow with every process there ever was."""
    state = LimitState()
    for n in range(100):
        state, _ = ask(lost(FIVE, 100.0 + n) if not n else state, Plea(f"p{n}", FIVE, count=9), 100.0 + n)

    assert len(state.waiters) <= 5
    assert replace(state, waiters=()).stamps != ()
