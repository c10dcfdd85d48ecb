"""Where the state of the budgets is kept, so that all who share one see the same.

A change is a pure function of the state and the log's clock; the log may call it again with a newer state when
somebody else was quicker. It never answers from memory: a log that cannot be reached raises.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from comporta.core.allowance import Limit
from comporta.core.limit import LimitState

T = TypeVar("T")
Change = Callable[[LimitState, float], tuple[LimitState, T]]


class BudgetLog(Protocol):
    """The states of all budgets of one database."""

    async def change(self, key: str, limit: Limit | None, change: Change[T]) -> tuple[T, float]:
        """Put the state that ``change`` returns in the place of the present one, and return what it says of it.

        The second of the pair is by this process's monotonic clock, and no later than the instant that ``change``
        was given. ``limit`` tells what a log that was lost must be taken to hold.
        """

    async def aclose(self) -> None:
        """Close what is open."""
