"""The exact sliding log of one budget: whether a request may be sent now, and if not, how long to wait.

A budget allows N requests in *any* span of time, counted at the source. Token buckets allow 2N in the first
span, fixed windows 2N around each boundary, and a slot that was reserved passes late when the machine is busy.
What keeps the promise is a log of when the last N requests left:

    a request may leave when the N-th last before it left a span ago, or earlier

**When does it leave?** A grant is written to a log that several processes share, so some time passes between
the writing and the sending. Therefore a grant says from when on the request may leave, and the log when it leaves
*at the latest*: ``lead_s`` after that. Whoever is later throws the grant away and asks again. So of the requests
k and k + N

    k leaves at its stamp or before · k + N leaves at or after that stamp plus a span

which is the promise, whatever the machine does. The price is the lead: 10 ms in a span of 1 s are one per cent. A
grant may be asked for ``ahead_s`` before the request may leave, so that the way to the log costs nothing.
That the way to the source takes now a little more, now a little less, is beyond this; ``WAY_S`` is kept for it.
A request that has to connect first has a longer way than the next, which has not: its lead is longer by that.

**Whose turn is it?** Everybody who waits stands in the log too: one entry for each process, with the priority
of its first request and how many turns it has had; who comes anew begins with as many as the least served, and
after it. A request passes when there is room for itself *and* for all who come before it: for every request of a
higher priority, and for as many of each process of the same priority as that has had fewer turns. So nobody must be
woken in order, and a process that died costs a place until its entry ends, a quarter of a second after it should
have asked again. No room is kept for who will not ask yet: such room came unexpectedly, from a grant that was not
used, and nobody would take it.

**Which clock?** The log's: the machine's monotonic clock for processes of one machine, the database's for
others. When it goes backwards (the machine started anew, somebody set the time) everything in the log is moved
back with it: nothing looks older than it is. A log that was lost is begun with ``lost``: as if all had just left.

What 429s teach is decided in ``core.allowance``; here its result is just a smaller N.
"""

from bisect import insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from comporta.core.allowance import Learnt, Limit, allowed, held, is_tried, lowered, probed

WAY_S = 0.012
"""Seconds by which the ways of two requests to the source may differ, when both leave in time."""
GRACE_S = 0.25
"""How long somebody who waits keeps the place after the moment at which to ask again."""
KEPT_S = 2.0
"""How long it is remembered where somebody stood who asks again after that, from far away: room is kept no more.

Whoever waits behind many places of somebody looks after so long whether they are still there.
"""
RECHECK_S = 0.005
"""How soon to ask again when there is room, but kept for those who come first."""
GRAINS = 200
"""Entries of the log in a span at most: beyond, those next to each other become one, with the later stamp."""
CALM_S = 10.0
"""A refusal so long after the last pause, and two spans, is not of the same trouble. What is tried for more is none."""
PAUSE_FIRST_S = 1.0
PAUSE_MAX_S = 60.0
"""A source that refuses without Retry-After is left alone for one second, then for two, four …"""


@dataclass(frozen=True, slots=True)
class Waiter:
    """A process that waits: its first request's priority (0 goes first), how many it has of that, turns it had.

    It should have asked again by ``until``. ``came`` decides between two that had equally many turns.
    """

    who: str
    priority: int
    count: int
    turns: int
    until: float
    came: float = 0.0


@dataclass(frozen=True, slots=True)
class Pause:
    """Until when nobody may ask, and why."""

    until: float
    reason: str
    strikes: int


@dataclass(frozen=True, slots=True)
class LimitState:
    """Everything that is known of a budget. Stamps are (latest instant of leaving, how many), oldest first."""

    stamps: tuple[tuple[float, int], ...] = ()
    waiters: tuple[Waiter, ...] = ()
    pause: Pause | None = None
    learnt: Learnt | None = None
    touched: float = 0.0


@dataclass(frozen=True, slots=True)
class Plea:
    """Somebody asks for a request to be sent. ``limit`` is ``None`` where no figure is known.

    ``ahead_s`` is how long before the request may leave a grant is welcome, ``heard_s`` how long it is on its way.
    ``unused`` is the stamp of a grant of the same process that came too late and was thrown away.
    """

    who: str
    limit: Limit | None
    priority: int = 0
    count: int = 1
    lead_s: float = 0.008
    ahead_s: float = 0.0
    heard_s: float = 0.0
    unused: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """``wait_s`` is when to ask again; after a grant, for the next request of the same process.

    ``start_s`` is how long after the asking the request that was granted may leave, at the soonest.
    ``limit`` is what the budget goes by now, ``stamp`` what the log says of the request that was granted.
    ``paused`` is why nobody may ask, if so.
    """

    is_granted: bool
    wait_s: float
    limit: Limit | None
    start_s: float = 0.0
    stamp: float | None = None
    paused: str | None = None


def lost(limit: Limit | None, now: float) -> LimitState:
    """Return the state of a budget whose log was lost: all that is allowed may have left just now."""
    return LimitState(stamps=((now, limit.requests),) if limit else (), touched=now)


