"""What a source's requests need before they are sent: a turn in the budget of its API account.

A budget belongs to whom the API counts (a host, a key), not to an account of comporta.toml: two accounts that
name the same place share it, and so do all runs in all processes on one database.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from comporta.core.rate import Rate
from comporta.ports.progress import Progress


@dataclass(frozen=True, slots=True)
class BudgetTerms:
    """What a source declares of its budget.

    ``key`` says whom the API counts, such as ``activecampaign https://acme.api-us1.com``; never a secret.
    ``rate`` is the most that is allowed, ``None`` where no figure is known. ``in_flight_max`` bounds the requests
    that are under way at once.
    """

    key: str
    rate: Rate | None = None
    in_flight_max: int | None = None


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A budget as people see it. ``allowed`` is the rate it goes by now, less than the limit where others use it too.

    ``used`` counts the requests in the last span, ``waiting`` those that wait for their turn. ``paused_s`` is how long
    the source wants nobody to ask, 0 when it does not, and ``reason`` why.
    """

    key: str
    limit: str | None
    allowed: str | None
    used: int
    waiting: int
    paused_s: float = 0.0
    reason: str | None = None

    def as_json(self) -> Mapping[str, object]:
        """Return the object of ``limits`` in ``comporta status --json``."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


class Budget(Protocol):
    """The requests that one API account may be asked."""

    @property
    def rate(self) -> Rate | None:
        """Return the rate the budget goes by now; it tells how many requests in flight are of use."""

    def turn(self, progress: Progress, subject: str) -> AbstractAsyncContextManager[float]:
        """Wait until a request may be sent, and give the seconds waited; leave when it is answered.

        What is behind ``progress.priority`` goes first; streams (``progress.scope``) of equal priority take turns.
        The wait is told to ``progress``. The grant is recorded at the moment it is given, so: send at once.
        """

    async def throttled(self, retry_after: timedelta | None, reason: str, *, age: timedelta = timedelta()) -> timedelta:
        """Tell that the source refused for the rate (429); everybody who shares the budget pauses for what is returned.

        ``age`` is how long ago the refused request was sent: what was sent before less was allowed teaches nothing.
        """

    async def state(self) -> BudgetState:
        """Return how the budget stands."""


class Budgets(Protocol):
    """All budgets that requests of this process need."""

    def of(self, terms: BudgetTerms) -> Budget:
        """Return the budget of a key, the same for everybody who names it."""
