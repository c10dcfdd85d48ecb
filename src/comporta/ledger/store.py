"""The store: the ledger's half and the destination's half over one connection, whichever the database.

Every write is a function of the session, run by the database in one of its threads; every read goes to another thread.
Nothing here decides: the protocol is in ``leases``, the batch transaction in ``batches``, the rows in the destination.
"""
# ruff: noqa: D102  ports.store.Store says what each method promises

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from secrets import token_hex
from typing import TypeVar

from comporta.core.counts import Counts
from comporta.core.coverage import Coverage
from comporta.core.gaps import Voided
from comporta.core.hint import POSTPONED_MAX, Hint
from comporta.core.lease import Lease, ScopeState
from comporta.core.record import Bucket, Key, Shape, Value, key_from_text
from comporta.core.run import Run, RunState, run_name
from comporta.core.ticket import Ticket
from comporta.core.window import Request
from comporta.errors import ComportaError
from comporta.ledger import batches, leases, pauses, people, retention
from comporta.ledger.batches import NOTHING_LEARNT, Batches
from comporta.ledger.rows import (
    coverage_from,
    facts_from,
    hint_from,
    instance_from,
    lease_row_from,
    pass_from,
    quarantined_from,
    run_from,
    text_of,
)
from comporta.ledger.session import Database, Row, Session, Values, settled
from comporta.ledger.stream_states import stream_states
from comporta.ports.destination import Destination
from comporta.ports.progress import LogLine
from comporta.ports.rows import Among
from comporta.ports.store import (
    Batch,
    Change,
    Checkpoint,
    Committed,
    Ending,
    Granted,
    Instance,
    LeaseRow,
    Occupied,
    Pass,
    Quarantined,
)
from comporta.ports.stream_state import StreamFacts, StreamState

READERS = 8
QUEUED_MAX = 100
"""Queued runs of one stream that are looked at together; equal ones join, so there are few."""
AFOOT_MAX = 10_000
"""More runs than a thousand accounts have streams; each takes a kilobyte."""
T = TypeVar("T")


