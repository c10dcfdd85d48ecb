"""What to do about a login now: every cell of the tables, and what holds of every history."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comporta.core import login as rules
from comporta.core.login import (
    AFTER,
    CLOCKS_APART,
    FIRST_PAUSE,
    LEEWAY,
    PAUSE_MAX,
    PAUSE_MAX_EXPIRED,
    STEPS,
    Age,
    Event,
    LoginState,
    Standing,
    Step,
    after_failure,
    age_of,
    next_step,
    paused_until,
    token_fingerprint,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIFE = timedelta(hours=6)
GOOD = LoginState(Standing.GOOD, "t", "1001", NOON, NOON + LIFE)


def test_every_cell_of_the_steps_is_written() -> None:
    """No state is left to chance."""
    assert set(STEPS) == {(standing, age) for standing in Standing for age in Age}


def test_a_person_s_consent_helps_from_everywhere_and_a_refusal_only_follows_an_attempt() -> None:
    """The transitions that matter most."""
    assert {AFTER[standing, Event.CONNECTED] for standing in Standing} == {Standing.GOOD}
    assert [standing for standing, event in AFTER if event is Event.REFUSED] == [Standing.RENEWING]
    assert {AFTER[standing, Event.BEGUN] for standing in Standing} == {Standing.RENEWING}


@pytest.mark.parametrize(
    ("passed", "expected"),
    [
        (timedelta(0), Age.YOUNG),
        (LIFE / 2 - timedelta(seconds=1), Age.YOUNG),
        (LIFE / 2, Age.AGED),
        (LIFE - LEEWAY - timedelta(seconds=1), Age.AGED),
        (LIFE - LEEWAY, Age.EXPIRED),
        (LIFE * 2, Age.EXPIRED),
    ],
)
def test_the_age_of_a_pair(passed: timedelta, expected: Age) -> None:
    """Half of its life, whatever that is, and a little before its end."""
    assert age_of(GOOD, NOON + passed) is expected
    assert age_of(replace(GOOD, expires_at=None), NOON) is Age.EXPIRED


def test_a_short_life_is_not_all_leeway() -> None:
    """A simulator's pair may live for seconds."""
    brief = replace(GOOD, expires_at=NOON + timedelta(seconds=20))

    assert [age_of(brief, NOON + timedelta(seconds=s)) for s in (9, 10, 19)] == [Age.YOUNG, Age.AGED, Age.EXPIRED]


@pytest.mark.parametrize(
    ("state", "hours", "options", "expected"),
    [
        (None, 0, {}, Step.ASK),
        (GOOD, 1, {}, Step.USE),
        (GOOD, 1, {"is_access_refused": True}, Step.RENEW),
        (GOOD, 4, {}, Step.RENEW),
        (GOOD, 9, {}, Step.RENEW),
        (replace(GOOD, standing=Standing.RENEWING), 1, {}, Step.AGAIN),
        (replace(GOOD, standing=Standing.RENEWING), 9, {}, Step.AGAIN),
        (replace(GOOD, standing=Standing.NEEDS_LOGIN), 1, {}, Step.ASK),
        (replace(GOOD, standing=Standing.NEEDS_LOGIN), 1, {"is_access_refused": True}, Step.ASK),
        (replace(GOOD, attempts=1, attempted_at=NOON + 4 * timedelta(hours=1)), 4, {}, Step.USE),
        (replace(GOOD, attempts=1, attempted_at=NOON + 9 * timedelta(hours=1)), 9, {}, Step.PAUSE),
        (replace(GOOD, attempts=1, attempted_at=NOON + 8 * timedelta(hours=1)), 9, {}, Step.RENEW),
    ],
)
def test_what_to_do(state: LoginState | None, hours: int, options: dict[str, bool], expected: Step) -> None:
    """A pause is no reason not to use a pair that is valid."""
    assert next_step(state, NOON + timedelta(hours=hours), **options) is expected


def test_pauses_grow_and_end() -> None:
    """Shorter while somebody waits."""
    tried = replace(GOOD, attempted_at=NOON)
    pauses = [paused_until(replace(tried, attempts=n), Age.AGED, NOON) for n in (0, 1, 2, 3, 50)]
    expired = [paused_until(replace(tried, attempts=n), Age.EXPIRED, NOON) for n in (1, 50)]

    assert pauses == [None, *(NOON + FIRST_PAUSE * n for n in (1, 2, 4)), NOON + PAUSE_MAX]
    assert expired == [NOON + FIRST_PAUSE, NOON + PAUSE_MAX_EXPIRED]


