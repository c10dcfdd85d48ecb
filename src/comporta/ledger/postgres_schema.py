"""The ledger's schema on PostgreSQL, in a schema of its own: ``comporta``.

No right on it is given to anybody, and it is not in the ``public`` schema, so a managed server's Data API
(Supabase's, for one) does not see it. A new database gets the newest ledger from
``queries/postgres_schema.sql``; Alembic is imported only for an older one.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from comporta.errors_postgres import EncodingUnfit
from comporta.ledger.postgres_address import Address, let_the_server_notice
from comporta.ledger.postgres_errors import explained
from comporta.ledger.schema import REVISIONS

MIGRATING = 0x636D705F6D696772
"""Key of the advisory lock, of this transaction only, that lets one process migrate at a time."""
SCHEMA = "DO $$ BEGIN IF to_regnamespace('comporta') IS NULL THEN CREATE SCHEMA comporta; END IF; END $$"
"""IF NOT EXISTS would need the right to make schemas where somebody who has it made this one for us."""
FOUNDATION = (
    SCHEMA,
    # A function, so that tests can put another clock in its place; the planner puts its body in the statement.
    "CREATE FUNCTION comporta.cmp_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT clock_timestamp()'",
)
LOCALS: Mapping[str, str] = {
    # A process stopped between its fence and its COMMIT would hold the row of its scope for ever.
    "idle_in_transaction_session_timeout": "10s",
    # Longer than the former, so that whoever waits for such a process gets the row.
    "lock_timeout": "15s",
    # Below the two minutes that managed servers allow; bounds a COPY, during which the first does not fire.
    "statement_timeout": "100s",
    "client_encoding": "UTF8",
    "DateStyle": "ISO",
    "TimeZone": "UTC",
}
_SEARCH_PATH = "pg_catalog.concat_ws(', ', 'pg_catalog', nullif(pg_catalog.current_setting('search_path'), ''))"
Connection = psycopg.Connection[Any]


def connect(address: Address) -> Connection:
    """Return a connection of its own, and the true reason when there is none: a pool only says that it waited."""
    try:
        connection = psycopg.connect(**address.conninfo(), autocommit=True, prepare_threshold=None)
        let_the_server_notice(connection)
        return connection
    except psycopg.Error as error:
        raise explained(error, address) from error


def settings_text(local: Mapping[str, str] = LOCALS) -> str:
    """Return the statements that set up a transaction, whatever the server, the database or the role is set to.

    Functions and operators of the system come before those of the same name that somebody made.
    """
    settings = "".join(f"SET LOCAL {name} = '{value}'; " for name, value in local.items())
    return f"{settings}SELECT pg_catalog.set_config('search_path', {_SEARCH_PATH}, true)"


def settings_query(local: Mapping[str, str]) -> str:
    """Return a query that does the same; the instant, as the server's clock says it, is the last that it answers."""
    values = {**{name: f"'{value}'" for name, value in local.items()}, "search_path": _SEARCH_PATH}
    settings = (f"pg_catalog.set_config('{name}', {value}, true)" for name, value in values.items())
    return f"SELECT {', '.join(settings)}, comporta.cmp_now()"


@contextmanager
def looking(connection: Connection) -> Iterator[None]:
    """Look around in a transaction of a connection of its own, set up as every other."""
    with connection.transaction():
        connection.execute(settings_text().encode())
        yield


def revision_of(connection: Connection) -> str | None:
    """Return the schema's revision, ``None`` for a database without a ledger."""
    known = connection.execute("SELECT to_regclass('comporta.cmp_schema_version')").fetchone()
    if known is None or known[0] is None:
        return None
    row = connection.execute("SELECT version_num FROM comporta.cmp_schema_version").fetchone()
    return row[0] if row else None


def migrate(connection: Connection, address: Address) -> None:
    """Bring the schema up to date, in one transaction; a second process waits and finds the work done."""
    if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
        raise EncodingUnfit(f"{address.shown}: the database has no encoding (SQL_ASCII): its letters are only bytes")
    try:
        with looking(connection):
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATING,))
            revision = revision_of(connection)
            if revision is None:
                _make_new(connection)
        if revision is not None and revision != REVISIONS[-1]:
            migrate_stepwise(address)
    except psycopg.Error as error:
        raise explained(error, address) from error


def migrate_stepwise(address: Address) -> None:
    """Run the migrations that a ledger lacks, or all of them; ``migrate`` arrives at the same schema."""
    import sqlalchemy as sa
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    engine = sa.create_engine("postgresql+psycopg://", creator=lambda: _plain(address), poolclass=sa.NullPool)
    try:
        with engine.begin() as connection:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATING})
            if connection.execute(sa.text("SELECT to_regproc('comporta.cmp_now')")).scalar() is None:
                for statement in FOUNDATION:
                    connection.execute(sa.text(statement))
            connection.execute(sa.text("SET LOCAL search_path = comporta"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def _make_new(connection: Connection) -> None:
    text = Path(__file__).with_name("queries").joinpath("postgres_schema.sql").read_text("utf-8")
    for statement in (*FOUNDATION, *text.split(";\n\n")):
        connection.execute(statement.encode())
    connection.execute("INSERT INTO comporta.cmp_schema_version VALUES (%s)", (REVISIONS[-1],))


def _plain(address: Address) -> Connection:
    return psycopg.connect(**address.conninfo(), prepare_threshold=None)
