"""What only PostgreSQL can get wrong about rows: rules of the user's, values it cannot hold, writing for nothing."""

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from tests.conformance.tables import THINGS, thing
from tests.conformance.tables_postgres import PostgresTables, write_as

from comporta.core.counts import Counts
from comporta.core.record import Column, ColumnType, Lookup, Row
from comporta.destinations.postgres_tables import fitting
from comporta.ports.store import Batch

if TYPE_CHECKING:
    from tests.servers.postgres import OwnPostgres

OLD, NEW = "2026-03-01T07:00:00.000000Z", "2026-03-01T08:00:00.000000Z"


@pytest.fixture
def tables(postgres_tables: PostgresTables) -> PostgresTables:
    """Return a fresh database with the table of THINGS."""
    postgres_tables.prepare()
    return postgres_tables


@pytest.mark.full
def test_a_batch_that_changes_nothing_writes_no_log(chaos_postgres: "OwnPostgres") -> None:
    """Not one byte, on a server where nobody else is: neither rows nor catalogue nor pages."""
    tables = PostgresTables(chaos_postgres.url())
    batch = Batch(
        THINGS, [thing(key) for key in range(1_000)], lookups=[Lookup(replace(THINGS, stream="n"), [thing(1)])]
    )
    tables.prepare()
    tables.write(batch)
    # Reading may still tidy pages and note who committed: once, and not because of us.
    tables.by_hand("VACUUM (FREEZE)")
    tables.write(batch)

    def written() -> Any:  # noqa: ANN401  a position in the log
        tables.by_hand("CHECKPOINT")
        before = tables.query("SELECT pg_current_wal_insert_lsn() AS at")[0]["at"]
        counts = tables.write(batch).counts
        after = tables.query("SELECT pg_current_wal_insert_lsn() AS at")[0]["at"]
        return counts, before == after

    # A checkpoint or the background writer may come between; they would have to do so each time.
    found = [written() for _ in range(5)]
    tables.close()

    assert (Counts(read=1_000, unchanged=1_000), True) in found


def test_a_row_that_a_check_refuses_among_a_thousand_waits_alone(tables: PostgresTables) -> None:
    """Found by halves; the reason is the server's own words, in plain ASCII whatever they quote."""
    tables.by_hand("ALTER TABLE shop_thing ADD CONSTRAINT \"não\" CHECK (name <> 'bad')")
    rows = [thing(key, name="bad" if key == 500 else "x") for key in range(1_000)]
    fresh = tables.write(Batch(THINGS, rows))
    again = tables.write(
        Batch(THINGS, [thing(key, name="bad" if key == 700 else "y", stamp=NEW) for key in range(1_000)])
    )

    assert fresh.counts == Counts(read=1_000, inserted=999, rejected=1)
    assert again.counts == Counts(read=1_000, inserted=1, updated=998, rejected=1)
    assert [each.key for each in (*fresh.rejected, *again.rejected)] == ["500", "700"]
    assert "CheckViolation: new row" in fresh.rejected[0].reason
    assert "n\\xe3o" in fresh.rejected[0].reason


NUL: dict[str, tuple[Row, str | None]] = {
    "text": ((2, NEW, "a\0b", None), None),
    "JSON": ((2, NEW, None, '{"a":"b\\u0000"}'), None),
    "what no column holds": ((2, NEW, None, None), '["\\\\\\u0000"]'),
}


@pytest.mark.parametrize("where", NUL)
def test_a_nul_character_waits_with_a_reason_that_says_so(tables: PostgresTables, where: str) -> None:
    """PostgreSQL has no place for it; an escaped backslash before u0000 is none. A dry run says the same."""
    shape = replace(THINGS, columns=(*THINGS.columns[:3], Column("about", ColumnType.JSON, "about")))
    row, extra = NUL[where]
    rows: list[Row] = [(1, NEW, "\\u0000", '"\\\\u0000"'), row, (3, NEW, "x", "null")]
    tables.prepare(shape)
    batch = Batch(shape, rows, {1: extra} if extra else {})
    foreseen, _ = tables.destination.preview(tables.connection, "a", batch)
    written = tables.write(batch)
    (refused,) = written.rejected

    assert written.counts == foreseen == Counts(read=3, inserted=2, rejected=1)
    assert refused.key == "2"
    assert "has a NUL character in it (\\u0000), which PostgreSQL cannot store" in refused.reason


