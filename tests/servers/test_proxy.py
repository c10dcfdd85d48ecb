"""The proxy cuts where it says: what was swallowed is there, what was dropped before is not."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from tests.servers.postgres import PostgresServer
from tests.servers.proxy import Fault, Odds, Proxy

Commit = Callable[["psycopg.Connection[tuple[object, ...]]"], object]


@pytest.fixture(scope="module")
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """Let the tests here share a database: emptying a table is quicker than making another."""
    name = postgres_server.create()
    with psycopg.connect(postgres_server.url(name)) as connection:
        connection.execute("CREATE TABLE notes (note text)")
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture(autouse=True)
def nothing_noted(postgres_url: str) -> None:
    """Forget what the test before wrote."""
    with psycopg.connect(postgres_url) as connection:
        connection.execute("TRUNCATE notes")


@contextmanager
def through(proxy: Proxy) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    """Connect through the proxy; nothing is committed unless told."""
    connection = psycopg.connect(proxy.url, autocommit=True)
    try:
        yield connection
    finally:
        connection.close()


def write(proxy: Proxy, note: str, commit: str = "COMMIT") -> None:
    """Write a note in a transaction through the proxy."""
    with through(proxy) as connection:
        connection.execute("BEGIN")
        connection.execute("INSERT INTO notes VALUES (%s)", [note])
        connection.execute(commit)


def noted(url: str) -> list[str]:
    """Return the notes that are there, seen directly."""
    with psycopg.connect(url) as connection:
        return [str(note) for (note,) in connection.execute("SELECT note FROM notes ORDER BY note")]


def soon(is_so: Callable[[], bool]) -> bool:
    """Tell whether something comes true within two seconds."""
    deadline = time.monotonic() + 2.0
    while not is_so() and time.monotonic() < deadline:
        pass
    return is_so()


def test_what_is_not_cut_goes_through(postgres_proxy: Proxy, postgres_url: str) -> None:
    """A COMMIT that nothing was planned for is a COMMIT."""
    write(postgres_proxy, "a")

    assert noted(postgres_url) == ["a"]
    assert postgres_proxy.counts == {"connections": 1, "commits": 1}


@pytest.mark.parametrize(("fault", "kept"), [("swallow", ["a"]), ("drop_before", [])])
def test_the_server_did_or_did_not_what_the_client_cannot_tell(
    postgres_proxy: Proxy, postgres_url: str, fault: Fault, kept: list[str]
) -> None:
    """Both end in the same error for the client; only the server knows, and the next COMMIT is unharmed."""
    postgres_proxy.on_commit(fault)
    with pytest.raises(psycopg.OperationalError):
        write(postgres_proxy, "a")
    write(postgres_proxy, "b")

    assert noted(postgres_url) == [*kept, "b"]
    assert postgres_proxy.counts["cut"] == 1


def simple(connection: "psycopg.Connection[tuple[object, ...]]") -> None:
    """Commit as psycopg does."""
    connection.commit()


def bound(connection: "psycopg.Connection[tuple[object, ...]]") -> None:
    """Send it parsed and bound."""
    connection.execute("COMMIT", binary=True)


def prepared(connection: "psycopg.Connection[tuple[object, ...]]") -> None:
    """Send it parsed under a name, then bound."""
    connection.execute("COMMIT", prepare=True)


def pipelined(connection: "psycopg.Connection[tuple[object, ...]]") -> None:
    """Send it behind other work, without waiting."""
    with connection.pipeline():
        connection.execute("INSERT INTO notes VALUES ('b')")
        connection.commit()


@pytest.mark.parametrize(
    ("commit", "kept"), [(simple, ["a"]), (bound, ["a"]), (prepared, ["a"]), (pipelined, ["a", "b"])]
)
@pytest.mark.parametrize("fault", ["swallow", "drop_before"])
def test_a_commit_is_seen_however_it_is_sent(
    postgres_proxy: Proxy, postgres_url: str, fault: Fault, commit: Commit, kept: list[str]
) -> None:
    """As a simple query, parsed and bound, prepared under a name, or in a pipeline after other work."""
    with through(postgres_proxy) as connection:
        connection.autocommit = False
        connection.execute("INSERT INTO notes VALUES ('a')")
        postgres_proxy.on_commit(fault)
        with pytest.raises(psycopg.OperationalError):
            commit(connection)

    assert noted(postgres_url) == (kept if fault == "swallow" else [])


def test_reading_transactions_are_let_through(postgres_proxy: Proxy, postgres_url: str) -> None:
    """What is planned waits for a COMMIT that matters, and for as many as it was told to skip."""
    postgres_proxy.on_commit("swallow", skip=1)
    with through(postgres_proxy) as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        connection.execute("COMMIT")
    write(postgres_proxy, "a")
    with pytest.raises(psycopg.OperationalError):
        write(postgres_proxy, "b")

    assert noted(postgres_url) == ["a", "b"]
    assert (postgres_proxy.counts["commits"], postgres_proxy.counts["swallowed"]) == (2, 1)


def test_a_delayed_commit_is_done(postgres_proxy: Proxy, postgres_url: str) -> None:
    """It comes later, not never."""
    postgres_proxy.on_commit("delay", 0.05)
    write(postgres_proxy, "a")

    assert noted(postgres_url) == ["a"]
    assert postgres_proxy.counts["delayed"] == 1


def test_open_connections_are_cut_at_once(postgres_proxy: Proxy) -> None:
    """Every one that stands is reset; the next one stands."""
    with through(postgres_proxy) as one, through(postgres_proxy) as other:
        postgres_proxy.cut()
        for connection in (one, other):
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")

    write(postgres_proxy, "a")
    assert postgres_proxy.counts["cut"] == 2


def test_a_half_closed_connection_still_writes(postgres_proxy: Proxy, postgres_url: str) -> None:
    """The client sees an end; what it had sent was done all the same."""
    with through(postgres_proxy) as connection:
        postgres_proxy.half_close()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("INSERT INTO notes VALUES ('a')")

    assert postgres_proxy.counts["half_closed"] == 1
    assert soon(lambda: noted(postgres_url) == ["a"])


def test_new_connections_are_refused_for_a_while(postgres_proxy: Proxy) -> None:
    """Those that are open go on; others are refused until they are let in, at the same port."""
    before = postgres_proxy.url
    with through(postgres_proxy) as connection:
        postgres_proxy.refuse()
        with pytest.raises(psycopg.OperationalError, match="refused"):
            psycopg.connect(postgres_proxy.url)
        still = connection.execute("SELECT 1").fetchall()
    postgres_proxy.accept()
    write(postgres_proxy, "a")

    assert still == [(1,)]
    assert postgres_proxy.url == before


def test_a_silent_line_keeps_what_the_server_holds(postgres_proxy: Proxy, postgres_url: str) -> None:
    """The client goes, the server does not hear of it and keeps its locks, until the line is cut."""
    lock = "SELECT pg_try_advisory_xact_lock(7)"
    with through(postgres_proxy) as connection, psycopg.connect(postgres_url, autocommit=True) as direct:
        connection.execute("BEGIN")
        connection.execute(lock)
        postgres_proxy.silence()
        connection.close()
        while_silent = direct.execute(lock).fetchall()
        postgres_proxy.cut()
        direct.execute("SELECT pg_advisory_xact_lock(7)")

    assert while_silent == [(False,)]


def play(postgres_proxy: Proxy, seed: int) -> list[bool]:
    """Write twelve notes with the dice of a seed, and tell which the client knows to be kept."""
    known = []
    with through(postgres_proxy):
        postgres_proxy.roll(seed, Odds(drop_before=0.2, swallow=0.2, delay=0.2, cut=0.02, delay_s=0.001))
        for note in range(12):
            try:
                write(postgres_proxy, f"{seed}-{note:02}")
            except psycopg.OperationalError:
                known.append(False)
            else:
                known.append(True)
    return known


def test_dice_fall_the_same_way_for_the_same_seed(postgres_url: str) -> None:
    """A round of chaos can be played again; what was reported as kept is kept."""
    with Proxy(postgres_url) as one:
        first = play(one, 7)
    with Proxy(postgres_url) as other:
        second = play(other, 7)
    kept = noted(postgres_url)

    assert first == second
    assert one.counts == other.counts
    assert {True, False} == set(first)
    assert all(kept.count(f"7-{note:02}") == 2 for note, is_known in enumerate(first) if is_known)
