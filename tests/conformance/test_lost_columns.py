"""Columns that somebody took away: the table says what it lacks, and its rows count as unchanged no more."""

from typing import Any

import pytest
from tests.conformance.store_steps import MARCH, SCOPE, begin, start
from tests.conformance.tables import THINGS, Tables, thing

from comporta.core.counts import Counts
from comporta.core.language import Language
from comporta.core.run import RunState
from comporta.ledger.store import LedgerStore
from comporta.observability.words import said
from comporta.ports.store import Batch, Ending

LOSSES = {
    "dropped": "ALTER TABLE {} DROP COLUMN price",
    "renamed": "ALTER TABLE {} RENAME COLUMN price TO cost",
}
ROWS = [thing(1, price=5), thing(2, price=7.5)]


@pytest.mark.parametrize("loss", LOSSES)
def test_a_table_whose_rows_are_doubted_takes_each_of_them_once_more(tables: Tables, loss: str) -> None:
    """Then they are unchanged again; older versions are still left out, and what was deleted stays so."""
    before = tables.destination.missing(tables.connection, THINGS)
    tables.prepare()
    tables.write(Batch(THINGS, [*ROWS, thing(3, stamp="2026-04-01T00:00:00.000000Z"), thing(4)]))
    tables.write(Batch(THINGS, deleted=[4]))
    tables.by_hand(LOSSES[loss].format("shop_thing"))
    tables.begin()
    missing = tables.destination.missing(tables.connection, THINGS)
    tables.prepare()
    tables.destination.doubt(tables.connection, THINGS)
    told = [tables.write(Batch(THINGS, [*ROWS, thing(3)])).counts for _ in range(2)]
    tables.connection.execute("COMMIT")
    rows = tables.rows()

    assert (before, missing) == (None, ["price"])
    assert tables.destination.missing(tables.connection, THINGS) == []
    assert told == [Counts(read=3, updated=2, unchanged=1), Counts(read=3, unchanged=3)]
    assert [rows["a", key]["price"] for key in (1, 2)] == [5, 7.5]
    assert rows["a", 4]["_cmp_deleted_at"] is not None


def execute(store: LedgerStore, statement: str) -> None:
    """Execute a statement of a person's on the store's table."""

    def work(session: Any) -> None:  # noqa: ANN401  either database's
        is_sqlite = type(session.connection).__module__.startswith("sqlite3")
        session.connection.execute(statement.format("shop_thing" if is_sqlite else "mirror.shop_thing"))

    store._database.write(work).result()


async def covered(store: LedgerStore, **known: bool) -> tuple[list[str | None], int, int]:
    """Cover March, take a column away, prepare; return what was told, what is covered, what a batch changes."""
    granted = await start(store)
    await store.prepare(granted.lease, THINGS)
    plan = await begin(store, granted)
    committed = await store.commit(
        granted.lease,
        Batch(THINGS, ROWS),
        Ending(RunState.SUCCEEDED, covered=MARCH, fingerprint=plan.fingerprint, pass_id=plan.id),
    )
    assert committed.counts.inserted == len(ROWS)
    execute(store, LOSSES["dropped"])
    again = await start(store)
    told = [said(each.step, each.fields, Language.EN) for each in await store.prepare(again.lease, THINGS, **known)]
    intervals = (await store.coverage(SCOPE)).intervals
    written = await store.commit(again.lease, Batch(THINGS, ROWS))
    return told, len(intervals), written.counts.updated


async def test_a_column_that_was_written_before_takes_the_coverage_with_it(store: LedgerStore) -> None:
    """In the transaction that makes it again, and says so."""
    told = "table shop_thing: new columns price"
    gone = "a column (price) of the table of thing was gone, with data that was covered: all of it is read again"

    assert await covered(store, is_known=True) == ([told, gone], 0, 2)


async def test_a_column_that_was_never_written_takes_nothing(store: LedgerStore) -> None:
    """Another account asks for more; what the rows of this one hold is right."""
    assert await covered(store) == (["table shop_thing: new columns price"], 1, 0)


async def test_a_table_that_another_account_made_first_takes_no_coverage(
    store: LedgerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two accounts begin at once: one looks, the other makes the table, loads it and claims, the one has its turn."""
    granted = await start(store)
    await store.prepare(granted.lease, THINGS)
    plan = await begin(store, granted)
    ending = Ending(RunState.SUCCEEDED, covered=MARCH, fingerprint=plan.fingerprint, pass_id=plan.id)
    await store.commit(granted.lease, Batch(THINGS, ROWS), ending)
    late = await start(store)
    monkeypatch.setattr(store._destination, "missing", lambda *_: None)  # as it was when the late one looked

    told = await store.prepare(late.lease, THINGS)

    assert list(told) == []
    assert (await store.coverage(SCOPE)).intervals == (MARCH,)