def test_numbers_are_stored_to_the_last_digit(tables: PostgresTables) -> None:
    """As Python writes them, not as fifteen digits of a double; a dry run sees no difference."""
    numbers = [
        0.1 + 0.2,
        1e22,
        1e23,
        1e-7,
        123456789.123456789,
        2**63 - 1,
        -(2**63),
        5e-324,
        1.7976931348623157e308,
        100.0,
    ]
    for name in ("new", "x"):
        tables.write(Batch(THINGS, [thing(key, price=number, name=name) for key, number in enumerate(numbers)]))
    stored = tables.user.execute("SELECT price FROM shop_thing ORDER BY id").fetchall()
    renamed = [thing(key, price=number, name="y") for key, number in enumerate(numbers)]
    _, changes = tables.destination.preview(tables.connection, "a", Batch(THINGS, renamed))

    assert [row["price"] for row in stored] == [Decimal(repr(number)) for number in numbers]
    assert [each.fields for each in changes] == [{"name": ("x", "y")}] * len(numbers)


def test_a_dry_run_compares_json_by_what_it_says(tables: PostgresTables) -> None:
    """PostgreSQL keeps neither the order of names nor blanks; a change elsewhere shows no other field."""
    shape = replace(THINGS, columns=(*THINGS.columns[:3], Column("about", ColumnType.JSON, "about")))
    tables.prepare(shape)
    about = '{"long name":1,"b":[1,2.50,null],"a":{"z":"é","y":true}}'
    tables.write(Batch(shape, [(1, OLD, "x", about), (2, OLD, "x", about)]))
    _, (renamed, altered) = tables.destination.preview(
        tables.connection, "a", Batch(shape, [(1, NEW, "y", about), (2, OLD, "x", '{"b":1}')])
    )

    assert renamed.fields == {"write_date": (OLD, NEW), "name": ("x", "y")}
    assert altered.fields == {"about": ('{"a":{"y":true,"z":"é"},"b":[1,2.5,null],"long name":1}', '{"b":1}')}


@pytest.mark.parametrize("code", ["P0001", "45000", "U0042", "22012"])
def test_a_trigger_refuses_with_whatever_code_it_likes(tables: PostgresTables, code: str) -> None:
    """Its words are the reason."""
    body = f"RAISE EXCEPTION 'not on my watch' USING ERRCODE = '{code}'"
    tables.by_hand(f"CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; END $$")
    tables.by_hand(
        "CREATE TRIGGER guard BEFORE INSERT ON shop_thing FOR EACH ROW WHEN (NEW.id = 2) EXECUTE FUNCTION guard()"
    )
    written = tables.write(Batch(THINGS, [thing(1), thing(2), thing(3)]))

    assert written.counts == Counts(read=3, inserted=2, rejected=1)
    assert written.rejected[0].reason.endswith("not on my watch")


def test_new_rows_that_a_trigger_swallows_wait(tables: PostgresTables) -> None:
    """In a batch of nothing but new ones, too."""
    tables.swallow("shop_thing", "NEW.name = 'swallowed'")
    written = tables.write(Batch(THINGS, [thing(1), thing(2, name="swallowed"), thing(3)]))

    assert written.counts == Counts(read=3, inserted=2, rejected=1)
    assert [each.key for each in written.rejected] == ["2"]


