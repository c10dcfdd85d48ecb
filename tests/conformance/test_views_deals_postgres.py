"""What only PostgreSQL can get wrong about the views over deals: what others build on them, types, two at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from tests.conformance.tables_postgres import PostgresTables, open_connection
from tests.conformance.test_views_deals import DATA, DEALS, META, ROWS, custom, define, fill
from tests.servers.builds import each_postgres

from comporta.core.record import Column, ColumnType
from comporta.destinations.postgres import PostgresDestination
from comporta.ports.store import Batch

pytestmark = [each_postgres, pytest.mark.full]

STAYS = (
    "view deals_crm stays as it was, without the latest custom fields: view mirror.mine depends on view"
    " mirror.deals_crm; drop what depends on it, and the next run makes it again"
)


@pytest.fixture
def tables(postgres_tables: PostgresTables) -> PostgresTables:
    """Return a database with deals, definitions and values of one account."""
    for shape in (DEALS, META, DATA):
        postgres_tables.prepare(shape)
    postgres_tables.write(Batch(DEALS, ROWS[DEALS]), account="crm")
    define(postgres_tables, (1, "Origem", "text"), (2, "Meta", "number"))
    fill(postgres_tables, (46, 1, "Site"), (46, 2, "7.5"))
    return postgres_tables


def test_the_columns_are_of_postgresqls_own_types(tables: PostgresTables) -> None:
    """So that people compute with them."""
    kinds = ["text", "number", "currency", "date", "datetime", "checkbox"]
    define(tables, *((number, f"a {kind}", kind) for number, kind in enumerate(kinds, 1)))
    columns = tables.columns("deals_crm")

    assert [columns[f"a_{kind}"] for kind in kinds] == [
        "text", "numeric", "bigint", "date", "timestamp with time zone", "text",
    ]  # fmt: skip


def test_what_others_built_stays_when_a_field_comes(tables: PostgresTables) -> None:
    """A new field is a column at the end, whatever place it has in the form."""
    tables.by_hand("CREATE VIEW mine AS SELECT * FROM deals_crm")
    told = define(tables, (3, "Acima", "text"))

    assert [each.message for each in told.log] == ["view deals_crm made again"]
    assert custom(tables) == ["origem", "meta", "acima"]


def test_a_view_that_somebody_built_on_stays_as_it_was_and_the_log_says_so(tables: PostgresTables) -> None:
    """The rows are written, nothing fails; once the other is gone, ours follows."""
    tables.by_hand("CREATE VIEW mine AS SELECT origem FROM deals_crm")
    told = [define(tables, (1, "Canal", "text")) for _ in range(2)]
    kept = custom(tables)
    tables.by_hand("DROP VIEW mine")
    after = define(tables, (1, "Canal", "text"))

    assert [written.counts.updated for written in told] == [1, 0]
    assert [[each.level for each in written.log] for written in (*told, after)] == [["warning"], ["warning"], ["info"]]
    assert (told[1].log[0].step, told[1].log[0].message) == ("schema_changed", STAYS)
    assert (kept, custom(tables)) == (["origem", "meta"], ["canal", "meta"])


def test_grants_survive_a_view_that_is_dropped_and_made(tables: PostgresTables) -> None:
    """Who may read the deals may go on reading them after a field was renamed."""
    tables.by_hand('CREATE ROLE "Reader of deals"')
    try:
        tables.by_hand('GRANT SELECT ON deals_crm TO "Reader of deals" WITH GRANT OPTION')
        tables.by_hand("GRANT SELECT ON deals_crm TO PUBLIC")
        define(tables, (1, "Canal", "number"))
        found = tables.query(
            "SELECT grantee, privilege_type, is_grantable FROM information_schema.role_table_grants"
            " WHERE table_name = 'deals_crm' AND grantee <> 'postgres' ORDER BY grantee"
        )
    finally:
        tables.by_hand('DROP OWNED BY "Reader of deals"; DROP ROLE "Reader of deals"')

    assert custom(tables) == ["canal", "meta"]
    assert [tuple(row.values()) for row in found] == [("PUBLIC", "SELECT", "NO"), ("Reader of deals", "SELECT", "YES")]


def test_two_processes_define_fields_at_once(tables: PostgresTables) -> None:
    """Of two accounts, thirty times, while one of them also makes the tables fit: nobody is told to give up."""
    gate = threading.Barrier(2)

    def process(account: str) -> None:
        own = PostgresDestination(tables.schema)
        with open_connection(tables.url) as connection:
            for turn in range(30):
                gate.wait(timeout=5)
                batch = Batch(META, [(1, f"{account} {turn}", "number" if turn % 2 else "text", 1)])
                connection.execute("BEGIN")
                own.write(connection, account, batch, run="r", now="2026-03-01T08:00:00.000000Z")
                connection.execute("COMMIT")
                connection.execute("BEGIN")
                own.prepare(connection, META)
                connection.execute("COMMIT")

    with ThreadPoolExecutor(2) as pool:
        for each in [pool.submit(process, account) for account in ("crm", "other")]:
            each.result()

    assert (custom(tables)[0], custom(tables, "deals_other")) == ("crm_29", ["other_29"])


def test_fields_are_defined_while_another_process_gives_their_table_a_column(tables: PostgresTables) -> None:
    """Who makes a column waits for who writes rows; so who writes these rows must not wait for who makes columns."""
    gate = threading.Barrier(2)
    turns = 40

    def define_fields() -> None:
        own = PostgresDestination(tables.schema)
        with open_connection(tables.url) as connection:
            for turn in range(turns):
                batch = Batch(META, [(number, f"field {turn}", "text", turn) for number in range(300)])
                gate.wait(timeout=5)
                connection.execute("BEGIN")
                own.write(connection, "crm", batch, run="r", now="2026-03-01T08:00:00.000000Z")
                connection.execute("COMMIT")

    def make_columns() -> None:
        own = PostgresDestination(tables.schema)
        with open_connection(tables.url) as connection:
            for turn in range(turns):
                new = Column(f"more_{turn}", ColumnType.TEXT, f"more_{turn}")
                gate.wait(timeout=5)
                connection.execute("BEGIN")
                own.prepare(connection, replace(META, columns=(*META.columns, new)))
                connection.execute("COMMIT")

    with ThreadPoolExecutor(2) as pool:
        for each in [pool.submit(define_fields), pool.submit(make_columns)]:
            each.result()

    assert len(tables.columns(META.table)) == turns + 10