class LedgerStore:
    """Implements ``ports.store.Store``; see there for what each method promises."""

    def __init__(
        self,
        database: Database,
        destination: Destination,
        *,
        ttl: timedelta,
        checkpoint: Checkpoint = lambda _: None,
    ) -> None:
        self._database = database
        self._destination = destination
        self._ttl = ttl
        self._checkpoint = checkpoint
        # Not the event loop's own threads, in which the sources' host names are looked up: a read may take long.
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="comporta-reader")
        self._batches = Batches(destination, checkpoint=checkpoint)

    async def enqueue(self, ticket: Ticket, *, run_id: str | None = None) -> Run:
        name = run_id or run_name(self._database.now(), token_hex(4))
        return await self._write(
            lambda s: leases.queue_run(s, ticket, run_id=name),
            again=lambda s: leases.queued_before(s, name) or leases.queue_run(s, ticket, run_id=name),
            is_brief=True,
        )

    async def queued(self, scope: str) -> Sequence[Run]:
        values = {"scope": scope, "limit": QUEUED_MAX}
        return [run_from(row) for row in await self._rows("queued", values)]

    def now(self) -> datetime:
        return self._database.now()

    def trouble(self) -> ComportaError | None:
        return self._database.trouble()

    async def tick(self, ticket: Ticket, at: datetime, *, run_id: str) -> Run | None:
        return await self._write(lambda s: leases.queue_tick(s, ticket, at, run_id=run_id))

    async def due(self, limit: int, accounts: Collection[str] | None = None) -> Sequence[Run]:
        values = {"limit": limit, "accounts": None if accounts is None else json.dumps(list(accounts))}
        return [run_from(row) for row in await self._rows("due", values | {"now": text_of(self._database.now())})]

    async def stranded(self, limit: int, *, accounts: Collection[str], before: datetime) -> Sequence[Run]:
        values = {"limit": limit, "accounts": json.dumps(list(accounts)), "before": text_of(before)}
        return [run_from(row) for row in await self._rows("stranded", values)]

    async def beat(self, instance: str, *, roles: str, version: str) -> None:
        values = {"instance": instance, "roles": roles, "version": version}
        await self._write(lambda s: s.run("beat", values | {"now": text_of(s.now)}))

    async def leave(self, instance: str) -> None:
        await self._write(lambda s: s.run("leave", {"instance": instance, "now": text_of(s.now)}))

    async def instances(self) -> Sequence[Instance]:
        return [instance_from(row) for row in await self._rows("instances", {})]

    async def acquire(self, run: Run, *, ttl: timedelta, timeout: timedelta, instance: str) -> Granted | Occupied:
        tried: list[Granted] = []

        def noted(answer: Granted | Occupied) -> Granted | Occupied:
            if isinstance(answer, Granted):
                tried.append(answer)
            return answer

        answer = await self._write(
            lambda s: noted(leases.acquire(s, run, ttl=ttl, timeout=timeout, instance=instance)),
            again=lambda s: noted(leases.acquire_again(s, run, tried, ttl=ttl, timeout=timeout, instance=instance)),
            is_brief=True,
        )
        self._checkpoint("after_acquire")
        return answer

    async def put_off(self, run_id: str, until: datetime) -> None:
        values = {"run": run_id, "not_before": text_of(until)}
        await self._write(lambda s: s.run("put_off_run", values), is_brief=True)

    async def skip(self, run: Run, error: Mapping[str, str]) -> Run:
        return await self._write(lambda s: people.skip(s, run, error), is_brief=True)

    def renew(self, lease: Lease, ttl: timedelta) -> bool:
        return self._database.write_now(lambda s: leases.renew(s, lease, ttl))

    def cancel_requested(self, run_id: str) -> bool:
        row = self._database.read_now(lambda s: s.one("cancel_requested", {"run": run_id}))
        return bool(row and row["cancel_requested"])

    async def reap(self) -> Sequence[Run]:
        found = await self._rows("has_expired", leases.expiry(self._database.now()))
        if not found[0]["found"]:
            return []
        return await self._write(leases.reap)

    async def forget(self, before: datetime) -> int:
        found = await self._rows("has_expired_history", retention.bounds(before, self._database.now()))
        if not found[0]["found"]:
            return 0
        return await self._write(lambda s: retention.forget(s, before))

    async def unlock(self, scope: str) -> Sequence[Run] | None:
        return await self._write(lambda s: leases.unlock(s, scope))

    async def cancel(self, run_id: str) -> Run | None:
        return await self._write(lambda s: people.cancel(s, run_id), is_brief=True)

    async def scope_state(self, scope: str) -> ScopeState:
        for row in await self._rows("holder", {"scope": scope}):
            return ScopeState(row["epoch"], row["holder"], row["commits"])
        return ScopeState(0, None, 0)

    async def prepare(self, lease: Lease, shape: Shape, *, is_known: bool = False) -> Sequence[LogLine]:
        def work(session: Session) -> Sequence[LogLine]:
            missing = self._destination.missing(session.connection, shape)
            done = self._destination.prepare(session.connection, shape)
            if missing and is_known:
                self._destination.doubt(session.connection, shape)
                return [*done, *batches.doubt_stream(session, shape.stream, missing)]
            # Nothing done: another account's first run made the table between our look and our turn to make it.
            is_made = missing is None and bool(done)
            return [*done, *(batches.doubt_stream(session, shape.stream) if is_made else ())]

        return await self._held(lease, work)

    async def begin_pass(self, lease: Lease, new: Pass, *, resumable: bool) -> None:
        bounds = {"since": text_of(new.window.since), "until": text_of(new.window.until), "kind": new.window.kind.value}

        def work(session: Session) -> None:
            if resumable:
                values = {"id": new.id, "scope": lease.scope, "request": new.request, "fingerprint": new.fingerprint}
                session.run("put_pass", values | bounds | {"now": text_of(session.now)})
            session.run("set_window", bounds | {"run": lease.holder})

        await self._held(lease, work)

    async def commit(self, lease: Lease, batch: Batch, ending: Ending | None = None) -> Committed:
        # The engine settles a lost answer itself, by epoch and commits.
        return await self._write_once(lambda s: self._batches.commit(s, lease, batch, ending, ttl=self._ttl))

    async def finish(self, lease: Lease, ending: Ending) -> Run:
        self._checkpoint("before_release")
        return await self._write(
            lambda s: batches.finish(s, lease, ending),
            again=lambda s: leases.ended_before(s, lease, ending.state) or batches.finish(s, lease, ending),
        )

    async def note(self, run_id: str, lines: Sequence[LogLine]) -> None:
        await self._write(lambda s: batches.note(s, run_id, lines))

    async def tell(self, lease: Lease, lines: Sequence[LogLine]) -> None:
        await self._held(lease, lambda s: batches.note(s, lease.holder, lines))

    async def coverage(self, scope: str) -> Coverage:
        return coverage_from(await self._rows("coverage", {"scope": scope}))

    async def void_coverage(self, lease: Lease) -> None:
        def work(session: Session) -> None:
            for name in ("forget_coverage", "forget_passes", "forget_hints"):
                session.run(name, {"scope": lease.scope})

        await self._held(lease, work)

    async def cut_coverage(self, lease: Lease, at: datetime) -> None:
        await self._held(lease, lambda s: batches.cut_coverage(s, lease.scope, at))

    async def voided(self, scope: str, *, limit: int) -> Voided | None:
        return await self._read(lambda s: batches.voided_of(s, scope, limit=limit))

    async def open_pass(self, scope: str, request: Request) -> Pass | None:
        values = {"scope": scope, "request": request.text}
        return next(map(pass_from, await self._rows("open_pass", values)), None)

    async def facts(self, scope: str) -> StreamFacts:
        return facts_from(next(iter(await self._rows("facts", {"scope": scope})), None))

    async def states(self, scopes: Sequence[str]) -> Mapping[str, StreamState]:
        return await self._read(lambda s: stream_states(s, scopes))

    async def learn(self, lease: Lease, facts: StreamFacts) -> None:
        values = {
            "scope": lease.scope,
            "fingerprint": facts.fingerprint,
            "identity": facts.identity,
            "clock_offset_s": facts.clock_offset_s,
            "reconcile_result": None if facts.reconcile_result is None else json.dumps(facts.reconcile_result),
        }
        await self._held(lease, lambda s: s.run("learn", NOTHING_LEARNT | values))

    async def hints(self, scope: str, limit: int, *, due: datetime | None = None) -> Sequence[Hint]:
        now = self._database.now()
        instants = {"due": text_of(due or now), "never": text_of(now + POSTPONED_MAX)}
        return [hint_from(row) for row in await self._rows("hints", {"scope": scope, "limit": limit, **instants})]

    async def look_again(self, lease: Lease, keys: Sequence[Key]) -> None:
        rows = [{"scope": lease.scope, "parent": str(key)} for key in keys]
        await self._held(lease, lambda s: s.each("refer", rows))

    async def refer(self, lease: Lease, shape: Shape, column: str, *, lacking: Shape | None = None) -> int:
        account = lease.scope.partition("/")[0]

        def work(session: Session) -> int:
            found = self._destination.values(session.connection, account, shape, column, lacking=lacking)
            session.each("refer", [{"scope": lease.scope, "parent": str(key)} for key in found])
            return len(found)

        return await self._held(lease, work)

    async def named(self, account: str, shape: Shape, column: str, *, lacking: Shape | None = None) -> Sequence[Key]:
        values = self._destination.values
        return await self._read(lambda s: values(s.connection, account, shape, column, lacking=lacking))

    async def let_go(self, lease: Lease, shape: Shape, parents: Shape, column: str) -> int:
        account = lease.scope.partition("/")[0]

        def work(session: Session) -> int:
            vain = [row["parent"] for row in session.all("vain_hints", {"scope": lease.scope})]
            values = self._destination.values
            named = values(session.connection, account, parents, column, lacking=shape) if vain else ()
            left = set(vain).difference(map(str, named))
            keys = [key_from_text(each) for each in sorted(left)]
            here = self._destination.stamps(session.connection, account, shape, Among(keys=keys)) if keys else {}
            gone = sorted(left.difference(map(str, here)))
            session.each("let_hint_go", [{"scope": lease.scope, "parent": each} for each in gone])
            session.each("leave_quarantine", [{"scope": lease.scope, "key": each} for each in gone])
            return len(gone)

        return await self._held(lease, work)

    async def wake(self, lease: Lease) -> None:
        await self._held(lease, lambda s: s.run("wake_hints", {"scope": lease.scope}))

    async def stamps(self, account: str, shape: Shape, among: Among) -> dict[Key, str | None]:
        return await self._read(lambda s: self._destination.stamps(s.connection, account, shape, among))

    async def cells(
        self, account: str, shape: Shape, keys: Sequence[Key], names: Sequence[str]
    ) -> Mapping[Key, Sequence[Value]]:
        return await self._read(lambda s: self._destination.cells(s.connection, account, shape, keys, names))

    async def children(self, account: str, shape: Shape, parents: Sequence[Key]) -> frozenset[Key]:
        return await self._read(lambda s: self._destination.children(s.connection, account, shape, parents))

    async def buckets(self, account: str, shape: Shape, until: datetime) -> Sequence[Bucket]:
        return await self._read(lambda s: self._destination.buckets(s.connection, account, shape, until))

    async def count_rows(self, account: str, shape: Shape) -> int:
        return await self._read(lambda s: self._destination.count(s.connection, account, shape))

    async def preview(self, account: str, batch: Batch) -> tuple[Counts, Sequence[Change]]:
        return await self._read(lambda s: self._destination.preview(s.connection, account, batch))

    async def quarantine(self, scope: str | None = None) -> Sequence[Quarantined]:
        return [quarantined_from(row) for row in await self._rows("quarantine", {"scope": scope})]

    async def run(self, run_id: str) -> Run | None:
        return next(map(run_from, await self._rows("run", {"run": run_id})), None)

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
        return [run_from(row) for row in await self._rows(name, values | {"dry_run": dry_run})]

    async def failures(self, account: str, stream: str, since: datetime) -> Mapping[str, int]:
        values = {"account": account, "stream": stream, "since": text_of(since)}
        rows = await self._read(lambda s: s.all("failures_of_stream", values))
        found: Counter[str] = Counter()
        for row in rows:
            found.update(json.loads(row["failures"]))
        return found

    async def afoot(self, since: datetime) -> Sequence[Run]:
        values = {"since": text_of(since), "limit": AFOOT_MAX}
        return [run_from(row) for row in await self._rows("runs_afoot", values)]

    async def log_end(self, run_id: str) -> int:
        return next((int(row["seq"]) for row in await self._rows("log_end", {"run": run_id})), 0)

    async def log(self, run_id: str, after: int = 0) -> Sequence[tuple[int, datetime, LogLine]]:
        return [people.log_line(row) for row in await self._rows("log", {"run": run_id, "after": after})]

    async def leases(self) -> Sequence[LeaseRow]:
        return [lease_row_from(row) for row in await self._rows("leases", {})]

    async def pause(self, account: str) -> bool:
        return await self._write(lambda s: pauses.pause(s, account))

    async def resume(self, account: str) -> bool:
        return await self._write(lambda s: pauses.resume(s, account))

    async def pauses(self) -> Mapping[str, datetime]:
        return await self._read(pauses.pauses)

    async def aclose(self) -> None:
        await asyncio.to_thread(self._database.close)
        self._readers.shutdown()

    async def _write(
        self, work: Callable[[Session], T], *, again: Callable[[Session], T] | None = None, is_brief: bool = False
    ) -> T:
        """Write, and write again if the answer to COMMIT was lost.

        ``again`` looks first whether it happened; without it, doing it twice is as good as once.
        """
        return await settled(
            lambda: self._write_once(work, is_brief=is_brief),
            lambda: self._write_once(again or work, is_brief=is_brief),
        )

    async def _write_once(self, work: Callable[[Session], T], *, is_brief: bool = False) -> T:
        return await asyncio.wrap_future(self._database.write(work, is_brief=is_brief))

    async def _held(self, lease: Lease, work: Callable[[Session], T]) -> T:
        """Write beside the batches, only while the lease is ours."""

        def guarded(session: Session) -> T:
            leases.hold(session, lease, self._ttl)
            return work(session)

        return await self._write(guarded)

    async def _rows(self, name: str, values: Values) -> list[Row]:
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._database.rows, name, values)

    async def _read(self, work: Callable[[Session], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._database.read, work)
