"""Executing one queued run: take the lease, work under a heartbeat, end in exactly one state.

However the work ends - well, by an error, cancelled, stalled, at a shutdown - the state is written by the
holder in the transaction that frees the lease. The one exception is a lost lease: then nothing is
written at all, not even the state, because somebody else already did.
"""

import asyncio
import random
import traceback
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeVar

from comporta.coordination.heartbeat import Heartbeat
from comporta.coordination.legacy_locks import Denied, LegacyLocks
from comporta.coordination.plans import AccountPlan, Conduct, StreamPlan
from comporta.core.guard import LegacyKey
from comporta.core.retry import RUN_RETRIES
from comporta.core.run import Run, RunState, Trigger
from comporta.core.schedule import urgency
from comporta.core.ticket import Ticket, successor
from comporta.core.window import EVERYTHING, WHOLE, Kind, parse_request
from comporta.engine.children import relist_children
from comporta.engine.drive import drive
from comporta.engine.hinted import fetch_hinted, gather
from comporta.engine.quarantine import retry_quarantine
from comporta.engine.reconcile import reconcile
from comporta.engine.run_log import RunLog
from comporta.engine.work import Rules, Work, released
from comporta.errors import (
    ComportaError,
    DeadlinePassed,
    DestinationBusy,
    DestinationRefused,
    LeaseLost,
    Retryable,
    RunCancelled,
    RunInterrupted,
    RunStalled,
    StandDown,
    Unforeseen,
)
from comporta.errors_guard import LegacyLockLost
from comporta.ports.clock import Clock
from comporta.ports.events import Observer
from comporta.ports.guard import UNGUARDED, Guard
from comporta.ports.progress import LogLine, Priority, Progress
from comporta.ports.store import Ending, Granted, Occupied, Store

BUSY_TRIES = 3
BUSY_PAUSE = timedelta(seconds=1)
"""Beside the database's own busy_timeout: a lease is worth asking for twice more before a run is given up."""
T = TypeVar("T")
JOBS: dict[Kind, Callable[[Work], Awaitable[None]]] = {
    **dict.fromkeys(Kind, drive),
    Kind.NOTIFICATION: fetch_hinted,
    Kind.RECONCILE: reconcile,
    Kind.QUARANTINE: retry_quarantine,
}
BACKFILL = WHOLE | {Kind.MANUAL}
"""What a person asks for who does not wait for the latest records: everything again, or a window of the past."""
_STATES: dict[type[ComportaError], RunState] = {
    RunCancelled: RunState.CANCELLED,
    RunInterrupted: RunState.INTERRUPTED,
    LegacyLockLost: RunState.INTERRUPTED,
    RunStalled: RunState.TIMED_OUT,
    DeadlinePassed: RunState.TIMED_OUT,
}
AGAIN = frozenset({RunState.FAILED, RunState.TIMED_OUT})
"""Ends after which a run may be tried again after a pause."""
MEANT = frozenset({RunState.CANCELLED, RunState.INTERRUPTED})
"""Ends that a person or a deploy wanted, which are no errors."""
_STEPS = {
    RunState.CANCELLED: "run_cancelled",
    RunState.INTERRUPTED: "run_interrupted",
    RunState.TIMED_OUT: "run_timed_out",
    RunState.FAILED: "run_failed",
}


@dataclass(slots=True)
class _Active:
    """A run that is being worked on, and the way to make it stand down."""

    granted: Granted
    progress: Progress
    log: RunLog
    loop: asyncio.AbstractEventLoop
    task: "asyncio.Task[None]" = field(init=False)
    work: Work | None = None
    reason: StandDown | None = None
    is_abandoned: bool = False
    delay: timedelta | None = None  # before it is tried again

    def stand_down(self, reason: StandDown) -> None:
        """Cancel the work for that reason; the first reason counts. Safe from any thread."""
        self.loop.call_soon_threadsafe(self._cancel, reason)

    def _cancel(self, reason: StandDown) -> None:
        if self.reason is None and not self.task.done():
            self.reason = reason
            self.task.cancel()


