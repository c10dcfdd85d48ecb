"""Which adapters a database's address stands for: the part of the composition root that knows databases.

What speaks to PostgreSQL is imported only where the settings name one: it takes longer to import than a
small sync on SQLite takes to run.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from comporta.coordination.pulse import SEEN_WITHIN
from comporta.core.fairness import for_people
from comporta.destinations.sqlite import SqliteDestination
from comporta.errors import DatabaseSealed
from comporta.ledger.budget_file import BudgetFile
from comporta.ledger.budget_log import SharedLog
from comporta.ledger.checkup import Checkup
from comporta.ledger.rows import instance_from
from comporta.ledger.schema import is_current
from comporta.ledger.seal import Seal, refusal
from comporta.ledger.secrets import master_key, parse_key
from comporta.ledger.session import Database
from comporta.ledger.sqlite import Pragmas, SqliteDatabase
from comporta.ledger.sqlite_refusals import refuse_unusable
from comporta.ledger.store import LedgerStore
from comporta.observability.meter import UNMEASURED, Meter
from comporta.ports.budget_log import BudgetLog
from comporta.ports.clock import Clock
from comporta.ports.destination import Destination
from comporta.ports.system_clock import SystemClock
from comporta.settings.reading import reveal
from comporta.settings.tree import Settings


def open_database(settings: Settings, clock: Clock, *, meter: Meter = UNMEASURED) -> Database:
    """Open the database, refusing what is unsafe or sealed, and bring its ledger up to date."""
    opened = _open_postgres if settings.is_postgres else _open_sqlite
    return opened(settings, clock, meter=meter)


def has_ledger(settings: Settings) -> bool:
    """Say whether there is anything to read yet, making nothing; what is unsafe is refused as at opening."""
    if settings.is_postgres:
        from comporta.ledger.postgres_address import Address
        from comporta.ledger.postgres_seal import look

        revision, _ = look(Address.parse(settings.database, settings.postgres.pooler))
        return revision is not None
    refuse_unusable(settings.sqlite_path)
    return settings.sqlite_path.exists() and examine(settings, is_thorough=False).revision is not None


def open_for_move(settings: Settings, clock: Clock) -> Database:
    """Open the database, sealed or not, for a move: alone it may write to a sealed one.

    What it commits is on the disk: the other copy is given up on the strength of that.
    """
    if settings.is_postgres:
        return _open_postgres(settings, clock, is_for_move=True)
    if settings.sqlite.synchronous == "normal":
        settings = replace(settings, sqlite=replace(settings.sqlite, synchronous="full"))
    return _open_sqlite(settings, clock, is_for_move=True)


def open_store(database: Database, settings: Settings) -> LedgerStore:
    """Return the store over an open database: the ledger's half and the destination's."""
    return LedgerStore(database, _destination(settings), ttl=settings.lease)


def open_budgets(settings: Settings, clock: Clock) -> BudgetLog:
    """Return the log of the budgets that all processes on this database share; it is opened when it is needed."""
    if settings.is_postgres:
        from comporta.ledger.budget_table import BudgetTable
        from comporta.ledger.postgres_address import Address

        address = Address.parse(settings.database, settings.postgres.pooler)
        return SharedLog(lambda: BudgetTable(address), clock)
    return SharedLog(lambda: BudgetFile(settings.sqlite_path, clock), clock)


def examine(settings: Settings, *, is_thorough: bool) -> Checkup:
    """Look at the database, changing nothing."""
    if settings.is_postgres:
        from comporta.ledger import postgres_checkup
        from comporta.ledger.postgres_address import Address

        told = settings.postgres
        at_once = settings.workers + for_people(settings.workers)
        wanted = postgres_checkup.Wanted(settings.schema, told.pool_size, at_once)
        return postgres_checkup.examine(Address.parse(settings.database, told.pooler), wanted)
    from comporta.ledger import sqlite_checkup

    refuse_unusable(settings.sqlite_path)
    return sqlite_checkup.examine(settings.sqlite_path, pragmas(settings), is_thorough=is_thorough)


def ledger_key(settings: Settings, *, create: bool) -> bytes:
    """Return the key that the database's secrets are closed with."""
    reference = settings.master_key
    if reference.kind == "file":
        return master_key(Path(reference.name), create=create)
    return parse_key(reveal(reference, what="master_key"), where="master_key")


