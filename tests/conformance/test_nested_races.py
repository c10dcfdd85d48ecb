"""Two processes write records with lists on PostgreSQL at once: the newer list stands, and both come through."""

from dataclasses import replace
from typing import Any

import psycopg
import pytest
from tests.conformance.tables import thing
from tests.conformance.tables_postgres import PostgresTables, write_as
from tests.conformance.test_destination_races import race, while_open
from tests.conformance.test_nested_rows import AT, EARLY, LATER, PARTS, WHOLE, listing, living

from comporta.core.counts import Counts
from comporta.core.record import Nested
from comporta.ports.store import Batch

pytestmark = pytest.mark.full


@pytest.fixture
def tables(postgres_tables: PostgresTables) -> PostgresTables:
    """Return a fresh database with the tables of things and what they list."""
    postgres_tables.prepare(WHOLE)
    return postgres_tables


@pytest.mark.parametrize("has_row", [False, True], ids=["a new record", "a record that is there"])
def test_the_list_of_the_older_version_never_wins_a_race(
    tables: PostgresTables, second: psycopg.Connection[Any], *, has_row: bool
) -> None:
    """Neither adds nor takes away: what the newer one lists is decided under a lock."""
    if has_row:
        tables.write(listing({1: ["a"]}, EARLY))
    _, beaten = while_open(tables, second, listing({1: ["b", "c"]}, LATER), listing({1: ["a", "b", "d"], 2: ["a"]}, AT))

    assert beaten.counts == Counts(read=2, inserted=1, unchanged=1)
    assert living(tables) == ["1-b", "1-c", "2-a"]


def test_a_version_that_is_read_again_does_not_undo_the_newer_one_that_comes_meanwhile(
    tables: PostgresTables, second: psycopg.Connection[Any]
) -> None:
    """Its record is unchanged, so no row of it is locked; its list must wait all the same."""
    tables.write(listing({1: ["a", "b"]}, AT))
    while_open(tables, second, listing({1: ["b"]}, LATER), listing({1: ["a", "b", "c"]}, AT))

    assert living(tables) == ["1-b"]


def test_who_comes_while_a_record_is_deleted_finds_its_list_deleted(
    tables: PostgresTables, second: psycopg.Connection[Any]
) -> None:
    """And brings back what it lists, with the record."""
    tables.write(listing({1: ["a", "b"]}, EARLY))
    while_open(tables, second, Batch(WHOLE, deleted=[1]), listing({1: ["b"]}, EARLY))

    assert living(tables) == ["1-b"]


@pytest.mark.timeout(120)
def test_two_processes_that_write_the_same_lists_in_opposite_order_do_not_deadlock(tables: PostgresTables) -> None:
    """Records that come, go and change what they list; the order in which lists are named does not matter."""

    def batch(mine: int, turn: int) -> Batch:
        keys = range(turn % 7, 30)
        stamp = f"2026-03-01T08:{turn // 60:02}:{turn % 60:02}.000000Z"
        whole = listing({key: "ab" if (turn + mine + key) % 2 else "bc" for key in keys}, stamp)
        gone = [key for key in range(30, 40) if (key + turn) % 2 == mine]
        if mine:
            return replace(whole, deleted=gone)
        lists = [Nested(each.shape, each.rows[::-1]) for each in whole.nested[::-1]]
        return replace(whole, rows=whole.rows[::-1], nested=lists, removed=gone)

    counts = race(tables, batch, rounds=100)

    assert all(each.is_balanced for each in counts)


def test_lists_go_through_a_pooler(tables: PostgresTables, pgbouncer_url: str) -> None:
    """Each transaction may get another server."""
    batches = [
        listing({1: ["a", "b"], 2: ["a"]}, EARLY),
        listing({1: ["b"], 3: ["a", "b\0"]}, AT),
        Batch(WHOLE, deleted=[2]),
    ]
    with psycopg.connect(pgbouncer_url, autocommit=True, prepare_threshold=None) as connection:
        refused = [[each.key for each in write_as(tables, connection, batch).rejected] for batch in batches]

    assert refused == [[], ["3"], []]
    assert living(tables) == ["1-b"]


@pytest.mark.parametrize("key", ["b\0", "b"])
def test_a_nul_character_in_a_list_takes_its_record_into_quarantine(tables: PostgresTables, key: str) -> None:
    """In a key or beside it, with a reason that says so."""
    batch = listing({1: ["a"], 2: []}, shapes=[PARTS])
    spoilt = (f"2-{key}", 2, AT, "x\0" if key == "b" else "x")
    written = tables.write(replace(batch, nested=[Nested(PARTS, [*batch.nested[0].rows, spoilt])]))

    assert written.counts == Counts(read=2, inserted=1, rejected=1)
    assert "has a NUL character in it" in written.rejected[0].reason
    assert [row["id"] for row in tables.rows().values()] == [thing(1)[0]]
    assert living(tables) == ["1-a"]
