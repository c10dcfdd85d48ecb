"""One real database, one fake source, one clock: everything a story about runs needs.

The ledger and the mirrored tables are the real SQLite ones in a file of the test's own; only the source
and the clock are fakes. What a story claims is read back with plain SQL.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from comporta.coordination.execute import Executor
from comporta.coordination.legacy_locks import LegacyLocks
from comporta.coordination.plans import AccountPlan, Child, Conduct, StreamPlan
from comporta.coordination.sync import Syncer, Wish
from comporta.core.coverage import Coverage
from comporta.core.instant import instant_text
from comporta.core.language import Language
from comporta.core.record import Key
from comporta.core.run import Run, RunState, Trigger
from comporta.core.ticket import Ticket
from comporta.core.window import Kind, Request
from comporta.destinations.sqlite import SqliteDestination
from comporta.ledger.sqlite import Pragmas, SqliteDatabase
from comporta.ledger.store import LedgerStore
from comporta.observability.words import said
from comporta.ports.events import Unwatched
from comporta.ports.progress import LogLine, Progress
from comporta.ports.source import Source, StreamRequest
from comporta.ports.store import Change, Occupied, Store
from comporta.testing import FakeClock, FakeSource

Anything = Any
"""What a dataclass of the product takes: each field checks itself."""
LEASE = timedelta(seconds=30)
OVERLAP = timedelta(minutes=10)
MARGIN = timedelta(minutes=2)
ORDERS, LINES = "sale.order", "sale.order.line"
ORDER_SCOPE = f"matriz/{ORDERS}"
CONDUCT = Conduct(
    instance="here:1",
    workers=4,
    lease=LEASE,
    stall_timeout=timedelta(minutes=5),
    margin=MARGIN,
    reconcile_every=timedelta(days=1),
    rejected_share=0.05,
    deleted_share=0.05,
    exact_rows_max=0,
    batch_rows_max=1,  # each page a batch of its own, so that the stories can count commits
)


class Witness(Unwatched):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.changes: list[Change] = []
        self.occupied: list[Occupied] = []
        self.delays: list[timedelta] = []
        self.ended_runs: list[Run] = []
        self.progress: list[Progress] = []
        self._awaited: list[tuple[str, int, asyncio.Event]] = []

    def started(self, run: Run, progress: Progress) -> None:
        self.progress.append(progress)

    def stepped(self, run: Run, line: LogLine) -> None:
        self.steps.append(line.step)
        for step, times, event in self._awaited:
            if self.steps.count(step) >= times:
                event.set()

    async def saw(self, step: str, times: int = 1) -> None:
        """Return when that step was told so many times."""
        event = asyncio.Event()
        self._awaited.append((step, times, event))
        if self.steps.count(step) < times:
            await event.wait()

    def changed(self, run: Run, changes: Sequence[Change]) -> None:
        self.changes += changes

    def busy(self, run: Run, occupied: Occupied, *, waiting: bool) -> None:
        self.occupied.append(occupied)

    def retrying(self, run: Run, delay: timedelta, attempt: int) -> None:
        self.delays.append(delay)

    def ended(self, run: Run) -> None:
        self.ended_runs.append(run)


@dataclass
class Workshop:
    """A database, a clock and the accounts of a process, each with a fake source."""

    path: Path
    clock: FakeClock
    database: SqliteDatabase
    store: LedgerStore
    source: FakeSource
    conduct: Conduct = CONDUCT
    witness: Witness = field(default_factory=Witness)
    plans: dict[str, AccountPlan] = field(default_factory=dict)

    def plan(self, name: str = ORDERS, **how: Anything) -> StreamPlan:
        """Return the rules of a stream; orders have lines when the account has that stream."""
        children = (Child(LINES),) if name == ORDERS else ()
        told: dict[str, Any] = {"fields": how.pop("fields", None), "domain": how.pop("domain", ())}
        rules = {"overlap": OVERLAP, "timeout": timedelta(hours=2), "children": children, **how}
        return StreamPlan(request=StreamRequest(name, **told), **rules)

    def account(
        self, *streams: StreamPlan, name: str = "matriz", source: Source | None = None, **rules: Anything
    ) -> AccountPlan:
        """Return an account with these streams, orders alone if none are given, and remember it."""
        chosen = streams or (self.plan(),)
        plan = AccountPlan(name, source or self.source, {each.name: each for each in chosen}, **rules)
        self.plans[name] = plan
        return plan

    def executor(
        self, store: Store | None = None, *, locks: LegacyLocks | None = None, **conduct: Anything
    ) -> Executor:
        """Return what executes runs, as a process of its own would have it."""
        return Executor(
            locks=locks,
            store=store or self.store,
            clock=self.clock,
            observer=self.witness,
            conduct=replace(self.conduct, **conduct),
            chance=random.Random(1),
        )

    def syncer(self, executor: Executor | None = None, store: Store | None = None, **conduct: Anything) -> Syncer:
        """Return what syncs the remembered accounts."""
        return Syncer(
            store=store or self.store,
            clock=self.clock,
            observer=self.witness,
            conduct=replace(self.conduct, **conduct),
            executor=executor or self.executor(store, **conduct),
            accounts=self.plans,
        )

    async def run(
        self, kind: Kind = Kind.INCREMENTAL, *, stream: str = ORDERS, dry_run: bool = False, confirmed: bool = False,
        executor: Executor | None = None, **request: Anything,
    ) -> Run:  # fmt: skip
        """Execute one run of the account ``matriz`` and return how it ended."""
        account = self.plans.get("matriz") or self.account()
        ticket = Ticket("matriz", stream, Request(kind, **request), Trigger.MANUAL, dry_run=dry_run)
        queued = await self.store.enqueue(ticket)
        ended = await (executor or self.executor()).execute(
            queued, account, account.streams[stream], deletions_confirmed=confirmed
        )
        assert isinstance(ended, Run), ended
        return ended

    def begin(self, kind: Kind = Kind.INCREMENTAL, **how: Anything) -> "asyncio.Task[Run]":
        """Begin one run beside the story."""
        return asyncio.ensure_future(self.run(kind, **how))

    async def sync(self, *streams: str, wish: Wish | None = None, syncer: Syncer | None = None) -> list[Run]:
        """Sync streams of every remembered account."""
        if not self.plans:
            self.account()
        targets = [(name, each) for name, plan in self.plans.items() for each in streams or tuple(plan.streams)]
        return await (syncer or self.syncer()).sync(targets, wish or Wish(Request()))

    def wish(self, kind: Kind = Kind.INCREMENTAL, *, wait: bool = False, dry_run: bool = False) -> Wish:
        """Return a wish of that kind."""
        return Wish(Request(kind), dry_run=dry_run, wait=wait)

    def passes(self, **span: float) -> None:
        """Let time pass, here and at the source."""
        self.clock.advance(timedelta(**span))

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Return what a person would see with that query."""
        return self.database.read(lambda session: [tuple(row) for row in session.connection.execute(sql, values)])

    def rows(self, stream: str = ORDERS, account: str = "matriz") -> dict[Key, object]:
        """Return key and name of the living rows."""
        table = f"fake_{stream}".replace(".", "_")
        return dict(
            self.query(
                f"SELECT id, name FROM {table} WHERE account = ? AND _cmp_deleted_at IS NULL ORDER BY id", account
            )
        )

    def deleted(self, stream: str = ORDERS) -> list[Key]:
        """Return the keys of the rows that are marked deleted."""
        table = f"fake_{stream}".replace(".", "_")
        return [key for (key,) in self.query(f"SELECT id FROM {table} WHERE _cmp_deleted_at IS NOT NULL ORDER BY id")]

    def truth(self, stream: str = ORDERS) -> dict[Key, object]:
        """Return key and name of what the source has."""
        records = self.source.stream(stream).records
        return {key: records[key].values.get("name") for key in sorted(records)}

    async def covered(self, stream: str = ORDERS) -> Coverage:
        """Return what is covered."""
        return await self.store.coverage(f"matriz/{stream}")

    def tables(self) -> list[str]:
        """Return the tables that are not the ledger's own."""
        known = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'cmp_%' ORDER BY name"
        return [name for (name,) in self.query(known)]

    def everything(self) -> Mapping[str, list[tuple[Any, ...]]]:
        """Return all that a dry run must leave as it is: every table but runs, their log and their leases."""
        known = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
        names = [name for (name,) in self.query(known) if name not in {"cmp_run", "cmp_log", "cmp_scope"}]
        return {name: self.query(f"SELECT * FROM {name}") for name in names}

    async def steps(self, run: Run) -> list[str]:
        """Return the steps of a run's log, in order."""
        return [line.step for _, _, line in await self.store.log(run.id)]

    async def told(self, run: Run) -> list[str | None]:
        """Return a run's log in words."""
        return [said(line.step, line.fields, Language.EN) for _, _, line in await self.store.log(run.id)]

    async def queued(self) -> list[Run]:
        """Return what waits in the queue, oldest first."""
        return list(reversed(await self.store.runs(state=RunState.QUEUED)))


