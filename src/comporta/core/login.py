"""Logins whose tokens are used once: what to do now, decided from what is stored and the clock.

Some sources (OAuth with rotating tokens) give a *pair*: an access token that opens the data for some hours, and a
refresh token that buys the next pair. A refresh token is good for **one** use. Whoever uses it makes the server forget
it; if the answer then gets lost, or is not kept, nobody has a token any more and a person must grant access again.
Streams, processes and machines share one pair, so they could also use it twice. This module, ``ledger/logins.py`` and
``coordination/logins.py`` together let neither happen.

**What is authoritative.** One row of cmp_login for each account, beside the pair itself, which lies closed in
cmp_secret; both are written in the same transaction, always. Nothing in a process's memory counts, but for the pair
that it has just been given and not yet kept. The pairs of an account are a chain: token T1 buys T2, T2 buys T3. The
row names the end of the chain as far as we know it (``token``, a fingerprint). *A pair may be stored only where the
row still names the token that bought it.* Since the server lets each token buy once, at most one pair passes.

**One renewal**, and what a crash leaves at each step:

    1. take the lease account/@login         crash: it runs out within seconds, nothing else happened
    2. read the row again                    somebody else may have renewed meanwhile: then use theirs, send nothing
    3. write the attempt ahead (renewing)    crash before: as 1. Crash after: the row tells of an attempt that was
       and flush it to the disk              perhaps never made; the next holder makes it again with the same token
    4. look once more: lease ours, row       a process that slept here past its lease finds another's pair, and
       unchanged? then send                  sends nothing
    5. the server answers                    crash between its rotation and our receiving: **lost**, see below
    6. store the new pair (good), flush      crash between 5 and 6: lost too; it is a few milliseconds
    7. free the lease, use the pair          crash: everything is stored

    A pair is never used before it is stored: a token seen in use can be relied on to be in the database.

**An attempt without an answer** (``renewing``, and nobody holds the lease) is made again *with the same token*. Either
the server never rotated (killed before sending, cut on the way there): then this is the first use and it is granted.
Or it rotated and its answer was lost: then the server refuses, and nothing could have helped, for nobody else has ever
seen the new pair. So the repetition never costs anything, and only a refusal ends it: however often processes are
killed before the server has rotated, the login lives.

**A refusal is final.** The server answered that this token buys nothing. Unless the row names another token by now
(somebody renewed, a person connected again: then theirs is used), the login ``needs_login``: no request is made until
a person grants access again, or writes another first token into the settings. A first token that was ever used is not
tried a second time: its fingerprint is kept.

**Trouble is not a refusal.** No connection, 5xx, 429, a wrong client_secret: the present pair stays and is used while
it is valid; the next try waits, longer each time. That is why renewal begins when half of a pair's life is over.

**The sleeper.** A process can be stopped for an hour between 4 and the sending, or while its answer waits in a socket.
Time cannot be fenced over HTTP, so another holder may have sent the same token meanwhile. The server lets one of the
two win. If the sleeper won, its pair is the chain's next link, and it is stored although its lease has gone: the row
still names the token that bought it, even if the other was refused and wrote ``needs_login``. If it lost, its refusal
is about a token that the row names no more, or comes under an epoch that is not its own: it changes nothing.

**A clock that was ahead** and was set back has written instants that are not yet. They hold nothing up: a pause from
then is over, and a pair from then is used and renewed at once.

**What cannot be helped**: the server rotated and its answer never reached us, or reached a process that died before
the disk had it. The row says so (``attempt``, ``attempted_at``, ``reason``), and a person is told the next step.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

LOGIN_SCOPE = "/@login"
"""What follows the account's name in the scope whose lease is the right to renew."""
FIRST_PAUSE = timedelta(seconds=2)
"""How long the next try waits after one that failed without a refusal; doubled each time."""
PAUSE_MAX = timedelta(minutes=5)
"""While the present pair is valid."""
PAUSE_MAX_EXPIRED = timedelta(seconds=30)
"""Without a valid pair somebody waits."""
LEEWAY = timedelta(seconds=30)
"""A pair that ends within this counts as expired, as a request with it may take that long to be read; within a
twentieth of its life, if that is less."""
DOUBLINGS_MAX = 20
CLOCKS_APART = timedelta(minutes=1)
"""What is stamped further ahead was stamped by a clock that has been set right since: nobody knows when it was."""


class Standing(StrEnum):
    """Where a login stands, as the ledger has it."""

    GOOD = "good"
    RENEWING = "renewing"
    NEEDS_LOGIN = "needs_login"


class Age(StrEnum):
    """How much of a pair's life is over."""

    YOUNG = "young"
    AGED = "aged"
    EXPIRED = "expired"


class Step(StrEnum):
    """What to do now."""

    USE = "use"
    RENEW = "renew"
    AGAIN = "again"
    PAUSE = "pause"
    BEGIN = "begin"
    ASK = "ask"


class Event(StrEnum):
    """What happened to a login."""

    BEGUN = "begun"
    GRANTED = "granted"
    REFUSED = "refused"
    FAILED = "failed"
    CONNECTED = "connected"


