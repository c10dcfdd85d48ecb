"""Budgets: every request waits here for its turn, in its process first, then in the log that processes share.

Each key has one gate in a process, and however many requests wait at it, one task (the *pump*) speaks with the log
for all of them: it asks for the first, hands over what it gets, sleeps as long as the log says. Who is first in
a process: the most urgent, and among equals the stream that was served least recently. Who is first among
processes is decided in ``core.limit``.

A grant says from when on the request may leave, and until when it must have left. It is asked for ahead, by half
more than the log takes to answer, so that a busy database costs nothing, and one that is far away no more than its
clock is uncertain. Until when is checked where the request is sent, after everything that can delay it: a grant that
comes late is thrown away, and from then on more time is allowed, at the price of as much of each span.

A request that must connect first arrives later than the next, which need not. Against a server that counts every
second, that alone would bring one request too many with the second burst; so to the stamp of a request for which
no connection is idle as much is added as connecting seems to take. What is learnt of both ways, to the log and to
the source, is in ``coordination.budget_ways``.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from secrets import token_hex
from typing import TypeVar

from comporta.coordination.budget_ways import Connecting, LogWay
from comporta.core import limit as rules
from comporta.core.allowance import Limit, allowed
from comporta.core.limit import LimitState, Plea, Refusal, Verdict
from comporta.core.rate import Rate, rate_text
from comporta.errors import RateLimited
from comporta.ports.budget import BudgetState, BudgetTerms
from comporta.ports.budget_log import Answer, BudgetLog, Change
from comporta.ports.clock import Clock
from comporta.ports.progress import Progress

ROUNDING_S = 0.000_01
"""So that nobody wakes a fraction of a microsecond too early, which a ``timedelta`` cannot say, and must nap again."""
NAP_MAX_S = 30.0
"""Whoever waits looks at the log so often at least; also how often a run is told that it still waits."""
PAUSE_MAX = timedelta(seconds=60)
"""A longer pause is the run's affair: it ends, gives back its lease and is queued until then."""
TRUST_S = 1.0
"""For how long a budget without a limit is taken for free after the log was asked."""
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Waiting:
    """One request that waits."""

    progress: Progress
    subject: str
    number: int
    granted: "asyncio.Future[Verdict]"
    leave_from: float = 0.0
    leave_by: float = 0.0


