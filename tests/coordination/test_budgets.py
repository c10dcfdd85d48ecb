"""Budgets in one process and between several: order, turns, pauses, and nothing left of who gives up."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import TypeVar

import pytest

from comporta.coordination.budget_ways import CONNECT_S, IDLE_S, LEAD_MIN_S, Connecting, LogWay
from comporta.coordination.budgets import SharedBudget, SharedBudgets
from comporta.core.allowance import Limit
from comporta.core.limit import WAY_S
from comporta.errors import DestinationBusy, RateLimited
from comporta.ports.budget import BudgetTerms
from comporta.ports.budget_log import Answer, Change
from comporta.ports.progress import Priority, Progress
from comporta.testing import FakeClock, MemoryLog

T = TypeVar("T")
SECOND = timedelta(seconds=1)
ONE, FIVE = BudgetTerms("k", (1, SECOND)), BudgetTerms("k", (5, SECOND))


class Crowd:
    """Requests that are made at the same time; ``order`` is that in which they were sent."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.order: list[str] = []
        self.sent: list[float] = []

    async def ask(self, budget: SharedBudget, name: str, times: int = 1, **of: object) -> Progress:
        progress = Progress(self.clock, scope=str(of.pop("scope", name)), **of)  # type: ignore[arg-type]  # as the caller says
        for _ in range(times):
            async with budget.turn(progress, name) as waited_s:
                self.order.append(name)
                self.sent.append(self.clock.monotonic())
                progress.count_request(waited_s=waited_s)
        return progress


async def test_no_more_than_the_limit_pass_in_a_second(clock: FakeClock, log: MemoryLog) -> None:
    """Twenty-one requests of two processes that share a log take four seconds and a little."""
    crowd = Crowd(clock)
    ours, theirs = (SharedBudgets(log, clock).of(FIVE) for _ in range(2))
    await asyncio.gather(
        *(crowd.ask(budget, "x") for budget in (ours, theirs) for _ in range(10)), crowd.ask(ours, "x")
    )

    sent = sorted(crowd.sent)
    assert all(later - first >= 1.0 for first, later in zip(sent, sent[5:], strict=False))
    assert 4.0 <= sent[-1] - sent[0] <= 4.6


async def test_a_person_goes_first(clock: FakeClock, log: MemoryLog) -> None:
    """In the same process and from another one: a backfill that came before waits."""
    crowd = Crowd(clock)
    ours, theirs = (SharedBudgets(log, clock).of(ONE) for _ in range(2))
    bulk = [asyncio.ensure_future(crowd.ask(ours, "bulk", priority=Priority.BULK)) for _ in range(6)]
    while not crowd.order:
        await asyncio.sleep(0)
    await asyncio.gather(crowd.ask(ours, "person", 2, priority=Priority.PERSON), crowd.ask(theirs, "other person", 2))
    await asyncio.gather(*bulk)

    assert crowd.order[0] == "bulk"
    assert sorted(crowd.order[1:5]) == ["other person", "other person", "person", "person"]


async def test_streams_of_one_account_take_turns(clock: FakeClock, log: MemoryLog) -> None:
    """Ten requests of the one in flight do not make the other wait for ten."""
    crowd = Crowd(clock)
    budget = SharedBudgets(log, clock).of(ONE)
    many = [crowd.ask(budget, "many", scope="a/many") for _ in range(10)]
    await asyncio.gather(*many, crowd.ask(budget, "few", 4, scope="a/few"))

    assert "few" in crowd.order[:3]
    assert crowd.order[:9].count("few") == 4


async def test_no_more_are_in_flight_than_allowed(clock: FakeClock, log: MemoryLog) -> None:
    """Whether or not there is a limit besides."""
    budget = SharedBudgets(log, clock).of(BudgetTerms("k", in_flight_max=2))
    inside = most = 0

    async def request() -> None:
        nonlocal inside, most
        async with budget.turn(Progress(clock), "x"):
            inside += 1
            most = max(most, inside)
            await clock.sleep(SECOND)
            inside -= 1

    await asyncio.gather(*(request() for _ in range(7)))

    assert most == 2
    assert clock.monotonic() == pytest.approx(4.0)


