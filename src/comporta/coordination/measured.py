"""Measuring runs: an observer that tells a meter what came of each, and how much of it so far.

What a run asks of its source is not counted request by request: ``look`` takes what was added to its progress since
the last time, when somebody wants to know, and once more at its end. So a long run shows while it goes on.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

from comporta.core.counts import Counts
from comporta.core.run import Run, RunState
from comporta.core.ticket import successor
from comporta.observability.meter import Meter
from comporta.ports.events import Unwatched
from comporta.ports.progress import LogLine, Progress, Requests
from comporta.ports.store import Occupied

OPERATIONS_MAX = 50
"""Kinds of requests that are told apart for one account; what is more, is "other"."""
OTHER = "other"
RESULTS = ("inserted", "updated", "unchanged", "rejected", "deleted")
COMMITTED = frozenset({"batch_committed", "children_relisted", "hints_handled"})
"""Steps that say what one batch counted."""


@dataclass(slots=True)
class _Told:
    """What a run's counters have been told so far."""

    progress: Progress
    requests: Requests = field(default_factory=Requests)
    counts: Counter[str] = field(default_factory=Counter)


class Measured(Unwatched):
    """An observer that tells a meter."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._running: dict[str, _Told] = {}
        self._began: dict[str, datetime] = {}
        self._operations: dict[str, set[str]] = {}

    def started(self, run: Run, progress: Progress) -> None:
        """Count from here, and tell how long the stream's last start is ago."""
        self._running[run.id] = _Told(progress)
        if run.started_at is None or run.dry_run:
            return
        began, self._began[run.scope] = self._began.get(run.scope), run.started_at
        if began is not None:
            gap = (run.started_at - began).total_seconds()
            self._meter.observe("comporta_run_interval_seconds", gap, **_scope(run))

    def stepped(self, run: Run, line: LogLine) -> None:
        """Count what a batch wrote."""
        told = self._running.get(run.id)
        if told is not None and line.step in COMMITTED and not run.dry_run:
            self._records(run, told, told.counts + Counter(_figures(line.fields)))

    def busy(self, run: Run, occupied: Occupied, *, waiting: bool) -> None:  # noqa: ARG002  the port's signature
        """Count it: told once for each run, whether it waits or not."""
        self._meter.count("comporta_lease_refusals_total", **_scope(run))

    def retrying(self, run: Run, delay: timedelta, attempt: int) -> None:  # noqa: ARG002  the port's signature
        """Count it, but for a lost run, which is counted where it was taken."""
        if run.state is not RunState.LOST:
            self._meter.count("comporta_run_retries_total", **_scope(run))

    def taken(self, run: Run) -> None:
        """Count the loss, and that it ended so: there may be nobody else left to do it."""
        self._count_end(run)
        self._meter.count("comporta_leases_lost_total", **_scope(run))
        if not run.cancel_requested and successor(run, not_before=None) is not None:
            self._meter.count("comporta_run_retries_total", **_scope(run))

    def ended(self, run: Run) -> None:
        """Tell how it ended, how long it took, and what was not told yet.

        That it was lost is counted where its lease was taken, which may be in another process.
        """
        told = self._running.pop(run.id, None)
        if run.state is not RunState.LOST:
            self._count_end(run)
        if told is None:
            return
        if run.duration_s is not None:
            self._meter.observe("comporta_run_duration_seconds", run.duration_s, **_scope(run))
        self._requests(run.account, run.stream, told)
        if not run.dry_run:
            self._records(run, told, Counter(run.counts.as_json()))

    def look(self) -> None:
        """Tell what running runs have asked of their sources by now."""
        for run_id, told in list(self._running.items()):
            account, _, stream = told.progress.scope.partition("/")
            if run_id in self._running:
                self._requests(account, stream, told)

    def _count_end(self, run: Run) -> None:
        self._meter.count("comporta_runs_total", **_scope(run), state=run.state.value)
        if run.error:
            self._meter.count("comporta_run_errors_total", **_scope(run), code=run.error.get("code", OTHER))

    def _records(self, run: Run, told: _Told, now: "Counter[str]") -> None:
        """Tell what was added; a figure that is behind what was told already waits until it has caught up."""
        added = now - told.counts
        told.counts |= now
        if read := added.pop("read", 0):
            self._meter.count("comporta_records_read_total", read, **_scope(run))
        for result, amount in added.items():
            self._meter.count("comporta_records_total", amount, **_scope(run), result=result)

    def _requests(self, account: str, stream: str, told: _Told) -> None:
        before, told.requests = told.requests, told.progress.requests
        now = told.requests
        for name, amount in (
            ("comporta_requests_sent_total", now.sent - before.sent),
            ("comporta_requests_retried_total", now.retried - before.retried),
            ("comporta_requests_throttled_total", now.throttled - before.throttled),
            ("comporta_requests_waited_seconds_total", now.waited_s - before.waited_s),
        ):
            if amount > 0:
                self._meter.count(name, amount, account=account, stream=stream)
        for operation, times in now.failures.items():
            if added := times - before.failures.get(operation, 0):
                self._meter.count(
                    "comporta_request_failures_total",
                    added,
                    account=account,
                    operation=self._operation(account, operation),
                )

    def _operation(self, account: str, operation: str) -> str:
        """Return what the label says: without numbers, and one of so many."""
        known = self._operations.setdefault(account, set())
        name = re.sub(r"\d+", "N", operation)[:80]
        if name not in known and len(known) >= OPERATIONS_MAX:
            return OTHER
        known.add(name)
        return name


def _scope(run: Run) -> Mapping[str, str]:
    return {"account": run.account, "stream": run.stream}


def _figures(fields: Mapping[str, object]) -> Mapping[str, int]:
    names: Sequence[str] = ("read", *RESULTS)
    return {name: cast("int", fields[name]) for name in names if isinstance(fields.get(name), int)}


assert frozenset(Counts().as_json()) == {"read", *RESULTS}, "the meter knows every figure"  # noqa: S101  two lists, one truth
