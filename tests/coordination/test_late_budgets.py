"""Budgets whose key a login decides: shared by all that are counted together, whatever they are called."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import pytest

from comporta.coordination.budgets import SharedBudgets
from comporta.coordination.late_budgets import LateBudgets
from comporta.errors import DestinationBusy
from comporta.ports.budget import BudgetTerms
from comporta.ports.progress import Progress
from comporta.testing import FakeClock, MemoryLog

SECOND = timedelta(seconds=1)
AT = "https://api.example"
BOTH = {"loja1": "seller 7", "loja2": "seller 7"}


class Process:
    """The budgets of one process; ``logins`` is whom each account reads, and may grow."""

    def __init__(self, clock: FakeClock, log: MemoryLog, logins: Mapping[str, str]) -> None:
        self.logins = dict(logins)
        self.looks = 0
        self.fails_at: int | None = None
        self.late = LateBudgets(SharedBudgets(log, clock), self._look)

    async def key(self, account: str) -> str:
        return (await self.late.of(account, BudgetTerms(AT)).state()).key

    def _look(self) -> Mapping[str, str]:
        self.looks += 1
        if self.looks == self.fails_at:
            raise DestinationBusy("held by another")
        return dict(self.logins)


async def test_what_one_account_learnt_holds_for_every_other_of_the_same_seller(
    clock: FakeClock, log: MemoryLog
) -> None:
    """In another process, with other settings, under a new name; but not for another seller."""
    ours = Process(clock, log, {"loja1": "seller 7"})
    theirs = Process(clock, log, {"renamed": "seller 7", "loja2": "seller 8"})
    await ours.late.of("loja1", BudgetTerms(AT)).throttled(SECOND * 20, "429 Too Many Requests")

    paused = {name: (await theirs.late.of(name, BudgetTerms(AT)).state()).paused_s for name in ("renamed", "loja2")}

    assert paused == {"renamed": pytest.approx(20), "loja2": 0.0}


async def test_an_account_has_its_own_budget_until_somebody_has_logged_in(clock: FakeClock, log: MemoryLog) -> None:
    """The request for the first pair goes by it; the one after does not."""
    process = Process(clock, log, {})
    budget = process.late.of("loja1", BudgetTerms(AT, in_flight_max=3))
    async with budget.turn(Progress(clock), "first login"):
        before = await process.key("loja1")
    process.logins["loja1"] = "seller 7"
    async with budget.turn(Progress(clock), "orders"):
        after = await process.key("loja1")

    assert (before, after) == (f"{AT} loja1", f"{AT} seller 7")


async def test_of_different_limits_the_stricter_holds_whoever_asks_first(clock: FakeClock, log: MemoryLog) -> None:
    """Also that of an account which makes no request in this process."""
    process = Process(clock, log, BOTH)
    loose = process.late.of("loja1", BudgetTerms(AT, (9, SECOND)))
    process.late.of("loja2", BudgetTerms(AT, (2, SECOND)))
    before = loose.rate

    limit = (await loose.state()).limit

    assert before == (9, SECOND)
    assert (limit, loose.rate) == ("2/1s", (2, SECOND))


async def test_many_accounts_are_looked_up_at_once(clock: FakeClock, log: MemoryLog) -> None:
    """Those without a login too: a status of a thousand accounts asks the database twice, not a thousand times."""
    process = Process(clock, log, BOTH)

    keys = await asyncio.gather(*(process.key(name) for name in ("loja1", "loja2", "loja3", "loja4")))

    assert keys == [f"{AT} seller 7", f"{AT} seller 7", f"{AT} loja3", f"{AT} loja4"]
    assert process.looks == 2  # whoever comes while one looks cannot know what it saw


async def test_a_look_that_failed_is_nobodys_answer(clock: FakeClock, log: MemoryLog) -> None:
    """Whoever waited for it looks again, and does not go by a budget of its own name."""
    process = Process(clock, log, BOTH)
    process.fails_at = 2

    keys = await asyncio.gather(
        *(process.key(name) for name in ("loja3", "loja1", "loja2", "loja4")), return_exceptions=True
    )

    assert [type(each) for each in keys].count(DestinationBusy) == 1
    assert {f"{AT} loja1", f"{AT} loja2"} & {str(each) for each in keys} == set()
    assert process.looks == 3
