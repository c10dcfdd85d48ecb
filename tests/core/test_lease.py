"""Whether a commit happened, and whether the heartbeat may go on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comporta.core.lease import Beat, Lease, ScopeState, Settlement, judge_beat, settle

MINE = Lease("shop/sale.order", 3, "me", 7)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (ScopeState(3, "me", 8), Settlement.HAPPENED),
        (ScopeState(3, None, 8), Settlement.HAPPENED),
        (ScopeState(3, "me", 7), Settlement.NOT_YET),
        (ScopeState(3, None, 7), Settlement.LOST),
        (ScopeState(4, "me", 8), Settlement.LOST),
        (ScopeState(4, "other", 7), Settlement.LOST),
        (ScopeState(4, None, 7), Settlement.LOST),
        (ScopeState(2, "me", 7), Settlement.LOST),
        (ScopeState(3, "me", 9), Settlement.LOST),
        (ScopeState(3, "me", 6), Settlement.LOST),
        (ScopeState(0, None, 0), Settlement.LOST),
    ],
    ids=[
        "moved on",
        "moved on, and freed: the last commit of a run",
        "unchanged",
        "freed without us",
        "reaped and taken again",
        "taken over",
        "reaped",
        "a ledger from a backup",
        "two commits on",
        "one commit back",
        "never seen",
    ],
)
def test_the_ledger_settles_what_became_of_a_commit(seen: ScopeState, expected: Settlement) -> None:
    """Only one more commit under our epoch is ours; only an unchanged row may be tried again."""
    assert settle(MINE, seen) == expected


def test_a_holder_goes_on_with_one_commit_more() -> None:
    """The next fence expects it; nothing else changed."""
    assert MINE.advanced() == Lease("shop/sale.order", 3, "me", 8)


@given(st.integers(0, 5), st.sampled_from(["me", "other", None]), st.integers(5, 10))
def test_a_commit_is_repeated_only_under_our_own_untouched_lease(epoch: int, holder: str | None, commits: int) -> None:
    """Whatever the ledger shows, the repeated transaction carries what the ledger has."""
    repeated = settle(MINE, ScopeState(epoch, holder, commits)) is Settlement.NOT_YET

    assert repeated == ((epoch, holder, commits) == (MINE.epoch, MINE.holder, MINE.commits))


@pytest.mark.parametrize(
    ("now", "touched", "waiting_until", "expected"),
    [
        (0, 0, None, Beat.RENEW),
        (299.9, 0, None, Beat.RENEW),
        (300, 0, None, Beat.STALLED),
        (400, 0, 500, Beat.RENEW),
        (500, 0, 500, Beat.RENEW),
        (799.9, 0, 500, Beat.RENEW),
        (800, 0, 500, Beat.STALLED),
        (400, 200, 100, Beat.RENEW),
        (7199.9, 7199, None, Beat.RENEW),
        (7200, 7200, None, Beat.OVERDUE),
        (7200, 0, 9000, Beat.OVERDUE),
    ],
)
def test_a_run_keeps_its_lease_while_it_makes_progress_or_waits_for_a_known_end(
    now: float, touched: float, waiting_until: float | None, expected: Beat
) -> None:
    """Five minutes without either and it hangs; no wait reaches beyond the deadline."""
    beat = judge_beat(now=now, touched=touched, waiting_until=waiting_until, stall_s=300, deadline=7200)

    assert beat == expected


seconds = st.floats(0, 10_000)


@given(seconds, seconds, st.none() | seconds, seconds, seconds)
def test_a_beat_that_has_ended_never_begins_again(
    now: float, touched: float, waiting_until: float | None, deadline: float, later: float
) -> None:
    """Without a sign of life, time alone never mends it."""
    first = judge_beat(now=now, touched=touched, waiting_until=waiting_until, stall_s=300, deadline=deadline)
    second = judge_beat(now=now + later, touched=touched, waiting_until=waiting_until, stall_s=300, deadline=deadline)

    assert first is Beat.RENEW or second is not Beat.RENEW