@pytest.mark.parametrize(("ahead", "is_believed"), [(CLOCKS_APART, True), (CLOCKS_APART * 1.1, False)])
def test_a_clock_that_was_ahead_holds_nothing_up(ahead: timedelta, is_believed: bool) -> None:
    """A pause would last, and a pair be young, until the clock is there again; machines differ by a little."""
    tried = replace(GOOD, expires_at=NOON - LIFE, issued_at=NOON - 2 * LIFE, attempts=9, attempted_at=NOON + ahead)
    new = replace(GOOD, issued_at=NOON + ahead, expires_at=NOON + ahead + LIFE)

    assert next_step(tried, NOON) is (Step.PAUSE if is_believed else Step.RENEW)
    assert next_step(new, NOON) is (Step.USE if is_believed else Step.RENEW)


def test_an_unanswered_attempt_stays_one_after_a_failure() -> None:
    """What became of it is not known any better."""
    assert after_failure(None) is after_failure(GOOD) is Standing.GOOD
    assert after_failure(replace(GOOD, standing=Standing.RENEWING)) is Standing.RENEWING


@given(st.text(min_size=1), st.text(min_size=1))
def test_fingerprints_tell_tokens_apart_and_give_none_away(one: str, other: str) -> None:
    """Sixteen letters."""
    assert (token_fingerprint(one) == token_fingerprint(other)) == (one == other)
    assert len(token_fingerprint(one)) == 16


@dataclass
class History:
    """A server that rotates, and processes that decide by the rules and die by the dice."""

    dice: Random
    state: LoginState = GOOD
    stored: int = 1
    newest: int = 1
    now: datetime = NOON
    answered: set[int] = field(default_factory=set)
    sent_again: int = 0
    unheard: int = 0
    lost: int = 0
    consents: int = 0
    wrong: list[str] = field(default_factory=list)

    def turn(self) -> None:
        """Let time pass, and one process do what the rules say."""
        self.now += self.dice.choice((timedelta(seconds=1), timedelta(minutes=2), LIFE / 3))
        step = next_step(self.state, self.now)
        if step in {Step.USE, Step.PAUSE}:
            if step is Step.USE and age_of(self.state, self.now) is Age.EXPIRED:
                self.wrong.append("an expired pair is used")
            return
        if step is Step.ASK:
            self._granted_anew()
            return
        before = self.state
        begun = AFTER[before.standing, Event.BEGUN]
        self.state = replace(
            before, standing=begun, attempt=before.token, attempted_at=self.now, attempts=before.attempts + 1
        )
        self._send(before)

    def _send(self, before: LoginState) -> None:
        fate = self.dice.choice(("well", "killed before", "500", "killed after", "killed after the answer"))
        if fate == "killed before":
            return
        if self.stored in self.answered:
            self.sent_again += 1
        if fate == "500":
            self.state = replace(self.state, standing=after_failure(before))
        elif self.stored != self.newest:
            self.answered.add(self.stored)
            self.state = replace(self.state, standing=AFTER[self.state.standing, Event.REFUSED])
            self.lost += 1
        else:
            self.newest += 1
            if fate.startswith("killed"):
                self.unheard += 1
            else:
                self.answered.add(self.stored)
                self.stored = self.newest
                self.state = self._pair(AFTER[self.state.standing, Event.GRANTED])

    def _granted_anew(self) -> None:
        self.consents += 1
        self.newest += 1
        self.stored = self.newest
        self.state = self._pair(AFTER[self.state.standing, Event.CONNECTED])

    def _pair(self, standing: Standing) -> LoginState:
        return LoginState(standing, str(self.stored), "1001", self.now, self.now + LIFE)


def played(seed: int) -> History:
    """Play a history of a hundred turns."""
    history = History(Random(seed))
    for _ in range(100):
        history.turn()
    return history


def faults(history: History) -> list[str]:
    """Return what must not be, in a history."""
    found = list(history.wrong)
    if history.lost > history.unheard:
        found.append("a login was lost that the server had not rotated unheard")
    if history.consents > history.lost:
        found.append("a person was asked although no login was lost")
    if history.sent_again:
        found.append("a token was sent again whose use was answered")
    return found


@pytest.mark.full
@given(st.integers(0, 2**32))
def test_a_login_is_lost_only_by_an_unheard_answer(seed: int) -> None:
    """However often processes die, and at whichever step."""
    assert faults(played(seed)) == []


def _without(cell: tuple[Standing, Age], step: Step) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(rules, "STEPS", {**STEPS, cell: step})


MUTANTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "an expired pair is used": _without((Standing.GOOD, Age.EXPIRED), Step.USE),
    "an unanswered attempt calls for a person": _without((Standing.RENEWING, Age.EXPIRED), Step.ASK),
    "a refused token is tried again": _without((Standing.NEEDS_LOGIN, Age.EXPIRED), Step.AGAIN),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_of_the_table_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a few hundred histories."""
    MUTANTS[name](monkeypatch)
    caught = 0
    for seed in range(300):
        try:
            history = played(seed)
        except KeyError:  # a transition that does not exist
            caught += 1
            continue
        caught += bool(faults(history))

    assert caught
