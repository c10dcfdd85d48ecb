"""What `/metrics` asks of an open workspace: a picture of the ledger, at most one in some seconds.

However many ask, one picture is taken at a time, and nobody waits for it longer than a named bound: then the last one
is shown again, whose ages go on growing, so that a database that does not answer looks as stale as it is.
"""

import asyncio
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from comporta import __version__
from comporta.coordination.execute import priority_of
from comporta.coordination.measured import Measured
from comporta.core.login import Standing
from comporta.core.run import Run, Trigger
from comporta.errors import ComportaError
from comporta.observability.metrics import METRICS, Metrics, Picture, Value
from comporta.settings.values import Place, read_limit

if TYPE_CHECKING:
    from comporta.workspace.stream_status import StreamStatus
    from comporta.workspace.workspace import Workspace

PICTURE_EVERY_S = 5.0
"""Prometheus asks every fifteen; a person who reloads asks oftener."""
PICTURE_WAIT_S = 5.0
"""Half of what Prometheus waits for a whole answer."""
QUEUED_MAX = 1_000
LOOKED_BACK = 20
"""Runs of a stream, among which the last that ended is looked for: one works, and few kinds of them wait."""
LAG_EVERY = timedelta(milliseconds=500)
AGEING = frozenset(
    {
        "comporta_freshness_seconds",
        "comporta_coverage_age_seconds",
        "comporta_lease_age_seconds",
        "comporta_queue_oldest_seconds",
    }
)
"""Gauges that grow by themselves while no new picture comes."""


@dataclass(slots=True)
class Scrape:
    """Answers `/metrics`."""

    workspace: "Workspace"
    metrics: Metrics
    measured: Measured
    _picture: Picture = field(default_factory=dict)
    _taken: float | None = None
    _taking: "asyncio.Task[None] | None" = None

    def __post_init__(self) -> None:
        self.metrics.show(self._shown)

    async def text(self) -> bytes:
        """Return what Prometheus reads."""
        await self._refresh()
        self.measured.look()
        return await asyncio.to_thread(self.metrics.text)

    async def _refresh(self) -> None:
        """Have a picture taken unless there is a fresh one, and wait for it, not for ever."""
        if self._taken is not None and self._age() < PICTURE_EVERY_S:
            return
        if self._taking is None or self._taking.done():
            self._taking = asyncio.ensure_future(self._take())
        done, _ = await asyncio.wait({self._taking}, timeout=PICTURE_WAIT_S)
        if not done:
            self.metrics.count("comporta_snapshot_failures_total")
        for each in done:
            each.result()  # what nobody foresaw is told, not kept for ever

    async def _take(self) -> None:
        try:
            self._picture = await picture(self.workspace)
            self._taken = self.workspace.clock.monotonic()
        except ComportaError:
            self.metrics.count("comporta_snapshot_failures_total")

    def _age(self) -> float:
        return self.workspace.clock.monotonic() - (self._taken or 0.0)

    def _shown(self) -> Picture:
        shown = {"comporta_build_info": [((__version__, platform.python_version()), 1.0)], **self._picture}
        if self._taken is None:
            return shown
        age = self._age()
        shown["comporta_snapshot_age_seconds"] = [((), age)]
        return {
            name: [(labels, value + age) for labels, value in values] if name in AGEING else values
            for name, values in shown.items()
        }


