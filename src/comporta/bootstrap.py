"""The composition root: the only module that names concrete adapters and plugs them together.

``open_workspace`` turns settings into an open database, sources and the machinery that runs syncs. What
takes long to import is imported here, inside functions, when it is needed.
"""

import asyncio
import os
import random
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from pathlib import Path

from comporta.coordination.execute import Executor
from comporta.coordination.plans import AccountPlan, Conduct, StreamPlan
from comporta.coordination.rescuer import rescue_forever
from comporta.coordination.sync import Syncer, Wish
from comporta.core.coverage import Coverage
from comporta.core.instant import BEGINNING, instant_text, parse_instant
from comporta.core.run import Run, Trigger
from comporta.core.window import Kind, Request
from comporta.destinations.sqlite import SqliteDestination
from comporta.errors import SettingsError, UnknownAccount
from comporta.ledger.accounts import accounts as stored_accounts
from comporta.ledger.accounts import put_account
from comporta.ledger.database import Database, Pragmas
from comporta.ledger.refusals import refuse_unusable
from comporta.ledger.schema import is_current, migrate
from comporta.ledger.secrets import get_secret, master_key, parse_key, put_secret
from comporta.ledger.store import SqliteStore
from comporta.ports.clock import Clock
from comporta.ports.destination import Connection
from comporta.ports.events import Observer, Unwatched
from comporta.ports.progress import Progress
from comporta.ports.source import Finding, Reader, Source, StreamRequest
from comporta.ports.store import StreamFacts
from comporta.ports.system_clock import SystemClock
from comporta.settings import read_account, reveal
from comporta.settings_tree import AccountSettings, Settings

DEFAULT_STREAMS = ("sale.order", "sale.order.line", "res.partner", "product.product", "product.template")
CHILDREN = {"sale.order": "sale.order.line"}
"""Streams whose records have children that vanish without a trace of their own."""


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """What ``comporta status`` says of one stream. ``freshness`` is how far coverage lies behind now."""

    account: str
    stream: str
    last: Run | None
    is_responding: bool
    coverage: Coverage
    origin: datetime
    freshness: timedelta | None
    facts: StreamFacts
    quarantined: int


