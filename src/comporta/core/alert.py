"""An alert, as a value: what is wrong that matters to a person, said once for as long as it lasts.

What it is about is its ``key``: two looks at the same trouble find the same key, so the second one changes an alert
and opens none. Which alerts there should be is decided in ``alerts``, what happens to those there are in
``alert_settling``, and the words stand in ``alert_words``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from comporta.core.instant import short_text


class Level(StrEnum):
    """Whether something is broken, or may become so."""

    ERROR = "error"
    WARNING = "warning"


class Kind(StrEnum):
    """What an alert can be about."""

    STALE = "stale"
    HOLE = "hole"
    FAILING = "failing"
    NEEDS_LOGIN = "needs_login"
    SLOW_RUN = "slow_run"
    NO_RECORDS = "no_records"
    QUARANTINE = "quarantine"
    COUNTS = "counts"
    DATABASE = "database"
    DISK = "disk"
    LEGACY_LOCK = "legacy_lock"
    CLOCK = "clock"
    SCHEDULER = "scheduler"
    CHANNEL = "channel"
    TEST = "test"


LEVELS: Mapping[Kind, Level] = {
    Kind.STALE: Level.ERROR,
    Kind.HOLE: Level.WARNING,
    Kind.FAILING: Level.ERROR,
    Kind.NEEDS_LOGIN: Level.ERROR,
    Kind.SLOW_RUN: Level.WARNING,
    Kind.NO_RECORDS: Level.WARNING,
    Kind.QUARANTINE: Level.WARNING,
    Kind.COUNTS: Level.ERROR,
    Kind.DATABASE: Level.ERROR,
    Kind.DISK: Level.ERROR,
    Kind.LEGACY_LOCK: Level.ERROR,
    Kind.CLOCK: Level.WARNING,
    Kind.SCHEDULER: Level.ERROR,
    Kind.CHANNEL: Level.WARNING,
    Kind.TEST: Level.WARNING,
}
AWAKE = frozenset({Kind.NEEDS_LOGIN, Kind.DATABASE, Kind.DISK, Kind.LEGACY_LOCK, Kind.SCHEDULER, Kind.TEST})
"""Kinds that quiet hours do not hold back: all work of an account or of the process stands until a person acts."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An alert that there should be now. ``stream`` is ``None`` where it is about several, or about none."""

    key: str
    kind: Kind
    message: str
    next_step: str
    account: str | None = None
    stream: str | None = None
    fields: Mapping[str, object] = field(default_factory=dict)

    @property
    def level(self) -> Level:
        """Return how bad it is."""
        return LEVELS[self.kind]


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as the ledger keeps it.

    ``told_at`` is when people were told that it opened, ``told_closed_at`` that it closed. While somebody is at it,
    ``sending`` is true and the instant is when they began: see ``alert_settling.may_tell``. ``well_since`` is from when
    on nobody who looked found the trouble any more.
    """

    key: str
    kind: Kind
    level: Level
    message: str
    next_step: str
    opened_at: datetime
    updated_at: datetime
    account: str | None = None
    stream: str | None = None
    fields: Mapping[str, object] = field(default_factory=dict)
    closed_at: datetime | None = None
    muted_until: datetime | None = None
    told_at: datetime | None = None
    told_closed_at: datetime | None = None
    is_sending: bool = False
    times: int = 1
    well_since: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Say whether it is not over."""
        return self.closed_at is None

    def as_json(self) -> dict[str, object]:
        """Return the object that command, webhook and page all show."""
        return {
            "id": f"{self.key}@{short_text(self.opened_at)}",
            "key": self.key,
            "kind": self.kind.value,
            "level": self.level.value,
            "state": "open" if self.is_open else "closed",
            "account": self.account,
            "stream": self.stream,
            "message": self.message,
            "next_step": self.next_step,
            "fields": dict(self.fields),
            "opened_at": short_text(self.opened_at),
            "updated_at": short_text(self.updated_at),
            "well_since": short_text(self.well_since) if self.is_open else None,
            "closed_at": short_text(self.closed_at),
            "muted_until": short_text(self.muted_until),
            "told_at": None if self.is_sending else short_text(self.told_at),
            "times": self.times,
        }
