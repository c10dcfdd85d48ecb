"""The composition root: it names concrete adapters and plugs them together, databases by ``databases``.

``open_workspace`` turns settings into an open database, sources and the machinery that runs syncs. What
takes long to import is imported here, inside functions, when it is needed.
"""

import asyncio
import gc
import os
import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from datetime import datetime, timedelta

from comporta import __version__
from comporta.bootstrap.account_plans import KnownAccounts, legacy_key
from comporta.bootstrap.channel_kinds import make_reach
from comporta.bootstrap.databases import ledger_key, open_budgets, open_database, open_store
from comporta.bootstrap.source_kinds import Outside, kind_of, make_source
from comporta.coordination.budgets import SharedBudgets
from comporta.coordination.late_budgets import LateBudgets
from comporta.coordination.legacy_locks import SUBJECT, LegacyLocks
from comporta.coordination.plans import Conduct
from comporta.coordination.rescuer import rescue, rescue_forever
from comporta.coordination.traced import Traced
from comporta.coordination.watchers import Watchers
from comporta.core.guard import Without
from comporta.errors import SettingsError, WrongUse
from comporta.ledger.accounts import accounts as stored_accounts
from comporta.ledger.accounts import put_account
from comporta.ledger.logins import LedgerLogins, login_states
from comporta.ledger.notifications import LedgerInbox
from comporta.ledger.secrets import get_secrets, put_secret
from comporta.ledger.session import Database, Session
from comporta.observability.meter import UNMEASURED, Meter
from comporta.ports.clock import Clock
from comporta.ports.events import Observer, Unwatched
from comporta.ports.guard import LockKeys
from comporta.ports.source import Finding, StreamRequest
from comporta.ports.store import Store
from comporta.ports.system_clock import SystemClock
from comporta.settings.reading import redis_address, reveal
from comporta.settings.stored import read_account
from comporta.settings.tree import Settings
from comporta.sources.connections import Connections
from comporta.sources.mercadolivre_config import counted
from comporta.workspace.workspace import Workspace

COLLECTING = (50_000, 20, 20)
"""Thresholds of Python's garbage collector while a workspace is open."""


@asynccontextmanager
async def open_workspace(
    settings: Settings,
    *,
    observer: Observer | None = None,
    meter: Meter = UNMEASURED,
) -> AsyncIterator[Workspace]:
    """Open the database, migrate it if it is behind, and make every account ready to be read."""
    with _followed(settings, observer or Unwatched()) as watching:
        async with _opened(settings, watching, meter) as workspace:
            yield workspace


@contextmanager
def _followed(settings: Settings, observer: Observer) -> Iterator[Observer]:
    """Give who watches, and a tracer beside it if that is set."""
    if not settings.otel:
        yield observer
        return
    from comporta.observability.otel import RunTrace, open_tracer

    with open_tracer(__version__) as tracer:
        yield Watchers(observer, Traced(lambda attributes: RunTrace(tracer, attributes)))


@asynccontextmanager
async def _opened(settings: Settings, observer: Observer, meter: Meter) -> AsyncIterator[Workspace]:
    machine = SystemClock()
    database = open_database(settings, machine, meter=meter)
    clock = DatabaseClock(database, machine)
    store = open_store(database, settings)
    outside = outside_of(settings, database, clock)
    known = KnownAccounts(database, settings, outside)
    keys: LockKeys | None = None
    try:
        await _tidy(store, clock.now() - settings.retention, observer)
        settings = known.begin()
        keys = open_lock_keys(settings)
        workspace = Workspace(
            settings=settings,
            store=store,
            inbox=LedgerInbox(database),
            clock=clock,
            observer=observer,
            conduct=_conduct(settings),
            plans=known.plans,
            known=known,
            logins=outside.store,
            locks=_locks(keys, settings, clock),
        )
        workspace.reach = make_reach(settings, database, clock)
        workspace.is_renewing = outside.is_renewing
        rescuing = asyncio.ensure_future(rescue_forever(store, clock, settings.retention, observer))
        try:
            with _seldom_collecting():
                yield workspace
        finally:
            rescuing.cancel()
            with suppress(asyncio.CancelledError):
                await rescuing
    finally:
        await known.aclose()
        await outside.aclose()
        if keys is not None:
            await keys.aclose()
        await store.aclose()


async def _tidy(store: Store, before: datetime, observer: Observer) -> None:
    """End what died while nobody looked, and forget what is old."""
    await rescue(store, observer)
    await store.forget(before)


