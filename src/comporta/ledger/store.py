"""The store on SQLite: the ledger's half and the destination's half over one file.

Every write is a function of the connection, run by the database's writer thread; every read goes to a
read-only connection in a worker thread. Nothing here decides: the protocol is in ``leases``, the batch
transaction in ``batches``, the rows in the destination.
"""
# ruff: noqa: D102  ports.store.Store says what each method promises

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from secrets import token_hex
from typing import TypeVar

from comporta.core.counts import Counts
from comporta.core.coverage import Coverage
from comporta.core.lease import Lease, ScopeState
from comporta.core.record import Bucket, Key, Shape
from comporta.core.run import Run, RunState, run_name
from comporta.core.ticket import Ticket
from comporta.core.window import Request
from comporta.ledger import batches, leases, people, retention
from comporta.ledger.batches import NOTHING_LEARNT, Batches
from comporta.ledger.database import Database
from comporta.ledger.rows import (
    facts_from,
    lease_row_from,
    pass_from,
    quarantined_from,
    run_from,
    text_of,
)
from comporta.ledger.statements import statements
from comporta.ports.clock import Clock
from comporta.ports.destination import Destination
from comporta.ports.store import (
    Among,
    Batch,
    Change,
    Checkpoint,
    Committed,
    Ending,
    Granted,
    LeaseRow,
    LogLine,
    Occupied,
    Pass,
    Quarantined,
    StreamFacts,
)

SQL = statements("sqlite")
QUEUED_MAX = 100
"""Queued runs of one stream that are looked at together; equal ones join, so there are few."""
T = TypeVar("T")


