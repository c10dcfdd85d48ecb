"""One reading statement of PostgreSQL: the promises of a transaction, for the time of a single answer."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.pq import Trace
from tests.ledger.test_postgres_database import opened

from comporta.errors import DestinationRefused
from comporta.ledger import postgres
from comporta.ledger.postgres import PoolLimits
from comporta.ledger.postgres_schema import LOCALS

if TYPE_CHECKING:
    from tests.servers.postgres import PostgresServer

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
PROBE = "SELECT %(text)s::text AS text, %(at)s::timestamptz AS at, comporta.cmp_now() AS now"
SETTINGS = "SELECT name, current_setting(name) AS value FROM unnest(%(names)s::text[]) AS asked(name)"
ONE = PoolLimits(size=2)


@pytest.fixture
def ledger_url(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of a ledger; the statements of these tests have names."""
    for name, text in {"probe": PROBE, "settings": SETTINGS, "bad": "SELECT 1 / 0"}.items():
        monkeypatch.setitem(postgres.SQL, name, text)
    monkeypatch.setitem(postgres.SQL, "intruder", "INSERT INTO comporta.cmp_pause VALUES ('a', now())")
    return ledger_url


def set_to(url: str, settings: dict[str, str]) -> None:
    """Change what the sessions of a database begin with."""
    with closing(psycopg.connect(url, autocommit=True)) as admin:
        for key, value in settings.items():
            admin.execute(f"ALTER DATABASE \"{url.rpartition('/')[2]}\" SET {key} = '{value}'".encode())


def test_it_takes_one_answer_of_the_server(ledger_url: str, tmp_path: Path) -> None:
    """Beginning, settings, statement and end are sent together: a server far away is waited for once."""
    set_to(ledger_url, {"DateStyle": "ISO, DMY"})
    with (tmp_path / "trace").open("w") as trace, opened(ledger_url, ONE) as database:
        with database._pool.connection() as connection:
            connection.pgconn.trace(trace.fileno())
            connection.pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)
        database.rows("probe", {"text": "a", "at": AT})
    said = (tmp_path / "trace").read_text("utf-8")

    assert said.count("ReadyForQuery") == 1
    assert "SET LOCAL" not in said


@pytest.mark.parametrize(
    "settings",
    [
        {"DateStyle": "ISO, DMY"},
        {"client_encoding": "LATIN1"},
        {"DateStyle": "German"},
        {"DateStyle": "ISO, DMY", "TimeZone": "Asia/Tokyo"},
        {"DateStyle": "ISO, DMY", "search_path": "elsewhere"},
    ],
)
def test_it_reads_what_a_transaction_reads_whatever_the_role_is_set_to(
    ledger_url: str, settings: dict[str, str]
) -> None:
    """Letters, instants and the clock are the same."""
    set_to(ledger_url, settings)
    with opened(ledger_url) as database:
        found = database.rows("probe", {"text": "João, ação", "at": AT})
        stepwise = database.read(lambda session: session.all("probe", {"text": "João, ação", "at": AT}))

    assert found == stepwise
    assert (found[0]["text"], found[0]["at"], found[0]["now"].year) == ("João, ação", AT, 2026)


def test_it_is_set_up_as_every_transaction_and_leaves_nothing_behind(ledger_url: str) -> None:
    """Limits of time hold within it, and the next client of a pooler does not inherit them."""
    with opened(ledger_url, ONE) as database:
        during = {row["name"]: row["value"] for row in database.rows("settings", {"names": list(LOCALS)})}
        with database._pool.connection() as connection:
            after = connection.execute("SELECT current_setting('statement_timeout')").fetchone()

    assert {**during, "DateStyle": during["DateStyle"].partition(",")[0]} == dict(LOCALS)
    assert after == ("0",)


def test_it_cannot_write(ledger_url: str) -> None:
    """A statement that does is an error, not a change."""
    with opened(ledger_url) as database:
        with pytest.raises(DestinationRefused, match="read-only"):
            database.rows("intruder", {})

        assert database.rows("pauses", {}) == []


def test_an_error_is_told_and_the_connection_is_good_for_the_next(ledger_url: str) -> None:
    """It is the statement's own error, not what the driver says of those behind it."""
    with opened(ledger_url, ONE) as database:
        with pytest.raises(DestinationRefused, match="division by zero"):
            database.rows("bad", {})

        assert [row["text"] for row in database.rows("probe", {"text": "a", "at": AT})] == ["a"]


@pytest.mark.full
def test_a_connection_that_was_lost_is_replaced(ledger_url: str, postgres_server: "PostgresServer") -> None:
    """A read is done again: nothing of it was kept."""
    with opened(ledger_url) as database:
        database.rows("probe", {"text": "a", "at": AT})
        postgres_server.kill_backends(ledger_url)

        assert [row["text"] for row in database.rows("probe", {"text": "b", "at": AT})] == ["b"]


def test_the_clock_is_looked_at_on_the_way(ledger_url: str) -> None:
    """A process that only reads knows the server's clock, too."""
    with opened(ledger_url) as database:
        database._ahead *= 0
        database.rows("probe", {"text": "a", "at": AT})

        assert database.now().date() == datetime(2026, 3, 1, tzinfo=UTC).date()