class Workspace:
    """An open database with its accounts, ready to run."""

    def __init__(
        self,
        *,
        settings: Settings,
        store: SqliteStore,
        database: Database,
        clock: Clock,
        observer: Observer,
        plans: Mapping[str, AccountPlan],
    ) -> None:
        self.settings = settings
        self.store = store
        self.database = database
        self.clock = clock
        self._plans = plans
        conduct = _conduct(settings)
        self._executor = Executor(
            store=store,
            clock=clock,
            observer=observer,
            conduct=conduct,
            chance=random.Random(),  # noqa: S311  jitter
        )
        self._syncer = Syncer(
            store=store, clock=clock, observer=observer, conduct=conduct, executor=self._executor, accounts=plans
        )
        self._loop = asyncio.get_running_loop()

    def targets(self, names: Sequence[str]) -> list[tuple[str, str]]:
        """Return what the names mean, as (account, stream); no name means everything that is not paused."""
        return [target for name in names or self._active() for target in self._target(name)]

    async def sync(
        self,
        names: Sequence[str] = (),
        *,
        request: Request | None = None,
        dry_run: bool = False,
        wait: bool = False,
        confirmed: bool = False,
    ) -> list[Run]:
        """Bring the named accounts and streams up to date and return every run, failed attempts too."""
        wish = Wish(request or Request(), dry_run=dry_run, wait=wait, deletions_confirmed=confirmed)
        return await self._syncer.sync(self.targets(names), wish)

    async def reconcile(
        self, name: str, *, repair: bool, exact: bool = False, confirmed: bool = False, wait: bool = False
    ) -> list[Run]:
        """Compare a stream with its source; without ``repair`` nothing is written."""
        account, stream = self._one(name)
        request = Request(Kind.RECONCILE, exact=exact)
        wish = Wish(request, dry_run=not repair, wait=wait, deletions_confirmed=confirmed)
        return await self._syncer.run_one(account, stream, wish, Trigger.RECONCILE)

    async def retry_quarantine(self, name: str) -> list[Run]:
        """Read the records of a stream that wait in quarantine again, and write those that can be."""
        account, stream = self._one(name)
        return await self._syncer.run_one(account, stream, Wish(Request(Kind.QUARANTINE)), Trigger.MANUAL)

    async def check(self, accounts: Sequence[str] = ()) -> dict[str, Sequence[Finding]]:
        """Try every named account, or all: credentials, permissions, clock, streams."""
        names = [self._account(name) for name in accounts] or list(self._plans)
        return {
            name: await self._plans[name].source.check([each.request for each in self._plans[name].streams.values()])
            for name in names
        }

    async def connect(self, name: str, table: Mapping[str, object], *, api_key: str) -> Sequence[Finding]:
        """Try an account that was typed in; if all of it works, keep it, its key closed. Return what was found."""
        told = read_account(name, table, settings=self.settings, origin="what was typed in")
        source = odoo_source(told, api_key=api_key, clock=self.clock)
        try:
            findings = await source.check([StreamRequest(stream) for stream in DEFAULT_STREAMS])
        finally:
            await source.aclose()
        if all(finding.ok for finding in findings):
            key = ledger_key(self.settings, create=True)
            now = self.clock.now()

            def keep(connection: Connection) -> None:
                put_account(connection, name, table, now=now)
                put_secret(connection, key, secret_id=f"{name}/api_key", secret=api_key, now=now)

            await asyncio.wrap_future(self.database.write(keep))
        return findings

    async def status(self) -> list[StreamStatus]:
        """Return where every stream stands."""
        waiting = [each.scope for each in await self.store.quarantine()]
        living = {
            each.holder for each in await self.store.leases() if each.expires_at and each.expires_at > self.clock.now()
        }
        return [
            await self._status(plan, stream, waiting.count(f"{plan.name}/{stream.name}"), living)
            for plan in self._plans.values()
            for stream in plan.streams.values()
        ]

    def origin(self, name: str) -> datetime:
        """Return where a stream begins."""
        account, stream = self._one(name)
        return _origin(self._plans[account].streams[stream])

    def stop(self) -> None:
        """Hand over what runs, after its current batch. Safe from signal handlers and threads."""
        self._loop.call_soon_threadsafe(self._executor.stop)

    async def _status(
        self, plan: AccountPlan, stream: StreamPlan, waiting: int, living: set[str | None]
    ) -> StreamStatus:
        scope = f"{plan.name}/{stream.name}"
        runs = await self.store.runs(account=plan.name, stream=stream.name, limit=10)
        last = next((run for run in runs if not run.dry_run), None)
        coverage = await self.store.coverage(scope)
        facts = await self.store.facts(scope)
        source_now = self.clock.now() + timedelta(seconds=facts.clock_offset_s or 0)
        return StreamStatus(
            account=plan.name,
            stream=stream.name,
            last=last,
            is_responding=last is None or last.id in living,
            coverage=coverage,
            origin=_origin(stream),
            freshness=source_now - coverage.first_uncovered(_origin(stream)) if coverage.intervals else None,
            facts=facts,
            quarantined=waiting,
        )

    def _active(self) -> list[str]:
        return [name for name in self._plans if not self.settings.accounts[name].paused]

    def _target(self, name: str) -> list[tuple[str, str]]:
        account, slash, _ = name.partition("/")
        if slash:
            return [self._one(name)]
        account = self._account(account)
        told = self.settings.accounts[account]
        return [(account, stream) for stream in self._plans[account].streams if not told.stream(stream).paused]

    def _one(self, name: str) -> tuple[str, str]:
        account, _, stream = name.partition("/")
        streams = self._plans[self._account(account)].streams
        if stream not in streams:
            message = f"account {account!r} has no stream {stream!r}{_nearest(stream, streams)}"
            raise UnknownAccount(message)
        return account, stream

    def _account(self, name: str) -> str:
        if name not in self._plans:
            message = f"there is no account {name!r}{_nearest(name, self._plans)}"
            raise UnknownAccount(message)
        return name


@asynccontextmanager
async def open_workspace(
    settings: Settings, *, observer: Observer | None = None, clock: Clock | None = None
) -> AsyncIterator[Workspace]:
    """Open the database, migrate it if it is behind, and make every account ready to be read."""
    clock = clock or SystemClock()
    database = open_database(settings)
    store = SqliteStore(database, SqliteDestination(), clock, ttl=settings.lease)
    plans: dict[str, AccountPlan] = {}
    try:
        await store.reap()
        await store.forget(clock.now() - settings.retention)
        settings = settings.with_accounts(_stored(database, settings))
        plans = {name: _account_plan(told, database, settings, clock) for name, told in settings.accounts.items()}
        workspace = Workspace(
            settings=settings,
            store=store,
            database=database,
            clock=clock,
            observer=observer or Unwatched(),
            plans=plans,
        )
        rescuing = asyncio.ensure_future(rescue_forever(store, clock, settings.retention))
        try:
            yield workspace
        finally:
            rescuing.cancel()
            with suppress(asyncio.CancelledError):
                await rescuing
    finally:
        for plan in plans.values():
            await plan.source.aclose()
        await store.aclose()