class Executor:
    """Executes runs of the accounts it was given, until it is told to stop."""

    def __init__(
        self, *, store: Store, clock: Clock, observer: Observer, conduct: Conduct, chance: random.Random,
        locks: LegacyLocks | None = None,
    ) -> None:  # fmt: skip
        self._locks = locks
        self._store = store
        self._clock = clock
        self._observer = observer
        self._conduct = conduct
        self._chance = chance
        self._active: dict[str, _Active] = {}
        self.stopping = asyncio.Event()

    def stop(self) -> None:
        """Hand over every active run as interrupted after its current batch, and start no other."""
        self.stopping.set()
        for run_id, active in self._active.items():
            active.stand_down(RunInterrupted(f"run {run_id}: handed over at a shutdown"))

    async def execute(
        self, run: Run, account: AccountPlan, stream: StreamPlan, *, deletions_confirmed: bool = False
    ) -> Run | Occupied | Denied:
        """Execute a queued run and return how it ended, or say who holds the scope or the key of an older program."""
        async with self._guarding(stream.legacy_key, run) as guard:
            if isinstance(guard, Denied):
                return guard
            ended = await self._execute(run, account, stream, guard, confirmed=deletions_confirmed)
            if isinstance(ended, Run) and ended.state is RunState.SUCCEEDED:
                await guard.succeeded(ended)
            return ended

    def _guarding(self, key: LegacyKey | None, run: Run) -> AbstractAsyncContextManager[Guard | Denied]:
        return self._locks.guarding(key, run) if self._locks and key else nullcontext(UNGUARDED)

    async def _execute(
        self, run: Run, account: AccountPlan, stream: StreamPlan, guard: Guard, *, confirmed: bool
    ) -> Run | Occupied:
        answer = await self._patiently(
            lambda: self._store.acquire(
                run, ttl=self._conduct.lease, timeout=stream.timeout, instance=self._conduct.instance
            )
        )
        if isinstance(answer, Occupied):
            return answer
        for lost in answer.lost:
            self._observer.taken(lost)
        progress = Progress(self._clock, scope=run.scope, priority=priority_of(answer.run), rate=account.limit)
        self._observer.started(answer.run, progress)
        log = RunLog(answer.run, answer.lease, store=self._store, progress=progress, observer=self._observer)
        active = _Active(answer, progress, log, asyncio.get_running_loop())
        active.task = asyncio.ensure_future(self._perform(active, account, stream, guard, confirmed=confirmed))
        self._active[run.id] = active
        if self.stopping.is_set():
            active.stand_down(RunInterrupted(f"run {run.id}: handed over at a shutdown"))
        guard.watch(active.stand_down)
        heartbeat = Heartbeat(
            store=self._store,
            lease=answer.lease,
            progress=progress,
            clock=self._clock,
            ttl=self._conduct.lease,
            stall=account.stall_timeout or self._conduct.stall_timeout,
            timeout=stream.timeout,
            stand_down=active.stand_down,
            looked=lambda: active.loop.call_soon_threadsafe(log.keep_soon),
        )
        try:
            async with heartbeat:
                problem = await _problem(active, run.id)
            ended = await self._end(active, problem)
        finally:
            del self._active[run.id]
        self._observer.ended(ended)
        if active.delay is not None and ended.state in AGAIN and not ended.cancel_requested:
            self._observer.retrying(ended, active.delay, ended.attempt + 1)
        if active.is_abandoned:
            raise asyncio.CancelledError  # it was for us: whoever cancelled us wants more to end than this run
        return ended

    async def _perform(
        self, active: _Active, account: AccountPlan, stream: StreamPlan, guard: Guard, *, confirmed: bool
    ) -> None:
        granted, log = active.granted, active.log
        attempt, attempts = granted.run.attempt, RUN_RETRIES.retries + 1
        request = parse_request(granted.run.request)
        # What an ordinary run reads, a first load too, the window says.
        asked = {} if request.kind is Kind.INCREMENTAL else {"request": granted.run.request}
        asked |= {"trial": "dry_run"} if granted.run.dry_run else {}
        message = f"{granted.run.request}, attempt {attempt}/{attempts}"
        log.tell("run_started", message, {**asked, "attempt": attempt, "attempts": attempts})
        log.tell(
            "lease_acquired",
            f"epoch {granted.lease.epoch}, held by {self._conduct.instance}",
            {"epoch": granted.lease.epoch, "instance": self._conduct.instance},
        )
        async with log.telling():
            reader = await account.source.read(stream.request, active.progress)
            work = active.work = Work(
                run=granted.run,
                request=request,
                lease=granted.lease,
                reader=reader,
                store=self._store,
                clock=self._clock,
                progress=active.progress,
                observer=self._observer,
                rules=await self._rules(account, stream, confirmed=confirmed),
                log=log,
                guard=guard,
            )
            await _job(work)(work)

    async def _rules(self, account: AccountPlan, stream: StreamPlan, *, confirmed: bool) -> Rules:
        conduct = self._conduct
        return Rules(
            overlap=stream.overlap,
            margin=conduct.margin,
            origin_text=stream.origin_text,
            rejected_share=conduct.rejected_share,
            deleted_share=conduct.deleted_share,
            exact_rows_max=conduct.exact_rows_max,
            batch_rows_max=conduct.batch_rows_max,
            deletions_confirmed=confirmed,
            hints=await self._hints(account, stream),
        )

    async def _hints(self, account: AccountPlan, stream: StreamPlan) -> Mapping[str, str | None]:
        """Return which scopes are told what changes here: children that have had a first load, or need none."""
        told: dict[str, str | None] = {}
        for child in stream.children:
            scope = f"{account.name}/{child.stream}"
            if child.stream not in account.streams:
                continue
            if child.column is not None or (await self._store.coverage(scope)).intervals:
                told[scope] = child.column
        return told

    async def _end(self, active: _Active, problem: ComportaError | None) -> Run:
        """Write how the run ended, unless the work wrote it, or somebody else may have."""
        run = active.granted.run
        if problem is not None and not isinstance(problem, LeaseLost):
            got_on = active.work is not None and active.work.counts.read > 0
            ending, active.delay = self._ending(run, problem, got_on=got_on)
            # The lease was lost, or the database cannot take even this now: then the lease runs out, and
            # whoever finds it marks the run lost and queues its successor.
            try:
                return await self._patiently(lambda: self._write_end(active, ending))
            except LeaseLost:
                pass
            except (Retryable, DestinationRefused) as error:
                self._observer.stepped(run, _unwritten(ending.log[0], error))
        return await self._store.run(run.id) or run

    async def _write_end(self, active: _Active, ending: Ending) -> Run:
        """End the run without success, keeping what was committed and claiming nothing.

        When it cannot be written, nothing of it is told, and another try writes all of it.
        """
        work = active.work
        lease = work.lease if work else active.granted.lease
        counts = work.counts if work and work.run.dry_run else None
        last = (*ending.log, released(lease))
        async with active.log.kept() as told:
            ending = replace(ending, log=(*told, *last), requests=active.progress.requests, counts=counts)
            ended = await self._store.finish(lease, ending)
        for line in last:
            self._observer.stepped(active.granted.run, line)
        return ended

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask the store again while another program keeps it busy, a bounded number of times."""
        for _ in range(BUSY_TRIES - 1):
            with suppress(DestinationBusy):
                return await ask()
            await self._clock.sleep(BUSY_PAUSE)
        return await ask()

    def _ending(self, run: Run, problem: ComportaError, *, got_on: bool) -> tuple[Ending, timedelta | None]:
        """Return how the run ends, and after what pause it is tried again.

        A hand-over at a shutdown uses up an attempt only if the run got nowhere; the loss of an older program's key,
        which may come again every second, always does.
        """
        state = _STATES.get(type(problem), RunState.FAILED)
        ticket: Ticket | None = None
        delay: timedelta | None = None
        if isinstance(problem, RunInterrupted):
            is_told_to_end = got_on and not isinstance(problem, LegacyLockLost)
            ticket = successor(run, not_before=None, got_on=is_told_to_end)
        elif isinstance(problem, (Retryable, RunStalled, DeadlinePassed)):
            asked = getattr(problem, "retry_after", None)
            delay = RUN_RETRIES.delay(run.attempt, jitter=self._chance.random(), asked=asked)
            ticket = successor(run, not_before=self._clock.now() + delay) if delay is not None else None
        delay = delay if ticket is not None else None
        again = () if delay is None else (_again(run, delay),)
        return Ending(state, problem.as_json(), successor=ticket, log=(_told(problem, state), *again)), delay


def _job(work: Work) -> Callable[[Work], Awaitable[None]]:
    """Return what a run does: by its kind, unless the stream's records cannot be listed, or have a parent."""
    kind = work.request.kind
    if work.shape.referred_by is not None and kind is not Kind.QUARANTINE:
        return gather
    return relist_children if kind is Kind.NOTIFICATION and work.shape.parent is not None else JOBS[kind]


