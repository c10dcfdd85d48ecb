"""A seller synced by the real engine into a real database, while people work, and what differs in the end."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.sources.mercadolivre_desk import SELLER, StandIn

from comporta.coordination.budgets import SharedBudgets
from comporta.coordination.execute import Executor
from comporta.coordination.plans import AccountPlan, Child, Conduct, StreamPlan
from comporta.core.record import Row, Shape
from comporta.core.run import Run, Trigger
from comporta.core.ticket import Ticket
from comporta.core.window import Kind, Request
from comporta.destinations.sqlite import SqliteDestination
from comporta.ledger.sqlite import Pragmas, SqliteDatabase
from comporta.ledger.sqlite_schema import migrate
from comporta.ledger.store import LedgerStore
from comporta.ports.clock import Clock
from comporta.ports.events import Unwatched
from comporta.ports.source import StreamRequest
from comporta.ports.system_clock import SystemClock
from comporta.sandbox.mercadolivre import MercadoLivreSandbox
from comporta.sandbox.mercadolivre_routes import truth_of
from comporta.sources.mercadolivre import MercadoLivreSource
from comporta.sources.mercadolivre_config import MercadoLivreConfig, terms
from comporta.sources.mercadolivre_rows import Plan, prepared
from comporta.sources.mercadolivre_shape import table_for
from comporta.sources.mercadolivre_streams import REFERENCES
from comporta.testing import MemoryLog

LEASE = timedelta(seconds=30)
CONDUCT = Conduct(
    instance="here:1",
    workers=4,
    lease=LEASE,
    stall_timeout=timedelta(minutes=5),
    margin=timedelta(seconds=10),  # orders that come now are stamped some seconds ago
    reconcile_every=timedelta(days=1),
    rejected_share=0.05,
    deleted_share=0.9,
)


class Shop:
    """One seller, one database, one account."""

    def __init__(
        self, sandbox: MercadoLivreSandbox, store: LedgerStore, database: SqliteDatabase, clock: Clock
    ) -> None:
        self.sandbox = sandbox
        self.store = store
        self.database = database
        self.clock = clock
        self.width: int | None = None
        self.page_size = 10
        self.batch_rows_max = 20
        self.runs: list[Run] = []
        self._running: asyncio.Task[Run] | None = None
        self._loop = asyncio.get_running_loop()
        sandbox._control._acts["stop"] = lambda _: self._loop.call_soon_threadsafe(self._stop)

    def later(self, after: int, on: str, **act: object) -> None:
        """Let something be done when so many more requests were answered; ``stop`` ends the run that is under way."""
        self.sandbox._control.perform({**act, "after": after, "on": on})

    async def run(self, stream: str = "orders", kind: Kind = Kind.INCREMENTAL, **how: Any) -> Run:  # noqa: ANN401  anything may be given
        """Execute one run and return how it ended, also when it was stopped."""
        dry_run = how.pop("dry_run", False)
        ticket = Ticket("loja", stream, Request(kind, **how), Trigger.MANUAL, dry_run=dry_run)
        queued = await self.store.enqueue(ticket)
        running = self._running = asyncio.ensure_future(self._execute(queued, stream))
        with suppress(asyncio.CancelledError):
            await running
        self._running = None
        ended = await self.store.run(queued.id)
        assert ended is not None
        self.runs.append(ended)
        return ended

    def rows(self, shape: Shape) -> dict[object, Row]:
        """Return the living rows of a table, by key."""
        columns = ", ".join(f'"{column.name}"' for column in shape.columns)
        query = f"SELECT {columns} FROM {shape.table} WHERE _cmp_deleted_at IS NULL"
        return {row[0]: row for row in self.query(query)}

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return what a person would see with that query."""
        return self.database.read(lambda session: [tuple(row) for row in session.connection.execute(sql)])

    def differences(self, stream: str = "orders") -> list[str]:
        """Return in what the tables are not what the source has, lists inside the records too; none is the aim.

        An order that was cancelled before we ever saw it is hidden from searches, so nobody can know of it.
        """
        plan = Plan(table_for(StreamRequest(stream)), keeps_unknown=True)
        ours = self.rows(plan.shape)
        told = [prepared(stream, each, seller=str(SELLER)) for each in truth_of(self.sandbox.world, stream, SELLER)]
        seen = [each for each in told if each["status"] != "cancelled" or each["id"] in ours or stream != "orders"]
        page = plan.page(seen)
        found = _apart(plan.shape, ours, {row[0]: tuple(row) for row in page.rows})
        for each in page.nested:
            found += _apart(each.shape, self.rows(each.shape), {row[0]: tuple(row) for row in each.rows})
        return found

    def _stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            self._running = None  # a second one would be a kill: the lease would have to run out first

    async def _execute(self, queued: Run, stream: str) -> Run:
        """Execute a run with connections and tokens of its own, as another process would."""

        def new() -> str:
            return str(self.sandbox.logins.consent(SELLER)["access_token"])

        source = MercadoLivreSource(
            MercadoLivreConfig("demo", "demo-secret", url=self.sandbox.url, page_size=self.page_size),
            account="loja",
            login=StandIn(new, self.clock),
            clock=self.clock,
            budget=SharedBudgets(MemoryLog(self.clock), self.clock).of(terms(self.sandbox.url, None)),
            dice=random.Random(1),
        )
        request = StreamRequest(stream, concurrency=self.width)
        children = tuple(Child(*each) for each in REFERENCES.get(stream, ()))
        plan = StreamPlan(request, timedelta(hours=1), timedelta(hours=2), children=children)
        account = AccountPlan("loja", source, {stream: plan, **{each.stream: plan for each in children}})
        executor = Executor(
            store=self.store,
            clock=self.clock,
            observer=Unwatched(),
            conduct=replace(CONDUCT, batch_rows_max=self.batch_rows_max),
            chance=random.Random(1),
        )
        try:
            ended = await executor.execute(queued, account, plan)
        finally:
            await source.aclose()
        assert isinstance(ended, Run), ended
        return ended


@asynccontextmanager
async def open_shop(folder: Path, sandbox: MercadoLivreSandbox) -> AsyncIterator[Shop]:
    """Open a new database for a seller; close it afterwards."""
    clock = SystemClock()
    path = folder / "shop.db"
    migrate(path)
    database = SqliteDatabase(path, Pragmas(synchronous="off"), clock)
    store = LedgerStore(database, SqliteDestination(), ttl=LEASE)
    try:
        yield Shop(sandbox, store, database, clock)
    finally:
        await store.aclose()


def agreed(run: Run) -> bool:
    """Say whether a run's counts add up."""
    counts = run.counts
    return counts.read == counts.inserted + counts.updated + counts.unchanged + counts.rejected


def hours_ago(hours: float) -> datetime:
    """Return an instant before now."""
    return SystemClock().now().astimezone(UTC) - timedelta(hours=hours)


def _apart(shape: Shape, ours: Mapping[object, Row], theirs: Mapping[object, Row]) -> list[str]:
    keys = sorted(ours.keys() | theirs.keys(), key=str)
    return [
        f"{shape.stream} {key}: {ours.get(key)} is not {theirs.get(key)}"
        for key in keys
        if ours.get(key) != theirs.get(key)
    ]