@dataclass(frozen=True, slots=True)
class LoginState:
    """A row of cmp_login. ``token`` is the fingerprint of the refresh token that is stored.

    ``attempt`` is that of the one whose use was written ahead and not answered yet. ``attempts`` counts the uses of
    ``token`` that brought neither a pair nor a refusal, the last at ``attempted_at``. Without ``expires_at`` there is
    no access token yet: a first refresh token has been stored and not been used with success.
    """

    standing: Standing
    token: str
    user_id: str | None = None
    issued_at: datetime | None = None
    expires_at: datetime | None = None
    attempt: str | None = None
    attempted_at: datetime | None = None
    attempts: int = 0
    reason: str | None = None


STEPS: Mapping[tuple[Standing, Age], Step] = {
    (Standing.GOOD, Age.YOUNG): Step.USE,
    (Standing.GOOD, Age.AGED): Step.RENEW,
    (Standing.GOOD, Age.EXPIRED): Step.RENEW,
    (Standing.RENEWING, Age.YOUNG): Step.AGAIN,
    (Standing.RENEWING, Age.AGED): Step.AGAIN,
    (Standing.RENEWING, Age.EXPIRED): Step.AGAIN,
    (Standing.NEEDS_LOGIN, Age.YOUNG): Step.ASK,
    (Standing.NEEDS_LOGIN, Age.AGED): Step.ASK,
    (Standing.NEEDS_LOGIN, Age.EXPIRED): Step.ASK,
}
"""What a login wants, before pauses and first tokens are looked at. ``RENEW`` and ``AGAIN`` take the lease."""

AFTER: Mapping[tuple[Standing, Event], Standing] = {
    (Standing.GOOD, Event.BEGUN): Standing.RENEWING,
    (Standing.GOOD, Event.CONNECTED): Standing.GOOD,
    (Standing.RENEWING, Event.BEGUN): Standing.RENEWING,
    (Standing.RENEWING, Event.GRANTED): Standing.GOOD,
    (Standing.RENEWING, Event.REFUSED): Standing.NEEDS_LOGIN,
    (Standing.RENEWING, Event.FAILED): Standing.GOOD,
    (Standing.RENEWING, Event.CONNECTED): Standing.GOOD,
    (Standing.NEEDS_LOGIN, Event.BEGUN): Standing.RENEWING,
    (Standing.NEEDS_LOGIN, Event.GRANTED): Standing.GOOD,
    (Standing.NEEDS_LOGIN, Event.CONNECTED): Standing.GOOD,
}
"""The transitions there are. After ``needs_login`` an attempt begins only with another first token, and is granted
only late, to a sleeper whose token the row still names. A failure is ``good`` again unless an older attempt of the
same token is unanswered (``after_failure``)."""


def token_fingerprint(token: str) -> str:
    """Return a short name for a token that does not give it away.

    >>> token_fingerprint("TG-1")
    'd5987a752dfa06f3'
    """
    return hashlib.sha256(b"comporta login\0" + token.encode()).hexdigest()[:16]


def age_of(state: LoginState, now: datetime) -> Age:
    """Return how much of the stored pair's life is over."""
    if state.issued_at is None or state.expires_at is None:
        return Age.EXPIRED
    if state.issued_at > now + CLOCKS_APART:
        return Age.AGED  # by that clock it would be young for years, and nobody knows when it ends
    life = state.expires_at - state.issued_at
    if now >= state.expires_at - min(LEEWAY, life / 20):
        return Age.EXPIRED
    return Age.AGED if now - state.issued_at >= life / 2 else Age.YOUNG


def paused_until(state: LoginState, age: Age, now: datetime) -> datetime | None:
    """Return before when a token that brought neither a pair nor a refusal is not used again."""
    if state.attempted_at is None or not state.attempts or state.attempted_at > now + CLOCKS_APART:
        return None
    longest = PAUSE_MAX_EXPIRED if age is Age.EXPIRED else PAUSE_MAX
    doublings = min(state.attempts - 1, DOUBLINGS_MAX)
    return state.attempted_at + min(FIRST_PAUSE * (1 << doublings), longest)


def next_step(state: LoginState | None, now: datetime, *, is_access_refused: bool = False) -> Step:
    """Decide what to do now; ``is_access_refused``: the source does not take the stored access token, whatever its age.

    Whoever is to ``ASK`` may ``BEGIN`` instead where the settings name a first token that was never used.

    >>> from datetime import UTC
    >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> state = LoginState(Standing.GOOD, "f", issued_at=noon, expires_at=noon + timedelta(hours=6))
    >>> [next_step(state, noon + timedelta(hours=hours)).value for hours in (0, 2, 3, 7)]
    ['use', 'use', 'renew', 'renew']
    """
    if state is None:
        return Step.ASK
    age = Age.EXPIRED if is_access_refused else age_of(state, now)
    step = STEPS[state.standing, age]
    if step is Step.ASK:
        return step
    until = paused_until(state, age, now)
    if step is not Step.USE and until is not None and now < until:
        return Step.PAUSE if age is Age.EXPIRED else Step.USE
    return step


def after_failure(before: LoginState | None) -> Standing:
    """Return where a login stands after a use that failed without a refusal; ``before`` is how it stood before it.

    An older attempt that was never answered stays what it is: nobody knows what became of it.
    """
    if before is not None and before.standing is Standing.RENEWING:
        return Standing.RENEWING
    return AFTER[Standing.RENEWING, Event.FAILED]
