"""What refusals teach about a limit: additive increase, multiplicative decrease, and patience with probes.

Others may use the same account, so less than the limit may be ours; or nobody knows the limit at all. A refusal
(429) lowers what is allowed to seven tenths; of a known limit only the second in a row does, as one may be chance.
When it has been quiet for a while, one more is tried. A try that is refused goes back to what was good before and
waits twice as long for the next, so what others use is found and kept: of a limit of 5 of which others use 2, it is
3 after the second refusal, and tries 4 after 30 s, 60 s, 120 s … up to a quarter of an hour.
"""

from dataclasses import dataclass, replace

DECREASE = 0.7
PATIENCE_FIRST_S = 30.0
PATIENCE_MAX_S = 900.0
STEP_SHARE = 20
"""One more request is tried, or a twentieth more where there are many."""
PATIENCE_UNKNOWN_S = 5.0
"""Seconds between two steps of the climb to a limit that nobody knows: from one a second to twenty in half a minute."""
FREE_AT = 1_000
"""So many requests a second are no limit any more: nobody sends them."""
UNKNOWN_SPAN_S = 1.0
"""The span over which is counted where no limit is known."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many requests in any span of so many seconds."""

    requests: int
    span_s: float


@dataclass(frozen=True, slots=True)
class Learnt:
    """What is allowed now. ``step`` is by how much it was raised last, 0 when it was lowered since."""

    requests: int
    span_s: float
    changed_at: float
    patience_s: float = PATIENCE_FIRST_S
    step: int = 0


def allowed(limit: Limit | None, learnt: Learnt | None) -> Limit | None:
    """Return what a budget goes by now.

    >>> allowed(Limit(5, 1.0), Learnt(3, 1.0, changed_at=0.0))
    Limit(requests=3, span_s=1.0)
    """
    if learnt is None or (limit is not None and limit.span_s != learnt.span_s):
        return limit
    return Limit(learnt.requests if limit is None else min(limit.requests, learnt.requests), learnt.span_s)


def is_tried(learnt: Learnt, now: float) -> bool:
    """Say whether what is allowed now is a try for more, which a refusal gives up."""
    return learnt.step > 0 and now - learnt.changed_at < learnt.patience_s


def held(learnt: Learnt | None, limit: Limit, now: float) -> Learnt:
    """Return what is allowed after a refusal that was the only one: the same, and no more is tried for a while.

    >>> held(Learnt(3, 1.0, changed_at=0.0), Limit(5, 1.0), now=20.0).requests
    3
    """
    present = allowed(limit, learnt) or limit
    patience_s = learnt.patience_s if learnt is not None else PATIENCE_FIRST_S
    return Learnt(present.requests, present.span_s, now, patience_s)


def lowered(learnt: Learnt | None, limit: Limit | None, *, used: int, now: float) -> Learnt:
    """Return what is allowed after a refusal. ``used``, what was sent in the last second, counts where no limit does.

    >>> lowered(None, Limit(5, 1.0), used=0, now=0.0).requests, lowered(None, None, used=20, now=0.0).requests
    (3, 14)
    >>> climbing = Learnt(8, 1.0, changed_at=0.0, patience_s=5.0, step=4)
    >>> lowered(climbing, None, used=6, now=2.0).requests  # what was good before the last step
    4
    """
    present = allowed(limit, learnt)
    if present is None:
        present = Limit(max(1, used), UNKNOWN_SPAN_S)
    if learnt is not None and is_tried(learnt, now):
        before = max(1, present.requests - learnt.step)
        if limit is None and learnt.step > 1 and used >= before:
            return Learnt(before, present.span_s, now, PATIENCE_UNKNOWN_S)
        if limit is not None or used >= before:
            patience_s = min(PATIENCE_MAX_S, max(PATIENCE_FIRST_S, learnt.patience_s * 2))
            return Learnt(before, present.span_s, now, patience_s)
    if limit is None:
        refused = min(present.requests, max(1, used))
        return Learnt(max(1, int(refused * DECREASE)), present.span_s, now, PATIENCE_UNKNOWN_S)
    patience_s = learnt.patience_s if learnt is not None else PATIENCE_FIRST_S
    return Learnt(max(1, int(present.requests * DECREASE)), present.span_s, now, patience_s)


def probed(learnt: Learnt | None, limit: Limit | None, now: float, *, paused_until: float = 0.0) -> Learnt | None:
    """Return what is allowed when somebody wants to send: more, once it has been quiet for long enough.

    On the way to an unknown limit a pause is no quiet: it is as long as the steps are apart.

    >>> three = Learnt(3, 1.0, changed_at=0.0)
    >>> probed(three, Limit(5, 1.0), 29.0).requests, probed(three, Limit(5, 1.0), 30.0).requests
    (3, 4)
    >>> probed(Learnt(4, 1.0, changed_at=0.0, patience_s=5.0, step=2), None, 5.0).requests  # twice the last step
    8
    """
    if learnt is None:
        return None
    since = learnt.changed_at if limit is not None else max(learnt.changed_at, min(paused_until, now))
    if now - since < learnt.patience_s:
        return learnt
    if limit is not None and limit.span_s == learnt.span_s and learnt.requests >= limit.requests:
        return None  # the whole limit has been good for a while
    if limit is None:
        if learnt.requests >= FREE_AT:
            return None
        step = max(1, learnt.step * 2)
        patience_s = PATIENCE_UNKNOWN_S if learnt.step else learnt.patience_s
        return replace(learnt, requests=learnt.requests + step, changed_at=now, patience_s=patience_s, step=step)
    step = max(1, learnt.requests // STEP_SHARE)
    patience_s = PATIENCE_FIRST_S if learnt.step else learnt.patience_s
    return replace(learnt, requests=learnt.requests + step, changed_at=now, patience_s=patience_s, step=step)