def ask(state: LimitState, plea: Plea, now: float) -> tuple[LimitState, Verdict]:
    """Decide about one request, and return the state with it, or with the wait for it.

    >>> plea = Plea("me", Limit(1, 1.0))
    >>> state, verdict = ask(LimitState(), plea, 100.0)
    >>> verdict.is_granted, ask(state, plea, 100.5)[1].is_granted, ask(state, plea, 101.02)[1].is_granted
    (True, False, True)
    """
    state = rebased(state, now)
    learnt = probed(state.learnt, plea.limit, now, paused_until=state.pause.until if state.pause else 0.0)
    state = replace(state, learnt=learnt, stamps=_without(state.stamps, plea.unused))
    limit = allowed(plea.limit, state.learnt)
    mine, others = _parted(state.waiters, plea.who, now)
    turns = mine.turns if mine else min((each.turns for each in others), default=0)
    me = Waiter(plea.who, plea.priority, plea.count, turns, now, came=mine.came if mine else now)
    if state.pause is not None and now < state.pause.until:
        wait_s = state.pause.until - now
        return _waiting(state, me, others, now + wait_s), Verdict(
            is_granted=False, wait_s=wait_s, limit=limit, paused=state.pause.reason
        )
    if limit is None:
        return replace(state, waiters=others, stamps=()), Verdict(is_granted=True, wait_s=0.0, limit=None)
    start_s, wait_s = _outlook(state, plea, limit, now, me=me, others=others)
    if start_s is None or start_s > plea.ahead_s:
        return _waiting(state, me, others, now + wait_s), Verdict(is_granted=False, wait_s=wait_s, limit=limit)
    start_s = max(start_s, plea.heard_s)
    stamp = now + start_s + plea.lead_s
    state = replace(state, stamps=_stamped(state.stamps, limit, now, stamp=stamp), waiters=others)
    if plea.count == 1:
        return state, Verdict(is_granted=True, wait_s=0.0, limit=limit, start_s=start_s, stamp=stamp)
    me = replace(me, count=plea.count - 1, turns=turns + 1)
    _, wait_s = _outlook(state, plea, limit, now, me=me, others=others)
    verdict = Verdict(is_granted=True, wait_s=wait_s, limit=limit, start_s=start_s, stamp=stamp)
    return _waiting(state, me, others, now + wait_s), verdict


def withdraw(state: LimitState, who: str, now: float) -> LimitState:
    """Return the state without somebody who waits no more."""
    return replace(state, waiters=_parted(state.waiters, who, now)[1])


@dataclass(frozen=True, slots=True)
class Refusal:
    """The source refused for the rate. ``age_s`` is how long ago the request was sent that it refused.

    ``used`` is how many requests the caller sent in the last second: all that is known where no limit is.
    """

    limit: Limit | None
    retry_after_s: float | None
    reason: str
    age_s: float = 0.0
    used: int = 0


def refused(state: LimitState, refusal: Refusal, now: float) -> LimitState:
    """Pause for everybody, once for all that was sent before that was known; the second time, lower what is allowed.

    A single refusal of a known limit may be the way's fault: a request that arrived sooner after another than it left.

    >>> once = refused(LimitState(), Refusal(Limit(5, 1.0), None, "429"), 100.0)
    >>> again = refused(once, Refusal(Limit(5, 1.0), None, "429"), 101.5)
    >>> once.pause.until, once.learnt.requests, again.learnt.requests
    (101.0, 5, 3)
    """
    state = rebased(state, now)
    sent, before = now - refusal.age_s, state.pause
    learnt: Learnt | None = state.learnt
    # What was granted before the pause leaves a moment after it has begun.
    is_news = learnt is None or sent >= max(learnt.changed_at, before.until if before else 0.0)
    if is_news or before is None:
        span_s = refusal.limit.span_s if refusal.limit else 0.0  # a source that counts by minutes refuses by minutes
        is_again = before is not None and now - before.until < max(CALM_S, 2 * span_s)
        if learnt is not None and is_tried(learnt, now):
            strikes = 0  # one request too many is no trouble
        else:
            strikes = before.strikes + 1 if before is not None and is_again else 1
        if refusal.limit is not None and strikes == 1:
            learnt = held(learnt, refusal.limit, now)
        else:
            learnt = lowered(learnt, refusal.limit, used=refusal.used, now=now)
    else:
        strikes = before.strikes
    usual = min(PAUSE_MAX_S, PAUSE_FIRST_S * 2 ** min(max(0, strikes - 1), 10))
    length = usual if refusal.retry_after_s is None else refusal.retry_after_s
    is_longer = before is None or now + length >= before.until
    pause = Pause(now + length, refusal.reason, strikes) if is_longer else before
    return replace(state, pause=pause, learnt=learnt, touched=now)


def used(state: LimitState, limit: Limit, now: float) -> int:
    """Return how many requests count against the limit now."""
    return sum(count for at, count in state.stamps if at > now - limit.span_s - WAY_S)


