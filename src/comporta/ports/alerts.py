"""What alerts need: a book in which they are kept, a look at what the ledger knows, and channels to people.

The book decides nothing; it does in one transaction what ``core.alert_settling`` says, so that however many processes
look, an alert is opened once and told once.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from comporta.core.alert import Alert, Wanted
from comporta.core.alert_facts import SchedulerFact
from comporta.core.alert_history import History
from comporta.core.alert_letter import Letter
from comporta.core.alert_settling import QuietHours
from comporta.core.coverage import Coverage
from comporta.core.run import Run
from comporta.ports.clock import Clock


@dataclass(frozen=True, slots=True)
class Sight:
    """What the ledger knows that alerts are decided from, by scope, as one state.

    ``newest`` names the newest ended run of each scope, ``histories`` what the past of those says that had another
    before. ``quarantined`` counts the records that wait, and those of them that came in the last day. ``logins`` says
    of which accounts the login needs a person, and why; of those in ``granted`` it needs none.
    """

    now: datetime
    coverage: Mapping[str, Coverage] = field(default_factory=dict)
    clock_offsets: Mapping[str, float] = field(default_factory=dict)
    quarantined: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    running: Mapping[str, Run] = field(default_factory=dict)
    newest: Mapping[str, str] = field(default_factory=dict)
    histories: Mapping[str, History] = field(default_factory=dict)
    logins: Mapping[str, str] = field(default_factory=dict)
    granted: Collection[str] = ()
    paused: Collection[str] = ()
    scheduler: SchedulerFact | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """What one look changed, and which alerts this process now has to tell: nobody else will."""

    opened: Sequence[Alert] = ()
    updated: Sequence[Alert] = ()
    closed: Sequence[Alert] = ()
    claimed: Sequence[Alert] = ()


class AlertBook(Protocol):
    """Where alerts are kept."""

    async def look(self, known: Mapping[str, str], scopes: Sequence[str], *, depth: int) -> Sight:
        """Return what the ledger knows now. ``known`` are the newest runs of the last look, by scope, among ``scopes``.

        ``depth`` is how many runs of a stream a history is made of.
        """

    async def settle(
        self,
        wanted: Sequence[Wanted],
        *,
        keeps: Callable[[Alert], bool],
        told: Sequence[Alert] = (),
        quiet: QuietHours | None = None,
        is_telling: bool = True,
        over_after: timedelta = timedelta(),
    ) -> Settlement:
        """Let there be these alerts and no other, in one transaction, and claim what is to be told.

        ``keeps``, ``told`` and ``over_after`` are as in ``alert_settling.settle``.
        Without ``is_telling`` nothing is claimed: nobody could be reached now.
        """

    async def confirm(self, claimed: Sequence[Alert], *, is_told: bool) -> None:
        """Say whether a channel took what was claimed; if none did, it may be claimed again."""

    async def alerts(self, *, is_all: bool = False) -> Sequence[Alert]:
        """Return the open alerts, the newest first; ``is_all`` adds those that are over."""

    async def mute(self, key: str, until: datetime | None) -> Alert | None:
        """Tell nothing of an alert until an instant, ``None`` for no longer; ``None`` back when there is none."""


class Notebook(Protocol):
    """Where a process keeps what it told without the book, until that is over."""

    async def read(self) -> Sequence[Alert]:
        """Return what is kept: by the process before, or by another that is at work beside this one."""

    async def keep(self, alerts: Sequence[Alert]) -> bool:
        """Keep these and no other, and say whether that could be done."""


class Channel(Protocol):
    """A way to people."""

    @property
    def name(self) -> str:
        """Return its name in the settings."""

    async def send(self, letter: Letter) -> None:
        """Deliver a letter, within a bounded time; raise ``ChannelFailed`` or ``AppriseMissing`` if it cannot be."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Everything by which people learn of alerts. ``disk`` gives the database's place and the free megabytes there."""

    book: AlertBook
    notebook: Notebook
    channels: Sequence[Channel]
    disk: Callable[[], Awaitable[tuple[str, int]]]
    machine: str
    machine_clock: Clock