def living_servers(settings: Settings) -> list[str]:
    """Return which processes stay at work on the database: each knows the settings as they were when it began."""
    with closing(open_database(settings, SystemClock())) as database:
        seen = database.read(lambda session: [instance_from(row) for row in session.all("instances", {})])
        return [each.instance for each in seen if not each.ended_at and database.now() - each.seen_at < SEEN_WITHIN]


def accounts_in(settings: Settings) -> set[str]:
    """Return the accounts that a database has anything of: those that ever ran, and those that `connect` keeps."""
    if not has_ledger(settings):
        return set()
    with closing(open_database(settings, SystemClock())) as database:
        scopes = database.read(lambda session: [str(row["scope"]) for row in session.all("leases", {})])
        kept = database.read(lambda session: [str(row["name"]) for row in session.all("accounts", {})])
    return {*kept, *(scope.partition("/")[0] for scope in scopes)}


def first_rows(
    settings: Settings, view: str, columns: Sequence[str], *, order: str, limit: int
) -> list[tuple[object, ...]]:
    """Return a few rows of one of our views, for a person to look at."""
    place = f'"{settings.schema}".{view}' if settings.is_postgres else view
    query = f"SELECT {', '.join(columns)} FROM {place} ORDER BY {order} LIMIT {limit:d}"  # noqa: S608  our own names
    with closing(open_database(settings, SystemClock())) as database:
        found: list[tuple[object, ...]] = database.read(lambda session: session.connection.execute(query).fetchall())
        return found


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


def _destination(settings: Settings) -> Destination:
    if not settings.is_postgres:
        return SqliteDestination()
    from comporta.destinations.postgres import PostgresDestination

    return PostgresDestination(settings.schema)


def _open_sqlite(settings: Settings, clock: Clock, *, is_for_move: bool = False, meter: Meter = UNMEASURED) -> Database:
    from comporta.ledger.sqlite_schema import migrate, revision_of
    from comporta.ledger.sqlite_seal import seal_of

    path = settings.sqlite_path
    refuse_unusable(path)
    database = SqliteDatabase(path, pragmas(settings), clock, meter=meter)
    try:
        revision, seal = database.read(lambda session: (revision_of(session.connection), seal_of(session.connection)))
        if _is_behind(revision, seal, database.where, is_for_move=is_for_move):
            migrate(path)
    except BaseException:
        database.close()
        raise
    return database


def _open_postgres(
    settings: Settings, clock: Clock, *, is_for_move: bool = False, meter: Meter = UNMEASURED
) -> Database:
    from comporta.ledger.postgres import PoolLimits, PostgresDatabase
    from comporta.ledger.postgres_address import Address
    from comporta.ledger.postgres_schema import connect, migrate
    from comporta.ledger.postgres_seal import look

    told = settings.postgres
    address = Address.parse(settings.database, told.pooler)
    if _is_behind(*look(address), address.shown, is_for_move=is_for_move):
        with closing(connect(address)) as connection:
            migrate(connection, address)
    limits = PoolLimits(told.pool_size, told.pool_wait, told.pool_recycle)
    local = {"synchronous_commit": "on"} if is_for_move else {}
    return PostgresDatabase(address, limits, clock, local=lambda: local, meter=meter)


def _is_behind(revision: str | None, seal: Seal | None, where: str, *, is_for_move: bool) -> bool:
    """Say whether the ledger must be migrated; refuse one that is sealed, but for a move that knows its schema."""
    if seal is not None and not is_for_move:
        raise refusal(seal, where)
    is_behind = not is_current(revision, where)
    if seal is not None and is_behind:
        message = f"{where}: {seal.words}, by another version of Comporta: its ledger has schema {revision!r}"
        raise DatabaseSealed(message, next_step="Finish or abandon the move with the version that began it.")
    return is_behind