def waiting(state: LimitState, now: float) -> int:
    """Return how many requests wait, in all processes that are alive."""
    return sum(each.count for each in state.waiters if each.until + GRACE_S > now)


def rebased(state: LimitState, now: float) -> LimitState:
    """Return the state as it is by a clock that went backwards: moved with it, so that nothing looks older.

    >>> rebased(LimitState(stamps=((900.0, 1),), touched=900.0), 20.0).stamps
    ((20.0, 1),)
    """
    back = now - state.touched
    if back >= 0:
        return replace(state, touched=now)
    return LimitState(
        stamps=tuple((at + back, count) for at, count in state.stamps),
        waiters=tuple(replace(each, until=each.until + back, came=each.came + back) for each in state.waiters),
        pause=state.pause and replace(state.pause, until=state.pause.until + back),
        learnt=state.learnt and replace(state.learnt, changed_at=state.learnt.changed_at + back),
        touched=now,
    )


def _parted(waiters: tuple[Waiter, ...], who: str, now: float) -> tuple[Waiter | None, tuple[Waiter, ...]]:
    """Return one's own entry, and those of the others."""
    kept = [each for each in waiters if each.until + KEPT_S > now]
    mine = next((each for each in kept if each.who == who), None)
    return mine, tuple(each for each in kept if each.who != who)


def _waiting(state: LimitState, me: Waiter, others: tuple[Waiter, ...], until: float) -> LimitState:
    return replace(state, waiters=(*others, replace(me, until=until)))


def _ahead(me: Waiter, others: Iterable[Waiter]) -> int:
    """Return for how many requests of others room must be left, as far as they are alive."""
    there = [each for each in others if each.until + GRACE_S > me.until]
    urgent = sum(each.count for each in there if each.priority < me.priority)
    equals = ((each, me.turns - each.turns + (each.came < me.came)) for each in there if each.priority == me.priority)
    return urgent + sum(min(each.count, fewer) for each, fewer in equals if fewer > 0)


def _outlook(
    state: LimitState, plea: Plea, limit: Limit, now: float, *, me: Waiter, others: tuple[Waiter, ...]
) -> tuple[float | None, float]:
    """Return how soon my request may leave, and how soon to ask again if that is too late.

    It may not leave, ``None``, as long as the place is that of somebody who asks before that.
    It is asked again when there should be room for me and all who come before, who may be gone until then. Where there
    is room that is kept for others, as soon as the first of them should have asked, and if it has not, less and less
    often: it may take it or not.
    """
    start_s = _room_in(state.stamps, limit, now, more=0)
    first = [each for each in others if _ahead(me, (each,))]
    if not first:
        return start_s, max(0.0, start_s - plea.ahead_s)
    asking = _ahead(me, (each for each in first if each.until <= now + max(start_s, RECHECK_S)))
    has_room = asking < limit.requests and _room_in(state.stamps, limit, now, more=asking) == 0
    recheck_s = max(RECHECK_S, plea.ahead_s / 4)  # where the way to the log is long, whoever comes first needs as long
    until_s = min(each.until for each in first) - now
    if start_s <= plea.ahead_s:
        wait_s = max(until_s, -until_s / 2)
    else:
        room_s = _room_in(state.stamps, limit, now, more=min(_ahead(me, first), limit.requests - 1))
        wait_s = min(room_s - plea.ahead_s, until_s + KEPT_S)
    return start_s if has_room or not asking else None, max(recheck_s, wait_s)


def _room_in(stamps: tuple[tuple[float, int], ...], limit: Limit, now: float, *, more: int) -> float:
    """Return the seconds until the log itself has room for so many requests more than one."""
    room = limit.requests - more
    for at, count in reversed(stamps):
        room -= count
        if room <= 0:
            return max(0.0, at + limit.span_s + WAY_S - now)
    return 0.0


def _stamped(
    stamps: tuple[tuple[float, int], ...], limit: Limit, now: float, *, stamp: float
) -> tuple[tuple[float, int], ...]:
    """Return the log with one request more, and without what no longer counts."""
    kept = list(_recent(stamps, now - limit.span_s - WAY_S))
    grain = limit.span_s / GRAINS
    same = (place for place in reversed(range(len(kept))) if kept[place][0] // grain == stamp // grain)
    place = next(same, None) if limit.requests > GRAINS else None
    if place is not None:
        at, count = kept[place]
        kept[place] = (max(at, stamp), count + 1)
    else:
        insort(kept, (stamp, 1))
    return tuple(kept)


def _recent(stamps: tuple[tuple[float, int], ...], since: float) -> Iterator[tuple[float, int]]:
    return (each for each in stamps if each[0] > since)


def _without(stamps: tuple[tuple[float, int], ...], unused: float | None) -> tuple[tuple[float, int], ...]:
    """Return the log without a request that was not sent; in a long log, where it has no entry of its own, with it."""
    if unused is None or (unused, 1) not in stamps:
        return stamps
    place = stamps.index((unused, 1))  # of two that left at one instant, one
    return stamps[:place] + stamps[place + 1 :]