@pytest.mark.full
def test_rows_are_written_where_row_security_lets_them_in(tables: PostgresTables) -> None:
    """COPY refuses such tables to all but their owners; INSERT does not."""
    tables.by_hand("ALTER TABLE shop_thing ENABLE ROW LEVEL SECURITY")
    tables.by_hand("CREATE POLICY everybody ON shop_thing USING (true)")
    tables.by_hand("CREATE ROLE clerk_of_rows")
    tables.by_hand("GRANT USAGE ON SCHEMA mirror TO clerk_of_rows; GRANT ALL ON shop_thing TO clerk_of_rows")
    try:
        tables.connection.execute("SET ROLE clerk_of_rows")
        written = tables.write(Batch(THINGS, [thing(1), thing(2)]))
    finally:
        tables.connection.close()
        tables.by_hand("DROP OWNED BY clerk_of_rows; DROP ROLE clerk_of_rows")

    assert written.counts == Counts(read=2, inserted=2)


@pytest.mark.parametrize(
    ("hurt", "error"),
    [
        ("SET default_transaction_read_only = on", psycopg.errors.ReadOnlySqlTransaction),
        ("SET statement_timeout = '50ms'", psycopg.errors.QueryCanceled),
        ("SET lock_timeout = '50ms'", psycopg.errors.LockNotAvailable),
    ],
)
@pytest.mark.full
def test_what_is_wrong_with_the_database_is_no_fault_of_a_row(
    tables: PostgresTables, hurt: str, error: type[Exception]
) -> None:
    """It ends the batch, with the driver's own error; nobody goes to look for a guilty row."""
    tables.write(Batch(THINGS, [thing(1)]))
    tables.by_hand("BEGIN; LOCK TABLE shop_thing IN SHARE MODE")
    tables.connection.execute(hurt.encode())

    with pytest.raises(error):
        tables.write(Batch(THINGS, [thing(1, name="y", stamp=NEW), thing(2)]))


@pytest.mark.full
def test_a_batch_goes_through_a_pooler(postgres_tables: PostgresTables, pgbouncer_url: str) -> None:
    """Each transaction may get another server: nothing is expected of the one before."""
    tables = postgres_tables
    clients = [psycopg.connect(pgbouncer_url, autocommit=True, prepare_threshold=None) for _ in range(3)]
    tables.connection.execute("BEGIN")
    tables.destination.prepare(tables.connection, THINGS)
    tables.connection.execute("COMMIT")
    counts = [
        write_as(
            tables,
            client,
            Batch(THINGS, [thing(key + shift, stamp=f"2026-03-01T08:00:{turn:02}.000000Z") for key in range(200)]),
        )
        for turn in range(6)
        for shift, client in enumerate(clients)
    ]
    for client in clients:
        client.close()

    assert sum(each.counts.inserted for each in counts) == 202
    assert all(each.counts.is_balanced for each in counts)


@pytest.mark.full
@pytest.mark.parametrize("account", ["it's", 'a"b', "50%s $1", "ação/ü", "{1,2}", "\\N", ""])
def test_an_account_may_have_any_name(tables: PostgresTables, account: str) -> None:
    """It is a value like others."""
    tables.write(Batch(THINGS, [thing(1), thing(2)]), account=account)
    again = tables.write(Batch(THINGS, [thing(1), thing(2, name="y")], deleted=[1]), account=account)

    assert again.counts == Counts(read=2, updated=1, unchanged=1, deleted=1)
    assert {at for at, _ in tables.rows()} == {account}


def test_an_empty_batch_does_nothing(postgres_tables: PostgresTables) -> None:
    """Not even a table."""
    assert postgres_tables.write(Batch(THINGS)).counts == Counts()
    assert postgres_tables.columns(THINGS.table) == {}


@pytest.mark.parametrize("name", ["x" * 63, "é" * 31 + "x"])
def test_a_name_that_fits_is_left_alone(name: str) -> None:
    """PostgreSQL counts bytes."""
    assert fitting(name) == name


@pytest.mark.parametrize("name", ["x" * 64, "é" * 32, "é" * 400])
def test_a_name_that_does_not_fit_ends_in_a_hash_of_all_of_it(name: str) -> None:
    """Two that differ in their last letter stay two; no letter is cut in the middle."""
    assert 60 <= len(fitting(name).encode()) <= 63
    assert fitting(name) != fitting(name + "x")
    assert name.startswith(fitting(name).rpartition("_")[0])