class SharedBudgets:
    """The budgets of this process; implements ``ports.budget.Budgets``."""

    def __init__(self, log: BudgetLog, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._who = token_hex(6)
        self._known: dict[str, SharedBudget] = {}

    def of(self, terms: BudgetTerms) -> "SharedBudget":
        """Return the budget of a key, one for each; of different terms the stricter hold."""
        known = self._known.get(terms.key)
        if known is None:
            known = self._known[terms.key] = SharedBudget(terms, self._log, self._clock, self._who)
        else:
            known.tighten(terms)
        return known

    async def aclose(self) -> None:
        """Close the log."""
        await self._log.aclose()


class SharedBudget:
    """One budget; implements ``ports.budget.Budget``."""

    def __init__(self, terms: BudgetTerms, log: BudgetLog, clock: Clock, who: str) -> None:
        self._terms = terms
        self._log = log
        self._clock = clock
        self._who = who
        self._allowed: Limit | None = _limit(terms.rate)
        self._in_flight = 0
        self._queue: list[_Waiting] = []
        self._numbers = 0
        self._served: dict[str, int] = {}
        self._sent: deque[float] = deque()
        self._way = LogWay()
        self._free_until = float("-inf")
        self._pump: asyncio.Task[None] | None = None
        self._nap: asyncio.Future[None] | None = None
        self._asked_for: int | None = None
        self._unused: list[float | None] = []
        self._connecting = Connecting()

    @property
    def rate(self) -> Rate | None:
        """Return the rate the budget goes by now."""
        now = self._allowed
        return None if now is None else _rate(now)

    def tighten(self, terms: BudgetTerms) -> None:
        """Hold to the stricter of the present terms and these."""
        rates = [rate for rate in (self._terms.rate, terms.rate) if rate is not None]
        bounds = [bound for bound in (self._terms.in_flight_max, terms.in_flight_max) if bound is not None]
        rate = min(rates, key=lambda rate: rate[0] / rate[1].total_seconds(), default=None)
        if rate != self._terms.rate:
            self._allowed = _limit(rate)
        self._terms = BudgetTerms(terms.key, rate, min(bounds, default=None))

    @asynccontextmanager
    async def turn(self, progress: Progress, subject: str) -> AsyncIterator[float]:
        """Wait until a request may be sent, and give the seconds waited; leave when it is answered."""
        came = self._clock.monotonic()
        if self._is_free(came):
            self._in_flight += 1
        else:
            await self._permission(progress, subject)
        sent, is_new, is_answered = self._clock.monotonic(), self._connecting.began(), False
        try:
            self._note_sent(sent)
            yield sent - came
            is_answered = True
        finally:
            now = self._clock.monotonic()
            self._in_flight -= 1
            self._connecting.ended(now, now - sent if is_answered else None, is_new=is_new)
            self._go_on()

    async def throttled(self, retry_after: timedelta | None, reason: str, *, age: timedelta = timedelta()) -> timedelta:
        """Tell that the source refused for the rate: everybody pauses for so long, and less is allowed for a while."""
        self._free_until = float("-inf")
        refusal = Refusal(
            _limit(self._terms.rate),
            None if retry_after is None else retry_after.total_seconds(),
            reason,
            age_s=age.total_seconds(),
            used=len(self._sent),
        )

        def refuse(state: LimitState, now: float) -> tuple[LimitState, float]:
            after = rules.refused(state, refusal, now)
            return after, after.pause.until - now if after.pause else 0.0

        paused_s = (await self._change(refuse)).told
        self._free_until = float("-inf")  # an answer from before that may have come meanwhile
        return timedelta(seconds=paused_s)

    async def state(self) -> BudgetState:
        """Return how the budget stands."""
        known = _limit(self._terms.rate)

        def look(state: LimitState, now: float) -> tuple[LimitState, BudgetState]:
            state_now = rules.rebased(state, now)
            limit = allowed(known, state_now.learnt)
            pause = state_now.pause if state_now.pause and state_now.pause.until > now else None
            return state, BudgetState(
                self._terms.key,
                _text(known),
                _text(limit),
                used=rules.used(state_now, limit, now) if limit else len(self._sent),
                waiting=rules.waiting(state_now, now),
                paused_s=pause.until - now if pause else 0.0,
                reason=pause.reason if pause else None,
            )

        return (await self._change(look)).told

    async def _change(self, change: Change[T]) -> Answer[T]:
        return await self._log.change(self._terms.key, _limit(self._terms.rate), change)

    def _is_free(self, now: float) -> bool:
        """Say whether a request may go at once: no limit is known, none is learnt, nobody waits."""
        return now < self._free_until and not self._queue and self._has_place

    @property
    def _has_place(self) -> bool:
        return self._terms.in_flight_max is None or self._in_flight < self._terms.in_flight_max

    async def _permission(self, progress: Progress, subject: str) -> None:
        """Wait for a grant that comes in time."""
        self._numbers += 1
        waiting = _Waiting(progress, subject, self._numbers, asyncio.get_running_loop().create_future())
        while True:
            self._queue.append(waiting)
            self._go_on()
            try:
                verdict = await waiting.granted
                while (early_s := waiting.leave_from - self._clock.monotonic()) > 0:
                    await self._clock.sleep(timedelta(seconds=early_s + ROUNDING_S))
            except BaseException:
                self._give_up(waiting)
                raise
            spare_s = waiting.leave_by - self._clock.monotonic()
            self._way.note_sent(spare_s)
            if spare_s >= 0:
                return
            self._in_flight -= 1
            self._unused.append(verdict.stamp)
            self._served.pop(progress.scope, None)
            waiting.granted = asyncio.get_running_loop().create_future()

    def _give_up(self, waiting: _Waiting) -> None:
        """Leave nothing of a request that is not made: neither its place in the queue nor its grant."""
        if waiting in self._queue:
            self._queue.remove(waiting)
        elif waiting.granted.done() and not waiting.granted.cancelled() and waiting.granted.exception() is None:
            self._in_flight -= 1
            self._unused.append(waiting.granted.result().stamp)
        self._go_on()

    def _go_on(self) -> None:
        """See to it that the pump runs if there is something to do, and hears of what cannot wait."""
        first = self._first()
        if self._pump is None:
            if first is not None:
                self._pump = asyncio.get_running_loop().create_task(self._serve())
                self._pump.add_done_callback(self._served_all)
        elif self._nap is not None and self._has_news(first):
            self._nap.cancel()

    def _has_news(self, first: _Waiting | None) -> bool:
        """Say whether there is more to tell the log than it heard when it said how long to wait."""
        return first is None or bool(self._unused) or first.progress.priority != self._asked_for

    def _first(self) -> _Waiting | None:
        """Return who is next, ``None`` if nobody can be; who was cancelled may still stand in the queue."""
        if not self._has_place:
            return None
        return min(
            (each for each in self._queue if not each.granted.done()),
            key=lambda each: (each.progress.priority, self._served.get(each.progress.scope, 0), each.number),
            default=None,
        )

    async def _serve(self) -> None:
        """Ask the log for whoever is first until nobody waits."""
        while (first := self._first()) is not None:
            lead_s = self._way.lead_s  # it may grow while the log is asked, which the log knows nothing of
            answer = await self._ask(first.progress.priority, lead_s)
            verdict = answer.told
            if verdict.is_granted:
                self._hand_over(answer, lead_s)
            self._tell(verdict)
            if verdict.paused is not None and verdict.wait_s > PAUSE_MAX.total_seconds():
                self._turn_away(verdict)
            await self._sleep(answer.latest + min(verdict.wait_s, NAP_MAX_S) - self._clock.monotonic())
        if self._asked_for is not None:
            self._asked_for = None
            await self._change(lambda state, now: (rules.withdraw(state, self._who, now), None))

    async def _ask(self, priority: int, lead_s: float) -> Answer[Verdict]:
        equals = sum(each.progress.priority == priority for each in self._queue)
        if self._terms.in_flight_max is not None:
            equals = min(equals, self._terms.in_flight_max - self._in_flight)
        lead_s += self._connecting.costs_s(self._clock.monotonic(), in_flight=self._in_flight)
        unused = self._unused.pop() if self._unused else None
        plea = Plea(
            self._who,
            _limit(self._terms.rate),
            priority,
            count=max(1, equals),
            lead_s=lead_s,
            ahead_s=self._way.ahead_s,
            heard_s=self._way.heard_s,
            unused=unused,
        )
        asked = self._clock.monotonic()
        answer = await self._change(lambda state, now: rules.ask(state, plea, now))
        heard = self._clock.monotonic()
        self._way.note_answer(heard - asked, heard - answer.latest)
        verdict = answer.told
        self._asked_for = None if verdict.is_granted and plea.count == 1 else priority
        self._allowed = verdict.limit
        if verdict.limit is None and verdict.paused is None:
            self._free_until = answer.earliest + TRUST_S
        return answer

    def _hand_over(self, answer: Answer[Verdict], lead_s: float) -> None:
        """Give the grant to whoever is first by now; all that wait may go where there is no limit."""
        verdict = answer.told
        while (first := self._first()) is not None:
            self._queue.remove(first)
            self._in_flight += 1
            self._served[first.progress.scope] = max(self._served.values(), default=0) + 1
            first.leave_from = answer.latest + verdict.start_s
            is_limited = verdict.limit is not None
            first.leave_by = answer.earliest + verdict.start_s + lead_s if is_limited else float("inf")
            first.granted.set_result(verdict)
            if verdict.limit is not None:
                return
        if verdict.limit is not None:  # whoever it was asked for has gone meanwhile
            self._unused.append(verdict.stamp)

    def _tell(self, verdict: Verdict) -> None:
        """Tell every run that waits for how long at least, and for what."""
        if verdict.paused is not None:
            reason = f"the source, which wants no requests for now: {verdict.paused}"
        else:
            reason = f"the limit of {_words(verdict.limit)}" if verdict.limit else "others to be answered"
        for each in self._queue:
            each.progress.wait(verdict.wait_s, f"{reason} ({each.subject})")

    def _turn_away(self, verdict: Verdict) -> None:
        """End the wait of everybody: it is too long for a request."""
        queue, self._queue = self._queue, []
        for each in queue:
            message = f"{each.subject}: not asked, the source wants no requests for now: {verdict.paused}"
            if not each.granted.done():
                each.granted.set_exception(RateLimited(message, retry_after=timedelta(seconds=verdict.wait_s)))

    async def _sleep(self, seconds: float) -> None:
        if seconds <= 0 or self._has_news(self._first()):  # it may have come while the log was asked
            return
        self._nap = asyncio.ensure_future(self._clock.sleep(timedelta(seconds=seconds + ROUNDING_S)))
        try:
            await asyncio.wait({self._nap})
        finally:
            self._nap.cancel()
            self._nap = None

    def _served_all(self, pump: "asyncio.Task[None]") -> None:
        """Tell everybody who still waits why the pump ended, or start it for those who came meanwhile."""
        self._pump = None
        error = asyncio.CancelledError() if pump.cancelled() else pump.exception()
        if error is None:
            if not self._queue and not self._in_flight:
                self._served.clear()
            self._go_on()
            return
        self._asked_for = None
        queue, self._queue = self._queue, []
        for each in queue:
            if not each.granted.done():
                each.granted.set_exception(error) if not pump.cancelled() else each.granted.cancel()

    def _note_sent(self, now: float) -> None:
        """Count what is sent where no limit is known, so that a refusal teaches how much was too much."""
        if self._terms.rate is not None:
            return
        self._sent.append(now)
        while self._sent[0] <= now - 1.0:
            self._sent.popleft()


def _limit(rate: Rate | None) -> Limit | None:
    return None if rate is None else Limit(rate[0], rate[1].total_seconds())


def _rate(limit: Limit) -> Rate:
    return limit.requests, timedelta(seconds=limit.span_s)


def _text(limit: Limit | None) -> str | None:
    return None if limit is None else rate_text(_rate(limit))


def _words(limit: Limit) -> str:
    return f"{limit.requests} requests in {limit.span_s:g} s"
