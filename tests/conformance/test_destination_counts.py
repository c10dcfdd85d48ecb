"""Counts are exact and preview tells the truth: random batches against a dictionary."""

from dataclasses import dataclass, replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conformance.tables import THINGS, NewTables, Tables, fields, thing

from comporta.core.counts import Counts
from comporta.core.record import Key, Row
from comporta.ports.store import Batch

NEW_DATABASE_EACH = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
"""``new_tables`` makes a database for each example, so the fixture may be shared."""
KEYS = st.integers(0, 5)
STAMPS = st.none() | st.sampled_from([f"2026-03-0{day}T00:00:00.000000Z" for day in range(1, 5)])
ROWS = st.builds(
    thing, KEYS, stamp=STAMPS, name=st.none() | st.sampled_from(["", "x", "é"]), price=st.sampled_from([None, 0, 1.5])
)
BATCHES = st.builds(
    lambda rows, extras, overwrite, deleted, removed, remove_deleted: Batch(
        THINGS,
        rows,
        {place: extra for place, extra in extras.items() if place < len(rows)},
        overwrite=overwrite,
        deleted=deleted,
        removed=removed,
        remove_deleted=remove_deleted,
    ),
    st.lists(ROWS, max_size=6),
    st.dictionaries(st.integers(0, 5), st.sampled_from(['{"a":1}', "[]"]), max_size=2),
    st.booleans(),
    st.lists(KEYS, max_size=2),
    st.lists(KEYS, max_size=2) | st.just([]),
    st.sampled_from([False, False, False, True]),
)
HISTORIES = st.lists(st.tuples(st.sampled_from(["a", "b"]), BATCHES), max_size=5)


@dataclass(frozen=True)
class Kept:
    """What the oracle knows of a row."""

    row: Row
    extra: str | None
    run: str
    deleted: bool = False


class Oracle:
    """A table, done the plainest way."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, Key], Kept] = {}

    def write(self, account: str, batch: Batch, run: str) -> tuple[Counts, set[Key]]:
        """Write a batch; return the counts and the keys that changed."""
        tally = {"inserted": 0, "updated": 0, "unchanged": 0}
        changed: set[Key] = set()
        newest: dict[int, tuple[Row, str | None]] = {}
        for place in sorted(range(len(batch.rows)), key=lambda place: str(batch.rows[place][1] or "")):
            newest[int(batch.rows[place][0] or 0)] = (batch.rows[place], batch.extras.get(place))
        for key, (row, extra) in newest.items():
            what = self._judge(account, key, row, extra, overwrite=batch.overwrite)
            tally[what] += 1
            if what != "unchanged":
                self.rows[account, key] = Kept(row, extra, run)
                changed.add(key)
        gone = self._delete(account, batch, run)
        return Counts(read=len(newest), **tally, rejected=0, deleted=len(gone)), changed | set(gone)

    def _judge(self, account: str, key: Key, row: Row, extra: str | None, *, overwrite: bool) -> str:
        kept = self.rows.get((account, key))
        if kept is None:
            return "inserted"
        if kept.deleted:
            return "updated"
        is_older = kept.row[1] is not None and str(row[1] or "") < str(kept.row[1])
        is_same = (kept.row, kept.extra) == (row, extra)
        return "unchanged" if is_same or (is_older and not overwrite) else "updated"

    def _delete(self, account: str, batch: Batch, run: str) -> list[Key]:
        gone: list[Key] = []
        for key in batch.deleted:
            kept = self.rows.get((account, key))
            if kept is not None and not kept.deleted:
                self.rows[account, key] = replace(kept, deleted=True, run=run)
                gone.append(key)
        gone += [key for key in batch.removed if self.rows.pop((account, key), None) is not None]
        if batch.remove_deleted:
            self.rows = {at: kept for at, kept in self.rows.items() if at[0] != account or not kept.deleted}
        return gone


def play(tables: Tables, history: list[tuple[str, Batch]]) -> Oracle:
    """Write a history into the table and into the oracle."""
    tables.prepare()
    oracle = Oracle()
    for account, batch in history:
        tables.write(batch, account=account)
        oracle.write(account, batch, f"run {tables.writes}")
    return oracle


@NEW_DATABASE_EACH
@given(history=HISTORIES, account=st.sampled_from(["a", "b"]), batch=BATCHES)
def test_counts_are_exact(new_tables: NewTables, history: list[tuple[str, Batch]], account: str, batch: Batch) -> None:
    """Inserted, updated, unchanged, deleted, and which keys: whatever was written before."""
    tables = new_tables()
    oracle = play(tables, history)
    written = tables.write(batch, account=account)
    counts, changed = oracle.write(account, batch, f"run {tables.writes}")

    assert (written.counts, set(written.changed)) == (counts, changed)
    assert written.counts.is_balanced


@NEW_DATABASE_EACH
@given(history=HISTORIES)
def test_the_table_holds_what_was_written_and_says_by_whom(
    new_tables: NewTables, history: list[tuple[str, Batch]]
) -> None:
    """Fields, extra, tombstone and run of each row, of each account; a row left alone keeps its run."""
    tables = new_tables()
    oracle = play(tables, history)

    assert {
        at: Kept(fields(row), row["_cmp_extra"], row["_cmp_run"], deleted=row["_cmp_deleted_at"] is not None)
        for at, row in tables.rows().items()
    } == oracle.rows


@NEW_DATABASE_EACH
@given(history=HISTORIES, account=st.sampled_from(["a", "b"]), batch=BATCHES)
def test_preview_says_what_write_then_does(
    new_tables: NewTables, history: list[tuple[str, Batch]], account: str, batch: Batch
) -> None:
    """Counts, keys, and every field before and after; and it writes nothing itself."""
    tables = new_tables()
    play(tables, history)
    before = tables.rows()
    counts, changes = tables.destination.preview(tables.connection, account, batch)
    untouched = tables.rows()
    written = tables.write(batch, account=account)
    after = tables.rows()

    assert untouched == before
    assert (written.counts, set(written.changed)) == (counts, {each.key for each in changes})
    for each in changes:
        if each.change != "deleted" and each.key not in {*batch.deleted, *batch.removed}:
            row, old = after[account, each.key], before.get((account, each.key), {})
            expected = {name: (old.get(name), row[name]) for name in ("id", "write_date", "name", "price")}
            assert each.fields == {name: pair for name, pair in expected.items() if pair[0] != pair[1]}


@NEW_DATABASE_EACH
@given(history=HISTORIES, rows=st.lists(ROWS, max_size=6), overwrite=st.booleans())
def test_the_same_batch_again_touches_no_row(
    new_tables: NewTables, history: list[tuple[str, Batch]], rows: list[Row], overwrite: bool
) -> None:
    """A run that finds nothing new writes nothing: not even the time of the run."""
    tables = new_tables()
    play(tables, history)
    tables.write(Batch(THINGS, rows, overwrite=overwrite))
    before = tables.rows_touched()
    written = tables.write(Batch(THINGS, rows, overwrite=overwrite))

    assert tables.rows_touched() == before
    assert (written.counts.unchanged, tuple(written.changed)) == (written.counts.read, ())
