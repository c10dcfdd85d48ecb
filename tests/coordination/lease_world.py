"""A small world to try the lease protocol in: sources, workers, clocks, and a wire that loses answers.

The store is the real ``LedgerStore`` over a real SQLite database; only its threads are taken out, so
that thousands of histories take seconds and each one can be played again. Each method of ``World`` is
one step of somebody: a worker that may be dead for everybody else, the reaper, a person, a clock, a
source that is written to. What may never be seen afterwards stands in ``lease_invariants``.

A record's key decides its page, and pages may be read in any order, as a source does that is read in
parallel: the resume point is the number of pages before the first that is missing.
"""

import sqlite3
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, TypeVar, cast

from comporta.core.coverage import Interval
from comporta.core.instant import BEGINNING, instant_text
from comporta.core.lease import Lease, Settlement, settle
from comporta.core.record import Column, ColumnType, Row, Shape
from comporta.core.run import Run, RunState, Trigger
from comporta.core.ticket import Ticket, successor
from comporta.core.window import WHOLE, Request, Window, parse_request, plan_window
from comporta.destinations.sqlite import SqliteDestination
from comporta.errors import CommitOutcomeUnknown, LeaseLost
from comporta.ledger.session import Database, Session, Values
from comporta.ledger.sqlite import SqliteSession
from comporta.ledger.store import LedgerStore
from comporta.ports.store import Batch, Ending, Granted, Pass

T = TypeVar("T")
TTL = timedelta(seconds=30)
OVERLAP = timedelta(seconds=10)
MARGIN = timedelta(seconds=2)
PAGES = 3
KEYS_PER_PAGE = 2
START = datetime(2026, 3, 1, tzinfo=UTC)
STREAMS = ("things", "others")
COLUMNS = (
    Column("id", ColumnType.INTEGER, "id"),
    Column("write_date", ColumnType.TIMESTAMP, "write_date"),
    Column("value", ColumnType.INTEGER, "value"),
)
SHAPES = {stream: Shape("model", stream, COLUMNS, key="id", stamp="write_date") for stream in STREAMS}


class Fate(Enum):
    """What the wire does with a COMMIT and its answer."""

    ANSWERED = "answered"
    ANSWER_LOST = "answer lost"
    DELAYED = "delayed"
    NEVER_ARRIVED = "never arrived"


class ModelClock:
    """The database's clock: steps set it, forwards and backwards."""

    def __init__(self) -> None:
        self.instant = START

    def now(self) -> datetime:
        return self.instant

    def monotonic(self) -> float:
        return (self.instant - START).total_seconds()

    async def sleep(self, duration: timedelta) -> None:
        self.instant += duration


class Wire:
    """Stands where ``Database`` does: one connection, no thread, and a COMMIT may be late or unanswered."""

    def __init__(self, template: bytes, clock: ModelClock) -> None:
        self.now = clock.now
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.deserialize(template)
        self.connection.row_factory = sqlite3.Row
        self.fate = Fate.ANSWERED
        self.sending: dict[str, object] | None = None
        self.in_flight: list[tuple[str, Callable[[], object]]] = []
        self._current: dict[str, object] | None = None

    def write(self, work: Callable[[Session], T], *, is_brief: bool = False) -> "Future[T]":
        future: Future[T] = Future()
        fate, self.fate = self.fate, Fate.ANSWERED
        sending, self.sending = self.sending, None
        if fate is Fate.DELAYED:
            self.in_flight.append((str(sending and sending["run"]), lambda: self._transact(work, sending)))
        if fate in {Fate.DELAYED, Fate.NEVER_ARRIVED}:
            future.set_exception(CommitOutcomeUnknown("the connection was cut before COMMIT was answered"))
            return future
        try:
            result = self._transact(work, sending)
        except LeaseLost as error:
            future.set_exception(error)
            return future
        if fate is Fate.ANSWER_LOST:
            future.set_exception(CommitOutcomeUnknown("the connection was cut before COMMIT was answered"))
        else:
            future.set_result(result)
        return future

    def write_now(self, work: Callable[[Session], T]) -> T:
        return self.write(work).result()

    def read(self, work: Callable[[Session], T]) -> T:
        return work(self.session())

    def rows(self, name: str, values: Values) -> list[Any]:
        return self.session().all(name, values)

    def session(self) -> SqliteSession:
        return SqliteSession(self.connection, self.now())

    def deliver(self, number: int) -> str | None:
        """Let a COMMIT arrive that was given up long ago; return whose it was, if it was let through."""
        run, late = self.in_flight.pop(number)
        try:
            late()
        except LeaseLost:
            return None
        return run

    def record(self, point: str) -> None:
        """Write the history of batches in the transaction that writes the batch itself."""
        if point == "before_fence" and self._current is not None:
            self.connection.execute(
                "INSERT INTO history(batch, scope, run, epoch, commits, read, scope_epoch)"
                " SELECT :batch, :scope, :run, :epoch, :commits, :read, epoch FROM cmp_scope WHERE scope = :scope",
                self._current,
            )

    def _transact(self, work: Callable[[Session], T], sending: dict[str, object] | None) -> T:
        self._current = sending
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(self.session())
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")
        return result