@pytest.mark.full
async def test_a_free_budget_waits_for_nothing(clock: FakeClock, log: MemoryLog) -> None:
    """No limit, no refusal: a thousand at once."""
    crowd = Crowd(clock)
    budget = SharedBudgets(log, clock).of(BudgetTerms("k"))
    await asyncio.gather(*(crowd.ask(budget, "x") for _ in range(1_000)))

    assert crowd.sent[-1] == 0.0
    assert budget.rate is None


async def test_a_refusal_teaches_every_process(clock: FakeClock, log: MemoryLog) -> None:
    """Where no limit is known, the other process hears of it within a second."""
    ours, theirs = (SharedBudgets(log, clock).of(BudgetTerms("k")) for _ in range(2))
    await asyncio.gather(*(Crowd(clock).ask(budget, "x", 10) for budget in (ours, theirs)))
    await ours.throttled(timedelta(seconds=5), "429 Too Many Requests")
    await clock.sleep(SECOND)
    progress = await Crowd(clock).ask(theirs, "x")
    state = await theirs.state()

    assert progress.requests.waited_s == pytest.approx(4.0, abs=0.001)
    assert (state.limit, state.allowed) == (None, "7/1s")
    assert theirs.rate == (7, SECOND)


async def test_who_gives_up_leaves_nothing_behind(clock: FakeClock, log: MemoryLog) -> None:
    """Neither a place in the queue, nor one in the log, nor one in flight."""
    crowd = Crowd(clock)
    first, second = (SharedBudgets(log, clock).of(ONE) for _ in range(2))
    await crowd.ask(first, "before")
    gone = [asyncio.ensure_future(crowd.ask(first, "gone")) for _ in range(3)]
    for _ in range(5):
        await asyncio.sleep(0)
    waited_for = (await second.state()).waiting
    for task in gone:
        task.cancel()
    await asyncio.gather(*gone, return_exceptions=True)
    await crowd.ask(second, "after")
    state = await second.state()

    assert waited_for == 3
    assert crowd.order == ["before", "after"]
    assert (state.waiting, first._in_flight, first._queue, first._pump) == (0, 0, [], None)


async def test_a_refusal_is_not_forgotten_for_an_answer_that_was_under_way(clock: FakeClock) -> None:
    """The log had called the budget free just before; who hears of that after the refusal must not believe it."""

    class SlowLog(MemoryLog):
        async def change(self, key: str, limit: Limit | None, change: Change[T]) -> Answer[T]:
            answer = await super().change(key, limit, change)
            await clock.sleep(timedelta(seconds=0.05))
            return answer

    crowd, budget = Crowd(clock), SharedBudgets(SlowLog(clock), clock).of(BudgetTerms("k"))
    before = asyncio.ensure_future(crowd.ask(budget, "before"))
    await clock.sleep(timedelta(seconds=0.01))
    await budget.throttled(timedelta(seconds=5), "429 Too Many Requests")
    await crowd.ask(budget, "after")
    await before

    assert crowd.sent[-1] > 5.0


async def test_a_wait_is_told(clock: FakeClock, log: MemoryLog) -> None:
    """So that a run which waits is not taken for one that hangs."""
    budget = SharedBudgets(log, clock).of(ONE)
    await Crowd(clock).ask(budget, "before")
    progress = Progress(clock)
    told: list[str | None] = []

    async def look() -> None:
        while progress.waiting_for is None:
            await asyncio.sleep(0)
        told.append(progress.waiting_for)
        assert progress.waiting_until == pytest.approx(1.0, abs=0.3)

    async def wait() -> None:
        async with budget.turn(progress, "crm deals: page"):
            pass

    await asyncio.gather(look(), wait())

    assert told == ["the limit of 1 requests in 1 s (crm deals: page)"]


