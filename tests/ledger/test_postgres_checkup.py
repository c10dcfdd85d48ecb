"""What a look at a PostgreSQL database tells: for `comporta doctor`, on real servers that are as they should not be."""

from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from tests.ledger.provoked import as_role, role
from tests.servers.builds import each_postgres

from comporta.ledger.checkup import Checkup
from comporta.ledger.postgres_address import Address
from comporta.ledger.postgres_checkup import Wanted, examine
from comporta.ledger.schema import REVISIONS

if TYPE_CHECKING:
    from tests.servers.guarded import GuardedPostgres
    from tests.servers.postgres import PostgresServer

WANTED = Wanted("mirror", pool_size=15, workers=10)


def looked(url: str, wanted: Wanted = WANTED) -> Checkup:
    """Look at a database."""
    return examine(Address.parse(url), wanted)


def by_hand(url: str, *statements: str) -> None:
    """Do something to a database as its owner."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def database_named(url: str) -> str:
    """Return the name of the database of a URL."""
    return url.rpartition("/")[2]


@each_postgres
def test_a_new_database_has_nothing_wrong(postgres_url: str) -> None:
    """What a person asks for first, in that order; no ledger yet is no problem."""
    seen = looked(postgres_url)
    facts: dict[str, Any] = dict(seen.facts)

    assert (seen.exists, seen.revision, seen.problems) == (True, None, ())
    assert list(facts)[:3] == ["postgresql", "database_mb", "encoding"]
    assert 1 < facts.pop("database_mb") < 100
    assert int(facts.pop("postgresql").partition(".")[0]) >= 15
    assert facts.pop("connections").endswith("of 100; 100 for postgres")
    assert facts == {
        "encoding": "UTF8",
        "read_only": False,
        "through_pooler": False,
        "pool_size": "15 for 10 runs at once",
        "tls": False,
        "sslmode": "prefer",
        "data_api_schemas": "none known",
    }


def test_a_ledger_is_known_by_its_revision(ledger_url: str) -> None:
    """And looking at it makes nothing."""
    seen = looked(ledger_url)

    assert seen.revision == REVISIONS[-1]
    assert seen.problems == ()


def test_a_pooler_is_seen(pgbouncer_url: str) -> None:
    """How many connections the server lets us have is then the pooler's affair."""
    seen = looked(pgbouncer_url, Wanted("mirror", pool_size=1_000, workers=2_000))

    assert seen.facts["through_pooler"] is True
    assert seen.facts["pool_size"] == "1000 for 2000 runs at once, which take turns"
    assert seen.problems == ()


def test_encryption_is_seen(guarded_postgres: "GuardedPostgres") -> None:
    """What the connection has, and what was asked for."""
    url = guarded_postgres.url(sslmode="verify-full", sslrootcert=str(guarded_postgres.authority))
    facts = looked(url).facts

    assert (facts["tls"], facts["sslmode"]) == (True, "verify-full")


def test_a_pool_that_the_server_would_not_let_in_is_a_problem(
    postgres_url: str, postgres_server: "PostgresServer"
) -> None:
    """The user's own limit counts, and what is reserved for others."""
    with role(postgres_server, "LOGIN CONNECTION LIMIT 4") as few, role(postgres_server, "LOGIN") as many:
        grant = f"GRANT CREATE ON DATABASE {database_named(postgres_url)} TO {few}, {many}"
        by_hand(postgres_url, grant)
        tight, wide = looked(as_role(postgres_url, few)), looked(as_role(postgres_url, many))
        by_hand(postgres_url, grant.replace("GRANT", "REVOKE").replace(" TO ", " FROM "))

    assert tight.problems == (
        (
            f"[postgres] pool_size is 15, but the server lets {few} have 4 connections at most:"
            " lower pool_size, or raise the limit there"
        ),
    )
    assert wide.problems == ()
    assert str(wide.facts["connections"]).endswith(f"of 100; 97 for {many}")


