"""Budgets of sources that count whoever a login opens: known once somebody has logged in, not when settings are read.

Until then an account has a budget of its own name, which only the login itself spends. As soon as it is known whom the
source counts, all accounts that are counted together share one budget, whatever they are called and in whichever
settings they stand; so what was learnt of a limit outlives a rename.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

from comporta.core.rate import Rate
from comporta.ports.budget import Budget, Budgets, BudgetState, BudgetTerms
from comporta.ports.progress import Progress

Look = Callable[[], Mapping[str, str]]
"""Returns whom the source counts, by account, for those of which it is known; called in a thread."""


class LateBudgets:
    """The budgets of this process whose key a login decides."""

    def __init__(self, budgets: Budgets, look: Look) -> None:
        self._budgets = budgets
        self._look = look
        self._late: dict[str, LateBudget] = {}
        self._door = asyncio.Lock()
        self._looks = 0
        self._seen = 0  # the last look that ended well

    def of(self, account: str, terms: BudgetTerms) -> "LateBudget":
        """Return the budget of an account. The key of ``terms`` is the place: whom it counts there is added."""
        if account not in self._late:
            self._late[account] = LateBudget(self, account, terms)
        return self._late[account]

    def forget(self, account: str) -> None:
        """Ask anew whom an account counts: it is another by now, or another application reads it."""
        self._late.pop(account, None)

    def named(self, terms: BudgetTerms, whom: str) -> Budget:
        """Return the budget of somebody at a place."""
        return self._budgets.of(replace(terms, key=f"{terms.key} {whom}"))

    async def settle(self) -> None:
        """Look whom the accounts are counted as, once for all that ask at the same time.

        All of them at once, so that of different limits the stricter holds, whoever asks first.
        """
        came = self._looks
        async with self._door:
            if self._seen > came:
                return
            self._looks += 1
            found = await asyncio.to_thread(self._look)
            self._seen = self._looks  # one that failed is nobody's answer
            for account, whom in found.items():
                if account in self._late:
                    self._late[account].go_by(whom)


class LateBudget:
    """One account's budget; implements ``ports.budget.Budget``."""

    def __init__(self, budgets: LateBudgets, account: str, terms: BudgetTerms) -> None:
        self._budgets = budgets
        self._account = account
        self._terms = terms
        self._settled: Budget | None = None

    def go_by(self, whom: str) -> None:
        """Spend the budget of whoever is counted, from now on: an account never changes whom it reads."""
        self._settled = self._settled or self._budgets.named(self._terms, whom)

    @property
    def rate(self) -> Rate | None:
        """Return the rate the budget goes by now."""
        return self._terms.rate if self._settled is None else self._settled.rate

    @asynccontextmanager
    async def turn(self, progress: Progress, subject: str) -> AsyncIterator[float]:
        """Wait for a turn."""
        budget = await self._now()
        async with budget.turn(progress, subject) as waited_s:
            yield waited_s

    async def throttled(self, retry_after: timedelta | None, reason: str, *, age: timedelta = timedelta()) -> timedelta:
        """Tell that the source refused for the rate; return how long everybody pauses."""
        return await (await self._now()).throttled(retry_after, reason, age=age)

    async def state(self) -> BudgetState:
        """Return how the budget stands."""
        return await (await self._now()).state()

    async def _now(self) -> Budget:
        """Return the budget that is known by now."""
        if self._settled is None:
            await self._budgets.settle()
        return self._settled or self._budgets.named(self._terms, self._account)
