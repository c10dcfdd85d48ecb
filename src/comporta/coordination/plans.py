"""What coordination is told about accounts and streams, and how runs are conducted in this process.

Bootstrap makes it from the settings, so that nothing below it knows where settings come from.
"""

from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from dataclasses import dataclass, field
from datetime import timedelta

from comporta.core.batch import ROWS_MAX
from comporta.core.guard import LegacyKey
from comporta.core.rate import Rate
from comporta.core.schedule import Schedule
from comporta.ports.budget import Budget
from comporta.ports.notifications import Missed, Point
from comporta.ports.source import Source, StreamRequest


@dataclass(frozen=True, slots=True)
class Child:
    """A stream whose records must be looked at again when one of another stream changed.

    ``column`` of the changed row names the record; without one, those are meant that have the row for a parent.
    """

    stream: str
    column: str | None = None


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """One stream of one account and the rules it is synced by."""

    request: StreamRequest
    overlap: timedelta
    timeout: timedelta
    origin_text: str | None = None
    schedule: Schedule | None = None
    children: tuple[Child, ...] = ()
    is_paused: bool = False
    legacy_key: LegacyKey | None = None

    @property
    def name(self) -> str:
        """Return the stream's name at its source."""
        return self.request.stream


@dataclass(frozen=True, slots=True)
class Feed:
    """The notifications of an account's source: what each points at, and those that could not be delivered, by page."""

    source: str
    point: Point
    missed: Missed


@dataclass(frozen=True, slots=True)
class AccountPlan:
    """One account: its source and its streams, in the order they are synced.

    ``limit`` is what is declared of the requests, ``None`` where no figure is known. ``lanes`` names the lane of a
    stream: those of one lane run in order, because one needs another to be read before it; lanes run side by side, and
    streams without a name share one. ``stall_timeout`` is the account's own, ``None`` for that of the process.
    ``feed`` is ``None`` where the source does not notify.
    """

    name: str
    source: Source
    streams: Mapping[str, StreamPlan]
    limit: Rate | None = None
    budget: Budget | None = None
    lanes: Mapping[str, str] = field(default_factory=dict)
    stall_timeout: timedelta | None = None
    feed: Feed | None = None


class Accounts(Mapping[str, AccountPlan]):
    """The accounts that a process goes by now: those of another moment come in place of all of them at once.

    So whoever is half through a list of them goes on with the list as it was.
    """

    def __init__(self, plans: Mapping[str, AccountPlan]) -> None:
        self._plans = plans
        self.edition = 0
        """Another number says that there are others."""

    def replace(self, plans: Mapping[str, AccountPlan]) -> list[str]:
        """Go by these from now on; return the names of those that came, changed or went."""
        before, self._plans = self._plans, plans
        self.edition += 1
        return sorted(name for name in {*before, *plans} if before.get(name) is not plans.get(name))

    def __getitem__(self, name: str) -> AccountPlan:
        return self._plans[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._plans)

    def __len__(self) -> int:
        return len(self._plans)

    def keys(self) -> KeysView[str]:
        """Return the names as they are now."""
        return self._plans.keys()

    def values(self) -> ValuesView[AccountPlan]:
        """Return the plans as they are now."""
        return self._plans.values()

    def items(self) -> ItemsView[str, AccountPlan]:
        """Return names and plans as they are now."""
        return self._plans.items()


@dataclass(frozen=True, slots=True)
class Conduct:
    """How runs are conducted in this process.

    Up to ``exact_rows_max`` rows a reconciliation compares every key and stamp (ten requests, a second or
    two at the source); beyond, hours first.
    """

    instance: str
    workers: int
    lease: timedelta
    stall_timeout: timedelta
    margin: timedelta
    reconcile_every: timedelta
    rejected_share: float
    deleted_share: float
    exact_rows_max: int = 100_000
    batch_rows_max: int = ROWS_MAX
