"""What the API of runs answers, as /openapi.json says it. The objects are made in ``reports`` and ``core.run``.

These classes make nothing: they are the promise, and a test holds every real answer against them.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from comporta.core.run import RunState, Trigger
from comporta.core.window import Kind

Instant = Annotated[str, Meta(description="ISO 8601 in UTC.", examples=["2026-03-01T08:00:00Z"])]


class _Answer(Struct, forbid_unknown_fields=True):
    """An object with these fields and no other."""


class Problem(_Answer):
    """What went wrong: what was attempted and seen, and the next step."""

    code: str
    message: str
    next_step: str
    docs: str


class Refusal(_Answer):
    """The answer to whatever was not done."""

    ok: Literal[False]
    error: Problem


class Window(_Answer):
    """The slice of source time a run reads."""

    since: Instant | None
    until: Instant | None
    kind: Kind


class Counts(_Answer):
    """read = inserted + updated + unchanged + rejected, always."""

    read: int
    inserted: int
    updated: int
    unchanged: int
    rejected: int
    deleted: int


class Requests(_Answer):
    """What a run asked of its source."""

    sent: int
    retried: int
    throttled: int
    waited_s: float


class Rates(_Answer):
    """How fast a run was, and how much of the limit it used."""

    records_per_s: float | None
    upserts_per_s: float | None
    limit: str | None
    limit_used: float | None


class Run(_Answer):
    """One execution of a sync over a window: the same object in CLI, API and events."""

    id: str
    account: str
    stream: str
    state: RunState
    trigger: Trigger
    attempt: int
    epoch: int | None
    dry_run: bool
    partial: bool
    window: Window
    counts: Counts
    requests: Requests
    rates: Rates
    queued_at: Instant | None
    started_at: Instant | None
    finished_at: Instant | None
    duration_s: float | None
    error: Problem | None


class Runs(_Answer):
    """Runs, newest first; of what was asked for, in the order of the streams."""

    ok: Literal[True]
    runs: list[Run]


class OneRun(_Answer):
    """A run."""

    ok: Literal[True]
    run: Run


class Line(_Answer):
    """One step of a run."""

    seq: int
    at: Instant
    level: str
    step: str
    message: str
    fields: dict[str, Any]


class Log(_Answer):
    """The next lines of a run's log, at most a thousand; go on with ``after`` = the last ``seq``."""

    ok: Literal[True]
    run: str
    lines: list[Line]


class Login(_Answer):
    """How the login of an account stands that has one."""

    state: str
    user_id: str | None
    expires_at: Instant | None
    reason: str | None
    next_step: str


class Account(_Answer):
    """One set of credentials at a source; ``paused_at`` only where a person paused it by command."""

    name: str
    source: str
    url: str
    paused: bool
    paused_at: Instant | None
    streams: list[str]
    login: Login | None


class Accounts(_Answer):
    """The accounts."""

    ok: Literal[True]
    accounts: list[Account]


class Interval(_Answer):
    """Source time from ``since`` (``null``: the beginning) to just before ``until``."""

    since: Instant | None
    until: Instant | None


class Stream(_Answer):
    """Where a stream stands, as ``comporta status --json`` says it; ``login`` only for accounts that have one."""

    account: str
    stream: str
    state: str
    freshness_s: float | None
    clock_offset_s: float | None
    holes: list[Interval]
    quarantined: int
    last_run: Run | None
    next_step: str
    next_run_at: Instant | None
    login: Login | None = None


class Streams(_Answer):
    """Where every stream stands."""

    ok: Literal[True]
    streams: list[Stream]


class Gap(_Answer):
    """Source time that is not covered, and why; `null` bounds are the beginning, and on and on."""

    since: Instant | None
    until: Instant | None
    why_code: str
    why: str
    run: str | None
    error: Problem | None
    next_try_at: Instant | None
    voided_by: str | None


class Covered(_Answer):
    """What is covered of a stream, what is missing in it, and what comes after its end."""

    intervals: list[Interval]
    holes: list[Gap]
    open: Gap
    origin: Instant | None
    end: Instant | None
    freshness_s: float | None


class Coverage(_Answer):
    """The coverage of a stream."""

    ok: Literal[True]
    coverage: Covered


class Lease(_Answer):
    """Who holds a stream since when."""

    scope: str
    epoch: int
    holder: str | None
    since: Instant | None
    expires_at: Instant | None
    instance: str | None
    alive: bool


class Leases(_Answer):
    """Every scope that was ever held."""

    ok: Literal[True]
    leases: list[Lease]


class Released(_Answer):
    """Whether anybody held it."""

    ok: Literal[True]
    released: bool
    scope: str


class Limit(_Answer):
    """How the budget of an account stands."""

    account: str
    key: str
    limit: str | None
    allowed: str | None
    used: int
    waiting: int
    paused_s: float
    reason: str | None


class Limits(_Answer):
    """The budgets."""

    ok: Literal[True]
    limits: list[Limit]


class Progress(_Answer):
    """How far a run of this process is beyond its last batch."""

    rows_read: int
    rows_expected: int | None
    waiting_for: str | None


class RunEvent(_Answer):
    """The data of ``run_queued``, ``run_started``, ``run_progress`` and ``run_ended``."""

    run: Run
    progress: Progress | None


class LogEvent(_Answer):
    """The data of ``log``."""

    run: str
    account: str
    stream: str
    line: Line


class ResetEvent(_Answer):
    """The data of ``reset``: take a snapshot, then go on with what follows."""

    reason: Literal["new", "unknown", "too_old"]