async def connect(
    settings: Settings, name: str, table: Mapping[str, object], *, api_key: str, clock: Clock | None = None
) -> Sequence[Finding]:
    """Try an account that was typed in; if all of it works, keep it, its key closed. Return what was found."""
    clock = clock or SystemClock()
    told = read_account(name, table, settings=settings, origin="what was typed in")
    if told.source != table["source"]:
        raise WrongUse(f"account {name} is one of {told.source} in the settings", next_step="Choose another name.")
    with closing(open_database(settings, clock)) as database:  # first: what cannot be kept is not tried
        outside = outside_of(settings, database, clock)
        source = make_source(told, settings, reveal=lambda _: api_key, outside=outside)
        try:
            findings = await source.check([StreamRequest(stream) for stream in kind_of(told).streams])
        finally:
            await source.aclose()
            await outside.aclose()
        if all(finding.ok for finding in findings):
            key = ledger_key(settings, create=True)

            def keep(session: Session) -> None:
                put_account(session, name, table)
                put_secret(session, key, secret_id=f"{name}/api_key", secret=api_key)

            await asyncio.wrap_future(database.write(keep))
    return findings


@contextmanager
def _seldom_collecting() -> Iterator[None]:
    """Look for cycles seldom: each page makes thousands of tuples, none of them in a cycle.

    At the usual threshold that search took a tenth of a full load's CPU.
    """
    before = gc.get_threshold()
    gc.freeze()  # what is imported by now stays
    gc.set_threshold(*COLLECTING)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def outside_of(settings: Settings, database: Database, clock: Clock) -> Outside:
    """Return the ways out that the sources of this process share."""
    budgets = SharedBudgets(open_budgets(settings, clock), clock)
    return Outside(
        clock,
        budgets,
        LateBudgets(budgets, lambda: _counted(database, settings)),
        Connections(),
        LedgerLogins(database, lambda may_make: ledger_key(settings, create=may_make)),
        _instance(),
    )


def open_lock_keys(settings: Settings) -> LockKeys | None:
    """Return the keys of older programs, ``None`` where no account has one; nothing is connected yet."""
    if not settings.has_legacy_locks:
        return None
    from comporta.guards.redis_keys import RedisKeys

    return RedisKeys(redis_address(settings))


async def look_at_locks(settings: Settings, clock: Clock) -> Sequence[Finding]:
    """Return who holds the keys of older programs, without opening the database; nothing where there are none."""
    try:
        keys = open_lock_keys(settings)
    except SettingsError as error:
        return [Finding(SUBJECT, ok=False, message=error.message, next_step=error.next_step)]
    locks = _locks(keys, settings, clock)
    if keys is None or locks is None:
        return ()
    named = [stream for told in settings.accounts.values() for stream in (told.stream(""), *told.streams.values())]
    try:
        return await locks.findings(key for stream in named if (key := legacy_key(stream)))
    finally:
        await keys.aclose()


def _locks(keys: LockKeys | None, settings: Settings, clock: Clock) -> LegacyLocks | None:
    if keys is None:
        return None
    return LegacyLocks(keys, clock=clock, ttl=settings.lease, without=Without(settings.legacy_lock_without_redis))


def _instance() -> str:
    """Return what other processes call this one."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _conduct(settings: Settings) -> Conduct:
    return Conduct(
        instance=_instance(),
        workers=settings.workers,
        lease=settings.lease,
        stall_timeout=settings.stall_timeout,
        margin=settings.margin,
        reconcile_every=settings.reconcile,
        rejected_share=settings.rejected_share,
        deleted_share=settings.deleted_share,
    )


class DatabaseClock:
    """This machine's clock, set to the database's: what is compared with the ledger goes by one clock."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def now(self) -> datetime:
        """Return the instant by the database's clock."""
        return self._database.now()

    def monotonic(self) -> float:
        """Return seconds that only grow."""
        return self._clock.monotonic()

    async def sleep(self, duration: timedelta) -> None:
        """Wait."""
        await self._clock.sleep(duration)


def _counted(database: Database, settings: Settings) -> dict[str, str]:
    """Return whom Mercado Livre counts, by account, as far as both the application and the seller are known."""
    sellers = {name: state.user_id for name, state in database.read(login_states).items() if state.user_id}
    if not sellers:
        return {}
    known: dict[str, str] = {}
    with suppress(SettingsError):
        key = ledger_key(settings, create=False)
        known = database.read(lambda session: get_secrets(session, key, ending="/client_id"))
    found: dict[str, str] = {}
    kept = database.read(stored_accounts)
    for name in sellers.keys() & {*kept, *settings.said}:
        with suppress(SettingsError):  # one that is not whole, or whose secret is not there, keeps no other waiting
            told = read_account(name, kept.get(name, {}), settings=settings, origin=f"the database {database.where}")
            reference = told.secrets["client_id"]
            is_stored = reference.kind == "stored"
            client = known.get(reference.name) if is_stored else reveal(reference, what=f"account {name}")
            found |= {name: counted(client, sellers[name])} if client else {}
    return found
