"""What alerts are decided from: facts about every stream, account and the machine, and the bounds that a person set.

Nothing here is decided; who gathers the facts is ``coordination.watch``.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from comporta.core.alert_history import History
from comporta.core.coverage import Interval
from comporta.core.run import Run


@dataclass(frozen=True, slots=True)
class AlertBounds:
    """From where on something matters to a person; the keys and defaults of ``[alerts]``.

    ``stale_after`` None is twice the stream's interval, and the margin that every window leaves. ``grace`` is how long
    a process that just started lets streams catch up before it calls them stale. ``over_after`` is how long all must be
    well before an alert is over.
    """

    stale_after: timedelta | None = None
    grace: timedelta = timedelta(minutes=5)
    over_after: timedelta = timedelta(minutes=5)
    slow_after: timedelta = timedelta(minutes=5)
    slow_factor: int = 3
    empty_runs: int = 48
    failures: int = 3
    quarantine: int = 10
    clock_apart: timedelta = timedelta(minutes=1)
    disk_mb: int = 500


@dataclass(frozen=True, slots=True)
class StreamFact:
    """One stream that is synced by a schedule; ``freshness`` is ``None`` while coverage misses its beginning.

    It ``is_guarded`` where it is read only with the key of an older program.
    """

    account: str
    stream: str
    interval: timedelta
    margin: timedelta = timedelta()
    freshness: timedelta | None = None
    holes: Sequence[Interval] = ()
    running: Run | None = None
    history: History = field(default_factory=History)
    quarantined: int = 0
    quarantined_lately: int = 0
    clock_offset_s: float | None = None
    is_guarded: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """An error that is not a run's: of the database, of a channel, of the Redis that holds an older program's keys."""

    code: str
    message: str
    next_step: str
    since: datetime


@dataclass(frozen=True, slots=True)
class SchedulerFact:
    """The scheduler that was seen last."""

    instance: str
    seen_at: datetime
    has_ended: bool


@dataclass(frozen=True, slots=True)
class AlertFacts:
    """Everything that was seen in one look.

    ``up_for`` is how long the process that looks is up, on ``machine``, and the database answers. ``clock_jump_s`` is
    by how much that machine's clock moved lately against its own run. ``logins`` says why one needs a person, by
    account; that of an account in ``granted`` needs none. ``pauses`` says why and how long a source wants nobody to
    ask, by account. ``channels`` are those that were last tried in vain, ``None`` for those that took what they were
    given.
    """

    now: datetime
    machine: str = ""
    up_for: timedelta = timedelta()
    streams: Sequence[StreamFact] = ()
    logins: Mapping[str, str] = field(default_factory=dict)
    granted: Collection[str] = ()
    pauses: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    database: Trouble | None = None
    legacy_lock: Trouble | None = None
    channels: Mapping[str, Trouble | None] = field(default_factory=dict)
    disk_free_mb: int | None = None
    disk: str = ""
    clock_jump_s: float = 0.0
    scheduler: SchedulerFact | None = None