async def test_a_pause_is_seen_and_a_long_one_ends_the_wait(clock: FakeClock, log: MemoryLog) -> None:
    """Beyond a minute the run gives back its lease instead of waiting with it."""
    ours, theirs = (SharedBudgets(log, clock).of(FIVE) for _ in range(2))
    await ours.throttled(timedelta(minutes=10), "429 Too Many Requests")
    state = await theirs.state()

    with pytest.raises(RateLimited, match=r"deals: page: not asked, .* 429 Too Many Requests") as caught:
        await Crowd(clock).ask(theirs, "deals: page")

    assert (state.paused_s, state.reason) == (600.0, "429 Too Many Requests")
    assert caught.value.retry_after == timedelta(minutes=10)
    assert theirs._in_flight == 0


async def test_a_grant_that_comes_late_is_thrown_away(clock: FakeClock, log: MemoryLog) -> None:
    """And more time is allowed from then on; its place is free again."""

    class SlowLog(MemoryLog):
        slow = 2

        async def change(self, key: str, limit: Limit | None, change: Change[T]) -> Answer[T]:
            told = await super().change(key, limit, change)
            if self.slow:
                self.slow -= 1
                clock.advance(timedelta(seconds=LEAD_MIN_S * 1.5))
            return told

    budget = SharedBudgets(SlowLog(clock), clock).of(ONE)
    progress = await Crowd(clock).ask(budget, "x")
    state = await budget.state()

    assert progress.requests.sent == 1
    assert LEAD_MIN_S < budget._way.lead_s <= LEAD_MIN_S * 4
    assert state.used == 1


@pytest.mark.parametrize(("missing_s", "times"), [(0.06, 4), (0.001, 1)])
def test_the_lead_grows_soon_to_what_is_needed_and_hardly_for_one_stall(missing_s: float, times: int) -> None:
    """A far database takes as long each time; a machine that once stood still for a second need not wait for ever."""
    stalled, way = LogWay(), LogWay()
    stalled.note_sent(-0.8)
    for _ in range(times):
        way.note_sent(way.lead_s - LEAD_MIN_S - missing_s)

    assert stalled.lead_s <= 2 * LEAD_MIN_S
    assert LEAD_MIN_S + missing_s <= way.lead_s <= LEAD_MIN_S * 2 + missing_s


async def test_a_log_that_is_slow_costs_nothing(clock: FakeClock) -> None:
    """It is asked ahead, as soon as it is known how slow it is: 80 ms for each of five a second."""

    class DistantLog(MemoryLog):
        async def change(self, key: str, limit: Limit | None, change: Change[T]) -> Answer[T]:
            await clock.sleep(timedelta(seconds=0.04))
            answer = await super().change(key, limit, change)
            await clock.sleep(timedelta(seconds=0.04))
            return answer

    crowd, budget = Crowd(clock), SharedBudgets(DistantLog(clock), clock).of(FIVE)
    await crowd.ask(budget, "first")
    await asyncio.gather(*(crowd.ask(budget, f"s{n}", times=8) for n in range(6)))

    apart = [later - first for first, later in pairwise(crowd.sent[30::5])]
    assert apart == [pytest.approx(1 + WAY_S + LEAD_MIN_S, abs=0.005)] * 3


async def test_a_log_that_fails_fails_the_request(clock: FakeClock) -> None:
    """Never a licence to send: everybody who waits is told why; the next asks again."""

    class BrokenLog(MemoryLog):
        is_broken = True

        async def change(self, key: str, limit: Limit | None, change: Change[T]) -> Answer[T]:
            if self.is_broken:
                raise DestinationBusy("the database is locked")
            return await super().change(key, limit, change)

    log = BrokenLog(clock)
    crowd, budget = Crowd(clock), SharedBudgets(log, clock).of(FIVE)
    ended = await asyncio.gather(*(crowd.ask(budget, "x") for _ in range(3)), return_exceptions=True)
    log.is_broken = False
    await crowd.ask(budget, "x")

    assert [type(each) for each in ended] == [DestinationBusy] * 3
    assert crowd.order == ["x"]


async def test_one_key_is_one_budget_and_the_stricter_terms_hold(clock: FakeClock, log: MemoryLog) -> None:
    """Two accounts of comporta.toml that name the same place."""
    budgets = SharedBudgets(log, clock)
    first = budgets.of(BudgetTerms("k", (5, SECOND)))
    second = budgets.of(BudgetTerms("k", (100, timedelta(minutes=1)), in_flight_max=3))
    other = budgets.of(BudgetTerms("other"))

    assert first is second is not other
    assert first.rate == (100, timedelta(minutes=1))
    assert (await first.state()).limit == "100/1m"


