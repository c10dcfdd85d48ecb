"""The budgets of one process, kept nowhere else.

Enough for a test of whoever spends a budget; the product keeps them where processes share them.
"""

from typing import TypeVar

from comporta.core.allowance import Limit
from comporta.core.limit import LimitState
from comporta.ports.budget_log import Answer, Change
from comporta.ports.clock import Clock

T = TypeVar("T")


class MemoryLog:
    """A log that no other process sees; implements ``ports.budget_log.BudgetLog``."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._states: dict[str, LimitState] = {}

    async def change(self, key: str, limit: Limit | None, change: Change[T]) -> Answer[T]:
        """Change a state."""
        del limit
        now = self._clock.monotonic()
        self._states[key], told = change(self._states.get(key, LimitState(touched=now)), now)
        return Answer(told, earliest=now, latest=now)

    async def aclose(self) -> None:
        """Do nothing."""
