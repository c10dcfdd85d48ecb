"""Run states and the table of allowed transitions.

            ┌──────────► cancelled, skipped
            │
    queued ─┴─► running ─┬─► succeeded        only the holder, in the transaction that frees the lease
                         ├─► failed           "
                         ├─► timed_out        "
                         ├─► cancelled        "
                         ├─► interrupted      " (handed over at a shutdown)
                         └─► lost             only whoever takes the lease away, in the transaction that
                                              raises the epoch

A state never goes back. Another try is another run: ``attempt`` + 1. ``partial`` is a flag, not a
state. What people see is a function of the row: a run is shown as running only while its lease lives.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from comporta.core.counts import Counts
from comporta.core.instant import short_text


class RunState(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    LOST = "lost"
    SKIPPED = "skipped"


class Trigger(StrEnum):
    """Who or what started a run."""

    MANUAL = "manual"
    SCHEDULE = "schedule"
    CATCH_UP = "catch_up"
    RETRY = "retry"
    NOTIFICATION = "notification"
    RECONCILE = "reconcile"


_ENDINGS = frozenset(
    {
        RunState.SUCCEEDED,
        RunState.FAILED,
        RunState.TIMED_OUT,
        RunState.CANCELLED,
        RunState.INTERRUPTED,
        RunState.LOST,
    }
)
ALLOWED: dict[RunState, frozenset[RunState]] = {
    RunState.QUEUED: frozenset({RunState.RUNNING, RunState.CANCELLED, RunState.SKIPPED}),
    RunState.RUNNING: _ENDINGS,
    **{ending: frozenset() for ending in (*_ENDINGS, RunState.SKIPPED)},
}
TERMINAL = frozenset(state for state, following in ALLOWED.items() if not following)


def run_name(now: datetime, token: str) -> str:
    """Return an id for a run that begins now: it sorts by time, and a person can read it out.

    >>> run_name(datetime(2026, 3, 1, 8, 0, 5), "3f9a")
    '20260301T080005-3f9a'
    """
    return f"{now:%Y%m%dT%H%M%S}-{token}"


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a sync over a window, as the ledger keeps it. Instants are aware, in UTC."""

    id: str
    scope: str
    account: str
    stream: str
    state: RunState
    trigger: Trigger
    request: str
    attempt: int = 1
    epoch: int | None = None
    dry_run: bool = False
    partial: bool = False
    window_kind: str | None = None
    window_since: datetime | None = None
    window_until: datetime | None = None
    counts: Counts = field(default_factory=Counts)
    requests_sent: int = 0
    requests_retried: int = 0
    requests_throttled: int = 0
    waited_s: float = 0.0
    limit: str | None = None
    limit_used: float | None = None
    failures: Mapping[str, int] = field(default_factory=dict)
    not_before: datetime | None = None
    priority: int = 0
    queued_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    progress_at: datetime | None = None
    deadline_at: datetime | None = None
    cancel_requested: bool = False
    instance: str | None = None
    error: dict[str, str] | None = None

    @property
    def duration_s(self) -> float | None:
        """Return how long the run took, or has taken by its last sign of life, in seconds."""
        end = self.finished_at or self.progress_at
        if self.started_at is None or end is None:
            return None
        return round((end - self.started_at).total_seconds(), 3)

    def as_json(self) -> dict[str, object]:
        """Return the object RUN of docs/reference/commands.md, the same in CLI, API and events."""
        return {
            "id": self.id,
            "account": self.account,
            "stream": self.stream,
            "state": self.state.value,
            "trigger": self.trigger.value,
            "attempt": self.attempt,
            "epoch": self.epoch,
            "dry_run": self.dry_run,
            "partial": self.partial,
            "window": self._window_json(),
            "counts": self.counts.as_json(),
            "requests": {
                "sent": self.requests_sent,
                "retried": self.requests_retried,
                "throttled": self.requests_throttled,
                "waited_s": round(self.waited_s, 3),
            },
            "rates": self._rates_json(),
            "queued_at": short_text(self.queued_at),
            "started_at": short_text(self.started_at),
            "finished_at": short_text(self.finished_at),
            "duration_s": self.duration_s,
            "error": self.error,
        }

    def _window_json(self) -> dict[str, str | None]:
        return {
            "since": short_text(self.window_since),
            "until": short_text(self.window_until),
            "kind": self.window_kind or self.request.partition(" ")[0],
        }

    def _rates_json(self) -> dict[str, float | str | None]:
        return {
            "records_per_s": _rate(self.counts.read, self.duration_s),
            "upserts_per_s": _rate(self.counts.inserted + self.counts.updated, self.duration_s),
            "limit": self.limit,
            "limit_used": self.limit_used,
        }


def _rate(amount: int, duration_s: float | None) -> float | None:
    return round(amount / duration_s, 1) if duration_s else None