async def picture(workspace: "Workspace") -> Picture:
    """Return every gauge that the ledger and the budgets know."""
    gauges: dict[str, list[Value]] = {name: [] for name in METRICS}
    paused = await workspace.paused()
    gauges["comporta_paused_accounts"].append(((), float(len(paused))))
    gauges["comporta_schedulers"].append(((), float(len(await workspace.schedulers()))))
    for each in await workspace.status():
        _stream(workspace, each, gauges, is_paused=each.account in paused)
        ended_at = await _ended_at(workspace, each)
        if ended_at is not None:
            value = (each.account, each.stream), ended_at.timestamp()
            gauges["comporta_last_run_timestamp_seconds"].append(value)
    now = workspace.clock.now()
    for row in await workspace.store.leases():
        if row.holder and row.since and row.expires_at and row.expires_at > now:
            account, _, stream = row.scope.partition("/")
            gauges["comporta_lease_age_seconds"].append(((account, stream), (now - row.since).total_seconds()))
    due = await workspace.store.due(QUEUED_MAX, workspace.plans)
    _queue(workspace, [run for run in due if run.trigger is Trigger.MANUAL or run.account not in paused], gauges)
    await _budgets(workspace, gauges)
    for name, login in (await workspace.logins()).items():
        gauges["comporta_needs_login"].append(((name,), float(login.standing is Standing.NEEDS_LOGIN)))
    return {name: values for name, values in gauges.items() if values}


def _stream(
    workspace: "Workspace", status: "StreamStatus", gauges: Mapping[str, list[Value]], *, is_paused: bool
) -> None:
    scope = (status.account, status.stream)
    account = workspace.settings.accounts.get(status.account)
    if account is None:  # it went while the others were looked at
        return
    told = account.stream(status.stream)
    source_now = workspace.clock.now() + timedelta(seconds=status.facts.clock_offset_s or 0)
    end = status.coverage.end
    figures: dict[str, float | None] = {
        "comporta_freshness_seconds": status.freshness.total_seconds() if status.freshness is not None else None,
        "comporta_coverage_age_seconds": (source_now - end).total_seconds() if end else None,
        "comporta_holes": float(len(status.coverage.holes(status.origin))),
        "comporta_promised_interval_seconds": None
        if told.cron or told.paused or is_paused
        else told.every.total_seconds(),
        "comporta_quarantined_records": float(status.quarantined),
    }
    for name, figure in figures.items():
        if figure is not None:
            gauges[name].append((scope, figure))


async def _ended_at(workspace: "Workspace", status: "StreamStatus") -> datetime | None:
    """Return when the last run ended; the newest may still wait or work."""
    if status.last is None or status.last.finished_at is not None:
        return status.last.finished_at if status.last else None
    runs = await workspace.store.runs(account=status.account, stream=status.stream, dry_run=False, limit=LOOKED_BACK)
    return next((run.finished_at for run in runs if run.finished_at is not None), None)


def _queue(workspace: "Workspace", due: Sequence[Run], gauges: Mapping[str, list[Value]]) -> None:
    now = workspace.clock.now()
    waits: dict[str, list[float]] = {}
    for run in due:
        since = max(filter(None, (run.not_before, run.queued_at)), default=now)
        waits.setdefault(priority_of(run).name.lower(), []).append(max(0.0, (now - since).total_seconds()))
    for priority, ages in waits.items():
        gauges["comporta_queued_runs"].append(((priority,), float(len(ages))))
        gauges["comporta_queue_oldest_seconds"].append(((priority,), max(ages)))


async def _budgets(workspace: "Workspace", gauges: Mapping[str, list[Value]]) -> None:
    for name, state in await workspace.limits():
        figures = {
            "comporta_budget_used_requests": float(state.used),
            "comporta_budget_waiting_requests": float(state.waiting),
            "comporta_budget_paused_seconds": state.paused_s,
        }
        for metric, figure in figures.items():
            gauges[metric].append(((name,), figure))
        if state.allowed is not None:
            rate = read_limit(state.allowed, Place(workspace.settings.folder))
            allowed = rate.requests / rate.per.total_seconds()
            gauges["comporta_budget_allowed_requests_per_second"].append(((name,), allowed))


async def watch_loop(metrics: Metrics, workspace: "Workspace") -> None:
    """Measure how late the event loop wakes whoever sleeps in it, until the workspace is told to stop."""
    clock = workspace.clock
    while not workspace.stopping.is_set():
        before = clock.monotonic()
        await clock.sleep(LAG_EVERY)
        late = clock.monotonic() - before - LAG_EVERY.total_seconds()
        metrics.observe("comporta_event_loop_lag_seconds", late)