def test_what_the_user_may_not_do_comes_with_the_statement_that_allows_it(
    ledger_url: str, postgres_server: "PostgresServer"
) -> None:
    """Schemas that are missing and may not be made, one that may not be used, no temporary tables."""
    database = database_named(ledger_url)
    with role(postgres_server, "LOGIN") as poor:
        by_hand(
            ledger_url,
            f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC",
            f"GRANT USAGE ON SCHEMA comporta TO {poor}",
            f"GRANT SELECT ON ALL TABLES IN SCHEMA comporta TO {poor}",
        )
        problems = looked(as_role(ledger_url, poor)).problems
        by_hand(ledger_url, *(problem.rpartition(": ")[2] for problem in problems))
        mended = looked(as_role(ledger_url, poor)).problems
        by_hand(ledger_url, f"DROP OWNED BY {poor}")

    assert problems == (
        f"{poor} may not make the schema mirror: GRANT CREATE ON DATABASE {database} TO {poor}",
        f"{poor} may not make tables in the schema comporta: GRANT USAGE, CREATE ON SCHEMA comporta TO {poor}",
        (
            f"{poor} may not make temporary tables, through which changed rows pass:"
            f" GRANT TEMPORARY ON DATABASE {database} TO {poor}"
        ),
    )
    assert mended == ()


def test_a_database_that_may_only_be_read_is_a_problem(postgres_url: str) -> None:
    """As it is on a replica, and at a hoster's when the disk is full."""
    name = sql.Identifier(database_named(postgres_url)).as_string()
    by_hand(postgres_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    seen = looked(postgres_url)

    assert seen.facts["read_only"] is True
    assert [problem.partition(" (")[0] for problem in seen.problems] == ["the server is read-only"]


def test_a_database_in_another_encoding_is_a_problem(postgres_url: str, postgres_server: "PostgresServer") -> None:
    """It could not hold every name."""
    name = f"{database_named(postgres_url)}_latin"
    by_hand(postgres_url, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    try:
        seen = looked(postgres_server.url(name))
    finally:
        postgres_server.drop(name)

    assert seen.problems == ("the database's encoding is LATIN1; expected UTF8: make one with ENCODING 'UTF8'",)


def test_what_a_data_api_shows_of_ours_is_a_problem(ledger_url: str, postgres_server: "PostgresServer") -> None:
    """Our schema is in its list, or its role may read our tables, unless row security keeps it out."""
    with postgres_server.admin() as connection:
        connection.execute("CREATE ROLE anon")
    try:
        by_hand(
            ledger_url,
            "CREATE SCHEMA mirror",
            "CREATE TABLE mirror.odoo_sale_order (id bigint)",
            "CREATE TABLE mirror.odoo_closed (id bigint)",
            "ALTER TABLE mirror.odoo_closed ENABLE ROW LEVEL SECURITY",
            f"ALTER ROLE anon IN DATABASE {database_named(ledger_url)} SET pgrst.db_schemas = 'public, mirror'",
        )
        listed = looked(ledger_url)
        by_hand(
            ledger_url,
            f"ALTER ROLE anon IN DATABASE {database_named(ledger_url)} RESET pgrst.db_schemas",
            "GRANT USAGE ON SCHEMA mirror TO anon",
            "GRANT SELECT ON ALL TABLES IN SCHEMA mirror TO anon",
        )
        readable = looked(ledger_url)
        by_hand(ledger_url, readable.problems[0].rpartition(": ")[2])
        closed = looked(ledger_url)
        by_hand(ledger_url, "DROP OWNED BY anon")
    finally:
        postgres_server.drop(database_named(ledger_url))
        with postgres_server.admin() as connection:
            connection.execute("DROP ROLE anon")

    assert listed.facts["data_api_schemas"] == "public, mirror"
    assert listed.problems == ("schema mirror is among those of the Data API: take it out there",)
    assert readable.problems == (
        (
            "the Data API's role anon may read the schema mirror (1 of its tables and views, odoo_sale_order for one):"
            " REVOKE USAGE ON SCHEMA mirror FROM anon"
        ),
    )
    assert closed.problems == ()