class LogWithHook(MemoryLog):
    """A log after whose next answer something happens, before anybody hears of it."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.hook: Callable[[], object] | None = None

    async def change(self, key: str, limit: Limit | None, change: Change[T]) -> Answer[T]:
        """Change a state, then do what the test wants."""
        answer = await super().change(key, limit, change)
        if self.hook is not None:
            self.hook()
            await asyncio.sleep(0)  # whoever it wakes is quicker
        return answer


async def test_who_is_cancelled_as_the_grant_comes_takes_nobody_along(clock: FakeClock) -> None:
    """Cancelled is not yet gone from the queue: the grant is for whoever waits behind, and is not lost."""
    crowd, log = Crowd(clock), LogWithHook(clock)
    budget = SharedBudgets(log, clock).of(FIVE)
    await crowd.ask(budget, "before")
    first, second = (asyncio.ensure_future(crowd.ask(budget, name)) for name in ("first", "second"))
    log.hook = first.cancel

    await second
    await crowd.ask(budget, "after")

    assert first.cancelled()
    assert crowd.order == ["before", "second", "after"]


async def test_what_comes_while_the_log_is_asked_is_told_at_once(clock: FakeClock) -> None:
    """A person's request is made as the log says to a backfill how long to wait: the log hears of it before that."""
    crowd, log = Crowd(clock), LogWithHook(clock)
    budget = SharedBudgets(log, clock).of(ONE)
    await crowd.ask(budget, "before")
    began = clock.monotonic()
    people: list[asyncio.Task[Progress]] = []
    told: list[float] = []

    def note() -> None:
        if not people:
            people.append(asyncio.ensure_future(crowd.ask(budget, "person", priority=Priority.PERSON)))
        if any(each.priority == Priority.PERSON for each in log._states["k"].waiters):
            told.append(clock.monotonic() - began)

    log.hook = note
    await crowd.ask(budget, "backfill", priority=Priority.BULK)
    await people[0]

    assert crowd.order == ["before", "person", "backfill"]
    assert told[0] < 0.5


@pytest.mark.parametrize("answer_s", [0.01, 0.8])
def test_what_connecting_costs_is_learnt_from_a_slow_source_as_from_a_quick_one(answer_s: float) -> None:
    """It is the difference between answers that needed it and answers that did not, however long both take."""
    connecting = Connecting()
    for at, took_s, is_new in [(1.0, answer_s + 0.12, True), (2.0, answer_s, False)]:
        connecting.ended(at, took_s, is_new=is_new)

    assert connecting.costs_s(2.0 + 2 * IDLE_S, in_flight=0) == pytest.approx(0.12)


async def test_a_connection_is_idle_for_one_request_only(clock: FakeClock, log: MemoryLog) -> None:
    """Of three that are granted before the first has left two must connect, and their stamps say so."""
    crowd, budget = Crowd(clock), SharedBudgets(log, clock).of(FIVE)
    await crowd.ask(budget, "before")
    budget._connecting._new_s = CONNECT_S  # as a source that is further away than the test's would teach
    await clock.sleep(2 * SECOND)
    began = clock.monotonic()
    await asyncio.gather(*(crowd.ask(budget, name) for name in "abc"))

    leads = [at - began for at, _ in log._states["k"].stamps]
    assert leads == [pytest.approx(LEAD_MIN_S), *[pytest.approx(LEAD_MIN_S + CONNECT_S)] * 2]


async def test_a_request_without_an_answer_teaches_nothing_of_connecting(clock: FakeClock, log: MemoryLog) -> None:
    """A refused connection took no time and is not idle afterwards: the next must connect, for as long as before."""
    budget = SharedBudgets(log, clock).of(FIVE)
    with pytest.raises(ConnectionRefusedError):
        async with budget.turn(Progress(clock), "x"):
            raise ConnectionRefusedError

    assert budget._connecting.costs_s(clock.monotonic(), in_flight=0) == CONNECT_S