def open_database(settings: Settings) -> Database:
    """Open the SQLite file, refusing what is unsafe, and bring its ledger up to date."""
    path = settings.sqlite_path
    refuse_unusable(path)
    database = Database(path, pragmas(settings))
    try:
        if not database.read(lambda connection: is_current(connection, path)):
            migrate(path)
    except BaseException:
        database.close()
        raise
    return database


def pragmas(settings: Settings) -> Pragmas:
    """Return SQLite's settings."""
    told = settings.sqlite
    return Pragmas(
        cache_mb=told.cache_mb,
        mmap_mb=told.mmap_mb,
        temp_store=told.temp_store,
        synchronous=told.synchronous,
        busy_timeout_s=told.busy_timeout.total_seconds(),
    )


def odoo_source(told: AccountSettings, *, api_key: str, clock: Clock) -> Source:
    """Return the source of an Odoo account."""
    from comporta.sources.odoo import OdooConfig, OdooSource

    options = dict(told.options)
    config = OdooConfig(
        url=told.url,
        database=str(options["database"]),
        login=str(options["login"]),
        api_key=api_key,
        protocol=options.get("protocol"),  # type: ignore[arg-type]  # checked by settings
        companies=tuple(options["companies"]) if options.get("companies") else None,  # type: ignore[arg-type]
        page_size=int(str(options["page_size"])),
        timeout=options["request_timeout"],  # type: ignore[arg-type]
        limit=tuple(told.limit) if told.limit else None,  # type: ignore[arg-type]
    )
    return OdooSource(config, account=told.name, clock=clock)


def _conduct(settings: Settings) -> Conduct:
    return Conduct(
        instance=f"{socket.gethostname()}:{os.getpid()}",
        workers=settings.workers,
        lease=settings.lease,
        stall_timeout=settings.stall_timeout,
        margin=settings.margin,
        reconcile_every=settings.reconcile,
        rejected_share=settings.rejected_share,
        deleted_share=settings.deleted_share,
    )


def _account_plan(told: AccountSettings, database: Database, settings: Settings, clock: Clock) -> AccountPlan:
    names = [*DEFAULT_STREAMS, *(name for name in told.streams if name not in DEFAULT_STREAMS)]
    return AccountPlan(
        name=told.name,
        source=_SourceWhenNeeded(lambda: odoo_source(told, api_key=_secret(told, database, settings), clock=clock)),
        streams={name: _stream_plan(told, name) for name in names},
        limit=told.limit.text if told.limit else None,
    )


def _stream_plan(told: AccountSettings, name: str) -> StreamPlan:
    stream = told.stream(name)
    return StreamPlan(
        request=StreamRequest(name, stream.fields, stream.domain),
        overlap=stream.overlap,
        timeout=stream.timeout,
        origin_text=instant_text(stream.start) if stream.start else None,
        child=CHILDREN.get(name),
    )


class _SourceWhenNeeded:
    """A source that is made at its first use, so that one account's missing secret stops no other."""

    def __init__(self, make: Callable[[], Source]) -> None:
        self._make = make
        self._source: Source | None = None

    async def read(self, request: StreamRequest, progress: Progress) -> Reader:
        return await self._made().read(request, progress)

    async def check(self, requests: Sequence[StreamRequest]) -> Sequence[Finding]:
        try:
            return await self._made().check(requests)
        except SettingsError as error:
            return [Finding("settings", ok=False, message=error.message, next_step=error.next_step)]

    async def aclose(self) -> None:
        if self._source is not None:
            await self._source.aclose()

    def _made(self) -> Source:
        if self._source is None:
            self._source = self._make()
        return self._source


def _secret(told: AccountSettings, database: Database, settings: Settings) -> str:
    """Return an account's key, from where its reference says."""
    if told.api_key.kind != "stored":
        return reveal(told.api_key, what=f"account {told.name}")
    key = ledger_key(settings, create=False)
    return database.read(lambda connection: get_secret(connection, key, secret_id=told.api_key.name))


def ledger_key(settings: Settings, *, create: bool) -> bytes:
    """Return the key that the database's secrets are closed with."""
    reference = settings.master_key
    if reference.kind == "file":
        return master_key(Path(reference.name), create=create)
    return parse_key(reveal(reference, what="master_key"), where="master_key")


def _stored(database: Database, settings: Settings) -> dict[str, AccountSettings]:
    """Return the accounts that ``comporta connect`` put into the database."""
    kept = database.read(stored_accounts)
    origin = f"the database {settings.sqlite_path}"
    return {name: read_account(name, table, settings=settings, origin=origin) for name, table in kept.items()}


def _origin(stream: StreamPlan) -> datetime:
    return parse_instant(stream.origin_text) if stream.origin_text else BEGINNING


def _nearest(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, known, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(known) or 'none'}"
