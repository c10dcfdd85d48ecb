"""The ledger on PostgreSQL: made in one step, the same as the migrations arrive at, seen by nobody else."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from comporta.errors import ComportaError, NewerSchema
from comporta.ledger.postgres_address import Address
from comporta.ledger.postgres_schema import connect, migrate, migrate_stepwise, revision_of
from comporta.ledger.schema import REVISIONS, is_current
from comporta.ledger.statements import statements

if TYPE_CHECKING:
    import psycopg

OBJECTS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE n.nspname = 'comporta' AND a.attnum > 0 AND c.relkind = 'r' ORDER BY 1, a.attnum
"""
RULES = """
SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'comporta'::regnamespace
UNION ALL SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'comporta'
UNION ALL SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'comporta'::regnamespace ORDER BY 1, 2
"""


class Anything(dict[str, object]):
    """Parameters for any statement."""

    def __missing__(self, name: str) -> None:
        return None


def _migrate(address: Address) -> None:
    with connected(address) as connection:
        migrate(connection, address)


WAYS = [_migrate, migrate_stepwise]


@contextmanager
def connected(address: Address) -> Iterator["psycopg.Connection[Any]"]:
    """Connect for a while."""
    with closing(connect(address)) as connection:
        yield connection


def schema_of(address: Address) -> list[Any]:
    """Return every column, constraint, index and function of the ledger."""
    with connected(address) as connection:
        return [*connection.execute(OBJECTS).fetchall(), *connection.execute(RULES).fetchall()]


@pytest.mark.full
def test_one_step_arrives_where_the_migrations_do(postgres_clone: Callable[[str], str]) -> None:
    """Otherwise a new user and an old one would have different ledgers."""
    made = [Address.parse(postgres_clone("template0")) for _ in WAYS]
    for way, address in zip(WAYS, made, strict=True):
        way(address)

    new, old = (schema_of(address) for address in made)

    assert new == old
    assert len(new) > 100
    for address in made:
        with connected(address) as connection:
            assert revision_of(connection) == REVISIONS[-1]


@pytest.mark.full
def test_every_statement_fits_the_schema(postgres_url: str) -> None:
    """Each table and column that a statement names is there; the names are SQLite's."""
    address = Address.parse(postgres_url)
    _migrate(address)
    refused = {}
    with connected(address) as connection:
        for name, statement in statements("postgres").items():
            try:
                connection.execute(f"EXPLAIN {statement}".encode(), Anything())
            except Exception as error:  # noqa: BLE001  whatever it is, it is shown with the statement's name
                refused[name] = str(error)

    assert refused == {}
    assert statements("postgres").keys() == statements("sqlite").keys()


@pytest.mark.full
@pytest.mark.parametrize("way", WAYS, ids=["one step", "migrations"])
def test_processes_that_migrate_at_once_make_one_ledger(postgres_url: str, way: Callable[[Address], None]) -> None:
    """The second waits for the first and finds the work done."""
    address = Address.parse(postgres_url)
    together = threading.Barrier(4)
    went_wrong: list[BaseException] = []

    def begin() -> None:
        together.wait()
        try:
            way(address)
        except BaseException as error:  # noqa: BLE001  told by the test
            went_wrong.append(error)

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert went_wrong == []
    with connected(address) as connection:
        assert is_current(revision_of(connection), address.shown)


def test_a_newer_ledger_is_refused_and_left_as_it_is(postgres_url: str) -> None:
    """This version does not know what the newer one promised."""
    address = Address.parse(postgres_url)
    _migrate(address)
    with connected(address) as connection:
        connection.execute("UPDATE comporta.cmp_schema_version SET version_num = '9999'")

        with pytest.raises(NewerSchema, match="'9999'"):
            is_current(revision_of(connection), address.shown)


@pytest.mark.full
def test_nobody_else_sees_the_ledger(postgres_url: str) -> None:
    """The roles of a managed server's Data API have no right on the schema, whatever they have elsewhere."""
    address = Address.parse(postgres_url)
    _migrate(address)
    with connected(address) as connection:
        connection.execute("CREATE ROLE comporta_test_anon")
        try:
            row = connection.execute(
                "SELECT has_schema_privilege('comporta_test_anon', 'comporta', 'USAGE'),"
                " has_table_privilege('comporta_test_anon', 'comporta.cmp_secret', 'SELECT')"
            ).fetchone()
        finally:
            connection.execute("DROP ROLE comporta_test_anon")

    assert row == (False, False)


@pytest.mark.full
def test_a_user_who_may_make_nothing_is_told_what_to_grant(
    postgres_url: str,
) -> None:
    """And nothing half is left."""
    address = Address.parse(postgres_url)
    with connected(address) as connection:
        connection.execute("CREATE ROLE comporta_test_guest LOGIN")
        try:
            guest = Address.parse(postgres_url.replace("//postgres@", "//comporta_test_guest@"))
            with pytest.raises(ComportaError) as refused:
                _migrate(guest)
            left = connection.execute("SELECT to_regnamespace('comporta')").fetchone()
        finally:
            connection.execute("DROP ROLE comporta_test_guest")

    assert "GRANT CREATE ON DATABASE" in refused.value.next_step
    assert left == (None,)
