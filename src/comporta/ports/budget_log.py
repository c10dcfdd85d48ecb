"""Where the state of the budgets is kept, so that all who share one see the same.

A change is a pure function of the state and the log's clock; the log may call it again with a newer state when
somebody else was quicker. It never answers from memory: a log that cannot be reached raises.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from comporta.core.allowance import Limit
from comporta.core.limit import LimitState

T = TypeVar("T")
Change = Callable[[LimitState, float], tuple[LimitState, T]]


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What a change said, and when by this process's monotonic clock it was by the log's what the change was given.

    Between ``earliest`` and ``latest``, that is: another machine's clock cannot be read more exactly.
    """

    told: T
    earliest: float
    latest: float


class BudgetLog(Protocol):
    """The states of all budgets of one database."""

    async def change(self, key: str, limit: Limit | None, change: Change[T]) -> Answer[T]:
        """Put the state that ``change`` returns in the place of the present one, and return what it says of it.

        ``limit`` tells what a log that was lost must be taken to hold.
        """

    async def aclose(self) -> None:
        """Close what is open."""
