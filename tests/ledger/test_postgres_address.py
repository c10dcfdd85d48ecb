"""The way to a PostgreSQL database: what libpq is told, TLS by default, and how a pooler is recognised."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.conformance.ledgers import ledger_template
from tests.servers.builds import each_postgres
from tests.servers.pgbouncer import Pooling

from comporta.errors import BadValue
from comporta.ledger.postgres import PoolLimits, PostgresDatabase
from comporta.ledger.postgres_address import Address, is_pooled
from comporta.ledger.postgres_schema import connect
from comporta.ports.system_clock import SystemClock

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresServer

POOLED = "aws-0-sa-east-1.pooler.supabase.com"
DIRECT = "db.abcdefghijklmnop.supabase.co"


def test_libpq_is_told_the_way_and_nothing_for_the_server() -> None:
    """Poolers refuse start-up parameters; keepalives notice a server that vanished."""
    told = Address.parse("postgresql://ana:p%40ss@db.example.com/shop").conninfo()

    assert told == {
        "host": "db.example.com",
        "port": 5432,
        "dbname": "shop",
        "user": "ana",
        "password": "p@ss",
        "sslmode": "require",
        "application_name": "comporta",
        "connect_timeout": 10,
        "tcp_user_timeout": 30_000,
        "keepalives": 1,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
    }


def test_what_the_address_leaves_out_libpq_finds_itself() -> None:
    """The password in ~/.pgpass, the user of the system."""
    told = Address.parse("postgresql://db.example.com/shop").conninfo()

    assert not {"user", "password", "sslrootcert"} & set(told)


@pytest.mark.parametrize(
    ("place", "mode"),
    [
        ("db.example.com", "require"),
        ("10.0.0.7", "require"),
        ("[2001:db8::7]", "require"),
        ("postgres", "require"),
        ("localhost.example.com", "require"),
        ("localhost", "prefer"),
        ("LOCALHOST.", "prefer"),
        ("127.0.0.1", "prefer"),
        ("127.1.2.3", "prefer"),
        ("[::1]", "prefer"),
        ("%2Frun%2Fpostgresql", "prefer"),
    ],
)
def test_tls_is_required_wherever_somebody_could_listen(place: str, mode: str) -> None:
    """On this machine nobody can, and servers there seldom have a certificate."""
    assert Address.parse(f"postgresql://{place}/d").sslmode == mode


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"])
@pytest.mark.parametrize("host", ["db.example.com", "localhost"])
def test_what_the_address_says_about_tls_holds(mode: str, host: str) -> None:
    """Stricter or weaker than ours: who wrote it knows the network."""
    assert Address.parse(f"postgresql://{host}/d?sslmode={mode}").conninfo()["sslmode"] == mode


def test_who_names_a_certificate_wants_it_checked() -> None:
    """By itself libpq would only check who signed it, not whom it was made for."""
    address = Address.parse("postgresql://db.example.com/d?sslrootcert=/ca.crt")
    weaker = Address.parse("postgresql://db.example.com/d?sslrootcert=/ca.crt&sslmode=verify-ca")

    assert address.conninfo()["sslmode"] == "verify-full"
    assert address.conninfo()["sslrootcert"] == "/ca.crt"
    assert weaker.conninfo()["sslmode"] == "verify-ca"


@pytest.mark.parametrize(
    ("url", "pooler", "known"),
    [
        (f"postgresql://postgres.abc@{POOLED}:6543/postgres", "auto", True),
        (f"postgresql://postgres.abc@{POOLED}:5432/postgres", "auto", False),
        (f"postgresql://postgres.abc@{POOLED.upper()}/postgres", "auto", False),
        (f"postgresql://postgres@{DIRECT}/postgres", "auto", False),
        (f"postgresql://postgres@{DIRECT}:6543/postgres", "auto", True),
        (f"postgresql://postgres.abc@{POOLED}:6543/postgres", "session", False),
        (f"postgresql://postgres@{DIRECT}/postgres", "transaction", True),
        ("postgresql://db.example.com:6543/d", "auto", True),
        ("postgresql://db.example.com/d", "auto", None),
        ("postgresql://supabase.co.example.com/d", "auto", None),
        ("postgresql://db.example.com/d", "direct", False),
        ("postgresql://db.example.com/d", "transaction", True),
        ("postgresql:///d?host=/run/pg&port=6543", "auto", None),
    ],
)
def test_a_pooler_is_known_by_its_address_or_set(url: str, pooler: str, known: bool | None) -> None:
    """What the settings say wins; of other addresses nobody knows before connecting."""
    assert Address.parse(url, pooler).is_transaction_pooled is known


def test_an_address_never_shows_its_password() -> None:
    """Neither in messages nor where the object itself is printed."""
    address = Address.parse("postgresql://ana:p%40ss@db.example.com/shop")

    assert address.shown == "postgresql://ana:***@db.example.com:5432/shop"
    assert not [text for text in ("p@ss", "p%40ss") if text in repr(address)]


def test_an_address_that_cannot_be_read_is_refused_with_the_form() -> None:
    """As the settings refuse it; a command may get one too."""
    with pytest.raises(BadValue, match=r"database is 'postgresql://\*\*\*@h/d'; expected .postgresql://USER"):
        Address.parse("postgresql://ana:p@ss@h/d")


def test_the_driver_is_not_loaded_for_an_address() -> None:
    """Importing psycopg takes longer than a small sync."""
    code = "import sys, comporta.ledger.postgres_address; print('psycopg' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "False"


@each_postgres
def test_what_libpq_is_told_leads_to_the_server(postgres_url: str) -> None:
    """A real one, directly: the process that lets us in is the one that answers."""
    with psycopg.connect(**Address.parse(postgres_url).conninfo()) as connection:
        name = connection.execute("SHOW application_name").fetchone()

        assert name == ("comporta",)
        assert not is_pooled(connection)


@pytest.mark.parametrize("pgbouncer", [Pooling("transaction"), Pooling("session")], indirect=True, ids=str)
def test_a_pooler_is_recognised_when_connected(pgbouncer_url: str) -> None:
    """A real PgBouncer, in either mode."""
    with psycopg.connect(**Address.parse(pgbouncer_url).conninfo(), prepare_threshold=None) as connection:
        assert is_pooled(connection)


KEEPALIVES = "SELECT current_setting('tcp_keepalives_idle'), current_setting('tcp_user_timeout')"


@each_postgres
def test_the_server_notices_as_soon_as_we_do_that_the_other_end_is_gone(
    postgres_server: "PostgresServer", postgres_clone: Callable[[str], str]
) -> None:
    """By itself it keeps the connections of a machine that vanished for two hours, and has soon none for anybody."""
    address = Address.parse(postgres_clone(ledger_template(postgres_server)))
    clock = {"comporta.now": "2026-03-01T08:00:00Z"}
    database = PostgresDatabase(address, PoolLimits(), SystemClock(), local=lambda: clock)
    with closing(connect(address)) as connection, closing(database):
        pooled = database.read(lambda session: session.connection.execute(KEEPALIVES).fetchone())

        assert connection.execute(KEEPALIVES).fetchone() == pooled == ("10", "30000")


@pytest.mark.parametrize("pgbouncer", [Pooling("transaction"), Pooling("session")], indirect=True, ids=str)
def test_a_pooler_keeps_its_own_ways(pgbouncer_url: str) -> None:
    """What is set on its connection to the server would be the next client's too."""
    with closing(connect(Address.parse(pgbouncer_url))) as connection:
        assert connection.execute(KEEPALIVES).fetchone() != ("10", "30000")


def test_the_probe_does_not_mind_the_form_of_rows(postgres_url: str) -> None:
    """The ledger's connections return rows by name."""
    from psycopg.rows import dict_row

    with psycopg.connect(postgres_url, row_factory=dict_row) as connection:
        assert not is_pooled(connection)


def test_every_key_is_one_that_libpq_knows() -> None:
    """An unknown one would fail only on the day somebody sets it."""
    url = "postgresql://u:p@h/d?sslmode=require&sslrootcert=a&sslcert=b&sslkey=c&channel_binding=prefer"

    assert "channel_binding=prefer" in make_conninfo("", **Address.parse(url).conninfo())
