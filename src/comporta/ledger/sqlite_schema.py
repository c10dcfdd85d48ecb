"""The ledger's schema on SQLite: look first, migrate only when behind.

Looking costs one query. A database without a ledger gets the newest one from ``queries/sqlite_schema.sql``;
SQLAlchemy and Alembic are imported only to bring an older ledger up to date, because importing them takes
a third of a second and 35 MB, more than most runs.
"""

import sqlite3
from pathlib import Path

from comporta.ledger.schema import REVISIONS
from comporta.ledger.sqlite import explained


def revision_of(connection: sqlite3.Connection) -> str | None:
    """Return the schema's revision, ``None`` for a database without a ledger."""
    known = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'cmp_schema_version'"
    if connection.execute(known).fetchone() is None:
        return None
    row = connection.execute("SELECT version_num FROM cmp_schema_version").fetchone()
    return row[0] if row else None


def migrate(path: Path) -> None:
    """Bring the schema up to date, in one transaction that excludes every other writer.

    Two processes may start at once: the second finds the work done after it got the lock.
    """
    if not _made_new(path):
        migrate_stepwise(path)


def migrate_stepwise(path: Path) -> None:
    """Run the migrations that a ledger lacks, or all of them; ``migrate`` arrives at the same schema."""
    import sqlalchemy as sa
    from alembic import command
    from alembic.config import Config

    config = Config()
    # Alembic would take a per cent sign in the path for one of its own placeholders.
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)), poolclass=sa.NullPool)
    # The driver would open its own, deferred transactions, too late for DDL: ours is explicit.
    sa.event.listen(engine, "connect", lambda driver, _: _explicit(driver))
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except sa.exc.DBAPIError as error:
        if isinstance(error.orig, sqlite3.Error):
            raise explained(error.orig, path) from error
        raise
    finally:
        engine.dispose()


def _made_new(path: Path) -> bool:
    """Make the newest ledger where there is none, and say whether that was so."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        _explicit(connection)
        connection.execute("BEGIN IMMEDIATE")
        if revision_of(connection) is not None:
            return False
        text = Path(__file__).with_name("queries").joinpath("sqlite_schema.sql").read_text("utf-8")
        for statement in text.split(";\n\n"):
            connection.execute(statement)
        connection.execute("INSERT INTO cmp_schema_version VALUES (?)", (REVISIONS[-1],))
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise explained(error, path) from error
    finally:
        connection.close()  # which takes back what was not committed
    return True


def _explicit(connection: sqlite3.Connection) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA busy_timeout = 30000")