@asynccontextmanager
async def open_workshop(
    path: Path,
    *,
    clock: FakeClock | None = None,
    opened: Callable[[Path, Pragmas, FakeClock], SqliteDatabase] = SqliteDatabase,
) -> AsyncIterator[Workshop]:
    """Open the migrated file at ``path``; close it afterwards."""
    clock = clock or FakeClock()
    database = opened(path, Pragmas(synchronous="off"), clock)
    store = LedgerStore(database, SqliteDestination(), ttl=CONDUCT.lease)
    try:
        yield Workshop(path, clock, database, store, FakeSource(clock))
    finally:
        await store.aclose()


def counted(run: Run) -> tuple[int, int, int, int, int, int]:
    """Return read, inserted, updated, unchanged, rejected, deleted."""
    counts = run.counts
    return (counts.read, counts.inserted, counts.updated, counts.unchanged, counts.rejected, counts.deleted)


def code(run: Run) -> str | None:
    """Return the code of the error that ended a run."""
    return run.error["code"] if run.error else None


def at(hour: int, minute: int = 0, *, day: int = 10) -> datetime:
    """Return an instant of March 2026; the clock starts on the 10th at 12:00."""
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


def hint(workshop: Workshop, *keys: int, told_at: datetime | None = None, scope: str = ORDER_SCOPE) -> None:
    """Tell of records, as a notification or another stream does."""
    text = instant_text(told_at) if told_at else None
    rows = [{"scope": scope, "parent": str(key), "told_at": text} for key in keys]
    workshop.database.write_now(lambda session: session.each("hint", rows))


def hints(workshop: Workshop, scope: str = ORDER_SCOPE) -> dict[str, tuple[int, int]]:
    """Return how often each record was told of, and looked for in vain, that is still to be looked at."""
    query = "SELECT parent, times, tries FROM cmp_hint WHERE scope = ? ORDER BY parent"
    return {key: (times, tries) for key, times, tries in workshop.query(query, scope)}