class ModelStore(LedgerStore):
    """The real store without its threads, so that a coroutine of it ends in one step."""

    def __init__(self, wire: Wire) -> None:
        super().__init__(cast("Database", wire), SqliteDestination(), ttl=TTL, checkpoint=wire.record)

    async def _write_once(self, work: Callable[[Session], T], *, is_brief: bool = False) -> T:
        return self._database.write(work, is_brief=is_brief).result()

    async def _read(self, work: Callable[[Session], T]) -> T:
        return self._database.read(work)

    async def _rows(self, name: str, values: Values) -> list[Any]:
        return self._database.rows(name, values)


def done(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as stopped:
        return cast("T", stopped.value)
    coroutine.close()
    raise AssertionError("the model's store waited for something")


@dataclass
class Sent:
    """A commit whose outcome is not known yet."""

    batch_id: str
    batch: Batch
    ending: Ending | None
    page: int


@dataclass
class Worker:
    """Somebody who believes to hold a lease, rightly or not."""

    lease: Lease
    run: Run
    plan: Pass | None = None
    fetched: dict[int, list[Row]] = field(default_factory=dict)
    written: set[int] = field(default_factory=set)
    greatest: str = ""
    sent: Sent | None = None

    @property
    def prefix(self) -> int:
        """Return how many pages are written before the first that is missing."""
        return next(page for page in range(PAGES + 1) if page not in self.written)


class Engine:
    """What the engine decides while it reads a pass; each mutant of it gets one of these wrong."""

    def position(self, worker: Worker, page: int) -> int:
        """Return the resume point once ``page`` is written too: the pages before the first that is missing."""
        written = worker.written | {page}
        return next(number for number in range(PAGES + 1) if number not in written)

    def covered(self, worker: Worker, window: Window) -> Interval | None:
        """Return what the pass may claim: its window, which ends at a clock."""
        return window.interval

    def on_planned(self, world: "World", worker: Worker) -> None:
        """Claim nothing yet."""


class World:
    """Everybody and everything, at one moment."""

    def __init__(self, template: bytes, engine: Engine | None = None) -> None:
        self.clock = ModelClock()
        self.wire = Wire(template, self.clock)
        self.store = ModelStore(self.wire)
        self.engine = engine or Engine()
        self.source_clock = START
        self.records: dict[str, dict[int, str]] = {stream: {} for stream in STREAMS}
        self.workers: list[Worker] = []
        self.last_sign: dict[str, datetime] = {}
        self.batches = 0
        self.taken_alive: list[str] = []

    def write_source(self, stream: str, key: int, *, ahead: timedelta = timedelta()) -> None:
        """Create or change a record at the source, stamped by its clock, or ahead of it."""
        self.source_clock += timedelta(seconds=1)
        self.records[stream][key] = instant_text(self.source_clock + ahead)

    def acquire(self, stream: str, request: Request) -> bool:
        """Queue a run, or join a queued one, and try to take the lease; say whether it was granted."""
        run = done(self.store.enqueue(Ticket("shop", stream, request, Trigger.MANUAL)))
        before = {each.scope: each for each in done(self.store.leases())}.get(run.scope)
        granted = done(self.store.acquire(run, ttl=TTL, timeout=timedelta(hours=2), instance="model"))
        if not isinstance(granted, Granted):
            return False
        if before is not None and before.holder is not None and before.expires_at is not None:
            self.taken_alive += [before.holder] if before.expires_at > self.clock.now() else []
        self.workers.append(Worker(granted.lease, granted.run))
        self._lives(granted.lease)
        return True

    def plan(self, worker: Worker) -> None:
        """Go on with an unfinished pass of the same request, or begin one."""
        request = parse_request(worker.run.request)
        found = done(self.store.open_pass(worker.run.scope, request))
        if found is None:
            coverage = done(self.store.coverage(worker.run.scope))
            window = plan_window(
                request, coverage, origin=BEGINNING, clock=self.source_clock, overlap=OVERLAP, margin=MARGIN
            )
            found = Pass(f"{worker.run.id}-pass", request.text, window, "fingerprint")
        if self._as_holder(worker, self.store.begin_pass(worker.lease, found, resumable=True)):
            worker.plan = found
            worker.written = set(range(int(found.position or 0)))
            self.engine.on_planned(self, worker)

    def fetch(self, worker: Worker, page: int) -> None:
        """Read a page from the source as it is now."""
        assert worker.plan is not None
        since, until = worker.plan.window.asked_since, worker.plan.window.asked_until
        rows: list[Row] = []
        for key, stamp in sorted(self.records[worker.run.stream].items()):
            is_asked = (since is None or stamp >= instant_text(since)) and (
                until is None or stamp < instant_text(until)
            )
            if key // KEYS_PER_PAGE == page and is_asked:
                rows.append((key, stamp, key))
                worker.greatest = max(worker.greatest, stamp)
        worker.fetched[page] = rows

    def commit(self, worker: Worker, page: int, fate: Fate) -> None:
        """Write a page that was read; the last one ends the run and closes coverage with it."""
        assert worker.plan is not None
        window = worker.plan.window
        position = self.engine.position(worker, page)
        ending = None
        if worker.written | {page} >= set(range(PAGES)):
            ending = Ending(
                RunState.SUCCEEDED,
                covered=self.engine.covered(worker, window),
                replaces=window.kind in WHOLE,
                fingerprint="fingerprint",
                pass_id=worker.plan.id,
            )
        batch = Batch(
            SHAPES[worker.run.stream],
            worker.fetched[page],
            overwrite=window.kind in WHOLE,
            position=str(position),
            pass_id=worker.plan.id,
        )
        self.batches += 1
        self._send(worker, Sent(f"batch {self.batches}", batch, ending, page), fate)

    def settle(self, worker: Worker, fate: Fate) -> None:
        """Find out what became of a commit without an answer; repeat it if it did not happen yet."""
        assert worker.sent is not None
        verdict = settle(worker.lease, done(self.store.scope_state(worker.lease.scope)))
        if verdict is Settlement.NOT_YET:
            self._send(worker, worker.sent, fate)
        elif verdict is Settlement.HAPPENED:
            self._acknowledge(worker, worker.sent)
        else:
            self.workers.remove(worker)

    def renew(self, worker: Worker) -> None:
        """Let the heartbeat beat once; a heartbeat that is refused ends its run."""
        is_ours = self.store.renew(worker.lease, TTL)
        if not is_ours:
            self.workers.remove(worker)
        elif self._holds(worker.lease):
            self._lives(worker.lease)

    def finish(self, worker: Worker, state: RunState) -> None:
        """End a run without claiming anything, also one whose last commit was never answered."""
        following = None
        if state in {RunState.FAILED, RunState.INTERRUPTED}:
            following = successor(worker.run, not_before=None, got_on=state is RunState.INTERRUPTED)
        self._as_holder(worker, self.store.finish(worker.lease, Ending(state, successor=following)))
        if worker in self.workers:
            self.workers.remove(worker)

    def crash(self, worker: Worker) -> None:
        """Die without a word."""
        self.workers.remove(worker)

    def deliver(self, number: int) -> None:
        """Let a COMMIT that nobody waits for any more arrive at the database."""
        run = self.wire.deliver(number)
        if run is not None:
            self.last_sign[run] = self.clock.now()

    def reap(self) -> None:
        """Take every expired lease away."""
        done(self.store.reap())

    def unlock(self, stream: str) -> None:
        """Free a scope by hand."""
        done(self.store.unlock(f"shop/{stream}"))

    def _send(self, worker: Worker, sent: Sent, fate: Fate) -> None:
        lease = worker.lease
        self.wire.fate = fate
        self.wire.sending = {
            "batch": sent.batch_id,
            "scope": lease.scope,
            "run": lease.holder,
            "epoch": lease.epoch,
            "commits": lease.commits,
            "read": len(sent.batch.rows),
        }
        try:
            done(self.store.commit(lease, sent.batch, sent.ending))
        except LeaseLost:
            self.workers.remove(worker)
        except CommitOutcomeUnknown:
            worker.sent = sent
        else:
            self._acknowledge(worker, sent)
        if fate in {Fate.ANSWERED, Fate.ANSWER_LOST}:
            self._lives(lease)

    def _acknowledge(self, worker: Worker, sent: Sent) -> None:
        worker.sent = None
        worker.written.add(sent.page)
        worker.lease = worker.lease.advanced()
        if sent.ending is not None:
            self.workers.remove(worker)

    def _as_holder(self, worker: Worker, writing: Coroutine[Any, Any, object]) -> bool:
        try:
            done(writing)
        except LeaseLost:
            self.workers.remove(worker)
            return False
        self._lives(worker.lease)
        return True

    def _holds(self, lease: Lease) -> bool:
        state = done(self.store.scope_state(lease.scope))
        return (state.epoch, state.holder) == (lease.epoch, lease.holder)

    def _lives(self, lease: Lease) -> None:
        if self._holds(lease):
            self.last_sign[lease.holder] = self.clock.now()