def priority_of(run: Run) -> Priority:
    """Return whose turn it is when the limit is short: a person's who waits, the schedule's, or what takes hours.

    A backfill stands with the schedule's, whoever asked for it: else "sync now" would wait for one of them. A first
    load that somebody started counts as theirs, and so does its next attempt; what else follows from it by itself
    does not.
    """
    kind = parse_request(run.request).kind
    is_again = run.trigger is Trigger.RETRY and run.priority > urgency(run.trigger, run.request)
    if run.trigger is Trigger.MANUAL or is_again:
        return Priority.SCHEDULE if kind in BACKFILL else Priority.PERSON
    return Priority.BULK if kind in EVERYTHING else Priority.SCHEDULE


def _again(run: Run, delay: timedelta) -> LogLine:
    """Return the log line that says when a run is tried again."""
    attempt, attempts, delay_s = run.attempt + 1, RUN_RETRIES.retries + 1, round(delay.total_seconds(), 1)
    fields = {"attempt": attempt, "attempts": attempts, "delay_s": delay_s}
    return LogLine("warning", "run_retrying", f"attempt {attempt}/{attempts} in {delay_s:g} s", fields)


def _told(problem: ComportaError, state: RunState) -> LogLine:
    """Return the log line that says how a run ended; a fault of ours says where, for the report."""
    fields: dict[str, object] = dict(problem.as_json())
    if problem.__cause__ is not None and isinstance(problem, Unforeseen):
        fields["traceback"] = "".join(traceback.format_exception(problem.__cause__))
    return LogLine("warning" if state in MEANT else "error", _STEPS[state], problem.message, fields)


def _unwritten(told: LogLine, error: ComportaError) -> LogLine:
    """Return the line for the program's log, the only one that still says how a run ended."""
    message = f"ended, which could not be written ({error.message}): {told.message}"
    return LogLine("error", "end_not_written", message, {**told.fields, "unwritten": error.message})


async def _problem(active: _Active, run_id: str) -> ComportaError | None:
    """Wait for the work and return what stopped it, ``None`` when it ended well."""
    try:
        await asyncio.shield(active.task)
    except asyncio.CancelledError:
        own = asyncio.current_task()
        active.is_abandoned = own is not None and own.cancelling() > 0
        if not active.task.done():
            # We ourselves are cancelled: the run is handed over like at a shutdown.
            active.task.cancel()
            await asyncio.wait([active.task])
        return active.reason or RunInterrupted(f"run {run_id}: the process was told to end")
    except ComportaError as error:
        return active.reason or error
    except Exception as error:  # noqa: BLE001  the worker loop: one broken run must not take the others with it
        unforeseen = Unforeseen(f"an error nobody foresaw: {type(error).__name__}: {error}")
        unforeseen.__cause__ = error
        return active.reason or unforeseen
    return None
