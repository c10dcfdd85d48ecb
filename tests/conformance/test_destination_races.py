"""Two processes write the same rows on PostgreSQL at once: who wins, what is counted, and that both come through."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from tests.conformance.tables import THINGS, thing
from tests.conformance.tables_postgres import PostgresTables, open_connection, write_as

from comporta.core.counts import Counts
from comporta.core.record import Lookup
from comporta.ports.destination import Written
from comporta.ports.store import Batch

pytestmark = pytest.mark.full
WAIT_S = 5.0
OLD, NEW, NEWEST = (f"2026-03-01T0{hour}:00:00.000000Z" for hour in (7, 8, 9))


@pytest.fixture
def tables(postgres_tables: PostgresTables) -> PostgresTables:
    """Return a fresh database with the table of THINGS."""
    postgres_tables.prepare()
    return postgres_tables


def while_open(
    tables: PostgresTables, second: psycopg.Connection[Any], first: Batch, other: Batch
) -> tuple[Written, Written]:
    """Write ``first`` and leave its transaction open until ``other``, written by another process, waits for it."""
    tables.begin()
    one = tables.write(first)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(write_as, tables, second, other)
        blocked = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND cardinality(pg_blocking_pids(pid)) > 0"
        deadline = time.monotonic() + WAIT_S
        while not tables.user.execute(blocked, [second.info.backend_pid]).fetchone():
            assert not waiting.done()
            assert time.monotonic() < deadline
        tables.connection.execute("COMMIT")
        return one, waiting.result()


def race(tables: PostgresTables, batch: Callable[[int, int], Batch], *, rounds: int) -> list[Counts]:
    """Let two processes write their batches of each round at the same time."""
    gate = threading.Barrier(2)

    def process(mine: int) -> list[Counts]:
        with open_connection(tables.url) as connection:
            counts = []
            for turn in range(rounds):
                gate.wait(timeout=60)
                counts.append(write_as(tables, connection, batch(mine, turn)).counts)
            return counts

    with ThreadPoolExecutor(2) as pool:
        return [counts for each in (pool.submit(process, 0), pool.submit(process, 1)) for counts in each.result()]


@pytest.mark.parametrize("has_row", [False, True], ids=["a new row", "a row that is there"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_the_older_version_never_wins_a_race(
    tables: PostgresTables, second: psycopg.Connection[Any], *, has_row: bool, overwrite: bool
) -> None:
    """Whoever comes first; the counts say what became of each row, not what was meant. Repair overwrites."""
    if has_row:
        tables.write(Batch(THINGS, [thing(1, stamp=OLD, name="old")]))
    newest = Batch(THINGS, [thing(1, stamp=NEWEST, name="newest")])
    newer = Batch(THINGS, [thing(0), thing(1, stamp=NEW, name="newer"), thing(2)], overwrite=overwrite)
    _, beaten = while_open(tables, second, newest, newer)

    assert tables.rows()["a", 1]["name"] == ("newer" if overwrite else "newest")
    assert beaten.counts == Counts(read=3, inserted=2, updated=int(overwrite), unchanged=int(not overwrite))


def test_a_row_that_another_inserted_meanwhile_is_updated(
    tables: PostgresTables, second: psycopg.Connection[Any]
) -> None:
    """And counted as that; one that came in the same version is unchanged."""
    first = Batch(THINGS, [thing(1, stamp=OLD), thing(2)])
    _, later = while_open(tables, second, first, Batch(THINGS, [thing(1, stamp=NEW), thing(2), thing(3)]))

    assert later.counts == Counts(read=3, inserted=1, updated=1, unchanged=1)
    assert set(later.changed) == {1, 3}


def test_a_row_that_another_removed_meanwhile_is_inserted(
    tables: PostgresTables, second: psycopg.Connection[Any]
) -> None:
    """It would have been an update; it is there in the end, and counted as it was."""
    tables.write(Batch(THINGS, [thing(1, stamp=OLD), thing(2, stamp=OLD)]))
    _, later = while_open(
        tables, second, Batch(THINGS, removed=[1]), Batch(THINGS, [thing(1, stamp=NEW), thing(2, stamp=NEW)])
    )

    assert later.counts == Counts(read=2, inserted=1, updated=1)
    assert {key for _, key in tables.rows()} == {1, 2}


def changing(mine: int, turn: int) -> Batch:
    """Rows that are there, changed by both, in opposite orders."""
    rows = [
        thing(key, stamp=f"2026-03-01T08:{turn // 60:02}:{turn % 60:02}.000000Z", name=str(mine)) for key in range(30)
    ]
    return Batch(THINGS, rows if mine else rows[::-1])


def coming(mine: int, turn: int) -> Batch:
    """Rows that neither has seen; enough for the two to meet in the middle."""
    rows = [thing(key + 600 * turn) for key in range(600)]
    return Batch(THINGS, rows if mine else rows[::-1])


def mixing(mine: int, turn: int) -> Batch:
    """Rows that are there and rows that are not; one of the two brings many more that are not."""
    stamp = f"2026-03-01T08:{turn // 60:02}:{turn % 60:02}.000000Z"
    there = [thing(key, stamp=stamp, name=f"{mine} {turn}") for key in range(100)]
    coming = [thing(100 + key + 400 * turn) for key in range(400 if mine else 90)]
    return Batch(THINGS, [*there, *coming])


def crossing(mine: int, turn: int) -> Batch:
    """All rows by one, while the other writes the last ones and then deletes the first."""
    if turn % 2 == mine:
        return Batch(THINGS, [thing(key, name=f"{mine} {turn}") for key in range(60)])
    rows = [thing(key, name=f"{mine} {turn}") for key in range(30, 60)]
    return Batch(THINGS, rows, deleted=range(20)) if turn % 3 else Batch(THINGS, rows, removed=range(20))


def clearing(mine: int, turn: int) -> Batch:
    """Rows that come while the other deletes them, and the other way round."""
    here, there = (range(30), range(30, 60)) if mine else (range(30, 60), range(30))
    rows = [thing(key, name=f"{mine} {turn}") for key in here]
    return Batch(THINGS, rows, deleted=there) if turn % 2 else Batch(THINGS, rows, removed=there)


def naming(mine: int, turn: int) -> Batch:
    """Two lookups that both write, named in opposite orders."""
    lookups = [Lookup(replace(THINGS, stream=name, stamp=None), [thing(7, name=f"{mine} {turn}")]) for name in "ab"]
    return Batch(THINGS, [thing(mine)], lookups=lookups if mine else lookups[::-1])


@pytest.mark.timeout(120)
@pytest.mark.parametrize("batch", [changing, coming, mixing, crossing, clearing, naming])
def test_two_processes_write_the_same_rows_in_opposite_order_without_deadlock(
    tables: PostgresTables, batch: Callable[[int, int], Batch], *, is_deep: bool
) -> None:
    """Many times: one may wait for the other, and neither is ever told to give up."""
    counts = race(tables, batch, rounds=1_000 if is_deep else 60)

    assert all(each.is_balanced for each in counts)


def test_counts_of_processes_that_race_add_up_to_the_rows(tables: PostgresTables) -> None:
    """However they interleave, each row is inserted by exactly one of four."""
    rows = [thing(key) for key in range(500)]
    gate = threading.Barrier(4)

    def process() -> Counts:
        with open_connection(tables.url) as connection:
            gate.wait(timeout=60)
            return write_as(tables, connection, Batch(THINGS, rows)).counts

    with ThreadPoolExecutor(4) as pool:
        counts = [each.result() for each in [pool.submit(process) for _ in range(4)]]

    assert sum(each.inserted for each in counts) == len(rows)
    assert sum(each.unchanged for each in counts) == 3 * len(rows)