class SqliteStore:
    """Implements ``ports.store.Store``; see there for what each method promises."""

    def __init__(
        self,
        database: Database,
        destination: Destination,
        clock: Clock,
        *,
        ttl: timedelta,
        checkpoint: Checkpoint = lambda _: None,
    ) -> None:
        self._database = database
        self._destination = destination
        self._clock = clock
        self._ttl = ttl
        self._checkpoint = checkpoint
        self._batches = Batches(destination, checkpoint=checkpoint)

    async def enqueue(self, ticket: Ticket, *, run_id: str | None = None) -> Run:
        name = run_id or run_name(self._clock.now(), token_hex(4))
        return await self._write(lambda c: leases.queue_run(c, ticket, run_id=name, now=self._clock.now()))

    async def queued(self, scope: str) -> Sequence[Run]:
        values = {"scope": scope, "limit": QUEUED_MAX}
        return await self._read(lambda c: [run_from(row) for row in c.execute(SQL["queued"], values)])

    async def acquire(self, run: Run, *, ttl: timedelta, timeout: timedelta, instance: str) -> Granted | Occupied:
        answer = await self._write(
            lambda c: leases.acquire(c, run, now=self._clock.now(), ttl=ttl, timeout=timeout, instance=instance)
        )
        self._checkpoint("after_acquire")
        return answer

    async def skip(self, run: Run, error: Mapping[str, str]) -> Run:
        return await self._write(lambda c: people.skip(c, run, error, now=self._clock.now()))

    def renew(self, lease: Lease, ttl: timedelta) -> bool:
        return self._database.write(lambda c: leases.renew(c, lease, expires_at=self._clock.now() + ttl)).result()

    def cancel_requested(self, run_id: str) -> bool:
        row = self._database.read(lambda c: c.execute(SQL["cancel_requested"], {"run": run_id}).fetchone())
        return bool(row and row[0])

    async def reap(self) -> Sequence[Run]:
        now = text_of(self._clock.now())
        if not await self._read(lambda c: c.execute(SQL["has_expired"], {"now": now}).fetchone()[0]):
            return []
        return await self._write(lambda c: leases.reap(c, now=self._clock.now()))

    async def forget(self, before: datetime) -> int:
        if not await self._read(lambda c: retention.has_expired(c, before, now=self._clock.now())):
            return 0
        return await self._write(lambda c: retention.forget(c, before, now=self._clock.now()))

    async def unlock(self, scope: str) -> bool:
        return await self._write(lambda c: leases.unlock(c, scope, now=self._clock.now()))

    async def cancel(self, run_id: str) -> Run | None:
        return await self._write(lambda c: people.cancel(c, run_id, now=self._clock.now()))

    async def scope_state(self, scope: str) -> ScopeState:
        row = await self._read(lambda c: c.execute(SQL["holder"], {"scope": scope}).fetchone())
        return ScopeState(row["epoch"], row["holder"], row["commits"]) if row else ScopeState(0, None, 0)

    async def prepare(self, lease: Lease, shape: Shape) -> Sequence[str]:
        return await self._held(lease, lambda c: self._destination.prepare(c, shape))

    async def begin_pass(self, lease: Lease, new: Pass, *, resumable: bool) -> None:
        bounds = {"since": text_of(new.window.since), "until": text_of(new.window.until), "kind": new.window.kind.value}

        def work(connection: sqlite3.Connection) -> None:
            if resumable:
                values = {"id": new.id, "scope": lease.scope, "request": new.request, "fingerprint": new.fingerprint}
                connection.execute(SQL["put_pass"], values | bounds | {"now": text_of(self._clock.now())})
            connection.execute(SQL["set_window"], bounds | {"run": lease.holder})

        await self._held(lease, work)

    async def commit(self, lease: Lease, batch: Batch, ending: Ending | None = None) -> Committed:
        return await self._write(
            lambda c: self._batches.commit(c, lease, batch, ending, now=self._clock.now(), ttl=self._ttl)
        )

    async def finish(self, lease: Lease, ending: Ending) -> Run:
        self._checkpoint("before_release")
        return await self._write(lambda c: batches.finish(c, lease, ending, now=self._clock.now()))

    async def note(self, run_id: str, lines: Sequence[LogLine]) -> None:
        await self._write(lambda c: batches.append_log(c, run_id, lines, self._clock.now()))

    async def coverage(self, scope: str) -> Coverage:
        return await self._read(lambda c: batches.coverage_of(c, scope))

    async def void_coverage(self, lease: Lease) -> None:
        def work(connection: sqlite3.Connection) -> None:
            for name in ("forget_coverage", "forget_passes", "forget_hints"):
                connection.execute(SQL[name], {"scope": lease.scope})

        await self._held(lease, work)

    async def cut_coverage(self, lease: Lease, at: datetime) -> None:
        await self._held(lease, lambda c: batches.cut_coverage(c, lease.scope, at))

    async def open_pass(self, scope: str, request: Request) -> Pass | None:
        values = {"scope": scope, "request": request.text}
        row = await self._read(lambda c: c.execute(SQL["open_pass"], values).fetchone())
        return pass_from(row) if row else None

    async def facts(self, scope: str) -> StreamFacts:
        return facts_from(await self._read(lambda c: c.execute(SQL["facts"], {"scope": scope}).fetchone()))

    async def learn(self, lease: Lease, facts: StreamFacts) -> None:
        values = {
            "scope": lease.scope,
            "fingerprint": facts.fingerprint,
            "identity": facts.identity,
            "clock_offset_s": facts.clock_offset_s,
        }
        await self._held(lease, lambda c: c.execute(SQL["learn"], NOTHING_LEARNT | values))

    async def hints(self, scope: str, limit: int) -> Sequence[str]:
        values = {"scope": scope, "limit": limit}
        return await self._read(lambda c: [row[0] for row in c.execute(SQL["hints"], values)])

    async def stamps(self, account: str, shape: Shape, among: Among) -> dict[Key, str | None]:
        return await self._read(lambda c: self._destination.stamps(c, account, shape, among))

    async def children(self, account: str, shape: Shape, parents: Sequence[Key]) -> frozenset[Key]:
        return await self._read(lambda c: self._destination.children(c, account, shape, parents))

    async def buckets(self, account: str, shape: Shape, until: datetime) -> Sequence[Bucket]:
        return await self._read(lambda c: self._destination.buckets(c, account, shape, until))

    async def count_rows(self, account: str, shape: Shape) -> int:
        return await self._read(lambda c: self._destination.count(c, account, shape))

    async def preview(self, account: str, batch: Batch) -> tuple[Counts, Sequence[Change]]:
        return await self._read(lambda c: self._destination.preview(c, account, batch))

    async def quarantine(self, scope: str | None = None) -> Sequence[Quarantined]:
        return await self._read(
            lambda c: [quarantined_from(row) for row in c.execute(SQL["quarantine"], {"scope": scope})]
        )

    async def run(self, run_id: str) -> Run | None:
        row = await self._read(lambda c: c.execute(SQL["run"], {"run": run_id}).fetchone())
        return run_from(row) if row else None

    async def runs(
        self,
        *,
        account: str | None = None,
        stream: str | None = None,
        state: RunState | None = None,
        dry_run: bool | None = None,
        limit: int = 50,
    ) -> Sequence[Run]:
        values = {"account": account, "stream": stream, "state": state.value if state else None, "limit": limit}
        name = "runs" if account is None or stream is None else "runs_of_stream"
        return await self._read(
            lambda c: [run_from(row) for row in c.execute(SQL[name], values | {"dry_run": dry_run})]
        )

    async def log(self, run_id: str, after: int = 0) -> Sequence[tuple[int, datetime, LogLine]]:
        rows = await self._read(lambda c: c.execute(SQL["log"], {"run": run_id, "after": after}).fetchall())
        return [people.log_line(row) for row in rows]

    async def leases(self) -> Sequence[LeaseRow]:
        return await self._read(lambda c: [lease_row_from(row) for row in c.execute(SQL["leases"])])

    async def aclose(self) -> None:
        await asyncio.to_thread(self._database.close)

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.wrap_future(self._database.write(work))

    async def _held(self, lease: Lease, work: Callable[[sqlite3.Connection], T]) -> T:
        """Write beside the batches, only while the lease is ours."""

        def guarded(connection: sqlite3.Connection) -> T:
            leases.hold(connection, lease, expires_at=self._clock.now() + self._ttl)
            return work(connection)

        return await self._write(guarded)

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.to_thread(self._database.read, work)
