"""A column that somebody dropped, renamed or retyped comes back with its values, whoever looks first."""

import pytest
from tests.engine.workshop import Workshop, at, counted

from comporta.core.instant import BEGINNING
from comporta.core.record import ColumnType
from comporta.core.run import RunState
from comporta.core.window import Kind
from comporta.errors import SourceUnavailable
from comporta.testing import FakeSource
from comporta.testing.stream import FIELDS

LOSSES = {
    "dropped": ["ALTER TABLE fake_sale_order DROP COLUMN name"],
    "renamed": ["ALTER TABLE fake_sale_order RENAME COLUMN name TO title"],
    "retyped": [
        "ALTER TABLE fake_sale_order DROP COLUMN name",
        "ALTER TABLE fake_sale_order ADD COLUMN name INTEGER",
    ],
}


@pytest.fixture
async def loaded(workshop: Workshop) -> Workshop:
    """Return a workshop with twenty orders in its table, covered to noon."""
    workshop.source.stream().put_many(range(1, 21), stamp=at(9))
    await workshop.run()
    workshop.passes(minutes=30)
    return workshop


def lose(workshop: Workshop, *statements: str) -> None:
    """Do to the table what a person might."""
    for statement in statements:
        workshop.database.write(lambda s, statement=statement: s.connection.execute(statement)).result()  # type: ignore[misc]  # a lambda with a default


def named(workshop: Workshop) -> list[object]:
    """Return the names, from the column in which they are now."""
    columns = {name for (name,) in workshop.query("SELECT name FROM pragma_table_info('fake_sale_order')")}
    column = "name__text" if "name__text" in columns else "name"
    return [name for (name,) in workshop.query(f"SELECT {column} FROM fake_sale_order ORDER BY id")]


@pytest.mark.parametrize("kind", [Kind.INCREMENTAL, Kind.FULL])
@pytest.mark.parametrize("loss", LOSSES)
async def test_everything_is_read_and_written_again(loaded: Workshop, loss: str, kind: Kind) -> None:
    """The rows did not change at the source, and are no longer what was written."""
    before = named(loaded)
    lose(loaded, *LOSSES[loss])
    run = await loaded.run(kind)
    loaded.passes(minutes=30)
    after = await loaded.run()

    assert run.state is RunState.SUCCEEDED, run.error
    assert counted(run) == (20, 0, 20, 0, 0, 0)
    assert named(loaded) == before
    assert (await loaded.covered()).intervals[0].since == BEGINNING
    assert after.counts.updated == 0


async def test_whichever_run_looks_first_the_next_sync_reads_everything(loaded: Workshop) -> None:
    """A comparison makes the column again; it must not make the loss unseen."""
    before = named(loaded)
    lose(loaded, *LOSSES["dropped"])
    first = await loaded.run(Kind.RECONCILE)
    second = await loaded.run()

    assert (first.state, counted(second)) == (RunState.SUCCEEDED, (20, 0, 20, 0, 0, 0))
    assert named(loaded) == before


async def test_a_first_load_that_was_cut_off_begins_again(workshop: Workshop) -> None:
    """What it had read has lost the column too."""
    workshop.source.stream().put_many(range(1, 36), stamp=at(9))
    workshop.source.script.on("page", skip=2, raises=SourceUnavailable("the source went away"))
    cut = await workshop.run()
    lose(workshop, *LOSSES["dropped"])
    run = await workshop.run()

    assert (cut.state, counted(cut)[:2]) == (RunState.FAILED, (20, 20))
    assert (run.state, counted(run)) == (RunState.SUCCEEDED, (35, 15, 20, 0, 0, 0))
    assert workshop.rows() == workshop.truth()


async def test_a_field_that_only_another_account_has_is_no_loss(loaded: Workshop) -> None:
    """Its first run makes a column that the rows of others were never written with."""
    source = FakeSource(loaded.clock)
    source.stream(fields={**FIELDS, "colour": ColumnType.TEXT}).put(1, name="S1", colour="red")
    loaded.account(name="other", source=source)
    await loaded.sync()

    assert loaded.query(
        "SELECT account, count(*), count(_cmp_hash), count(colour) FROM fake_sale_order GROUP BY 1"
    ) == [
        ("matriz", 20, 20, 0),
        ("other", 1, 1, 1),
    ]
    assert (await loaded.covered()).intervals[0].since == BEGINNING


async def test_a_trial_that_asks_for_more_fields_is_no_loss(loaded: Workshop) -> None:
    """It claims nothing and doubts nothing: the rows are as their own question left them."""
    orders = loaded.source.stream()
    orders.fields = {**orders.fields, "colour": ColumnType.TEXT}
    trial = await loaded.run(Kind.FULL, max_records=5)

    assert (trial.state, trial.counts.read) == (RunState.SUCCEEDED, 5)
    assert loaded.query("SELECT count(*) FROM fake_sale_order WHERE _cmp_hash IS NULL") == [(0,)]
    assert (await loaded.covered()).intervals[0].since == BEGINNING


async def test_the_log_says_that_coverage_was_taken_back(workshop: Workshop) -> None:
    """Where there was any: not of a first window by hand, for which the table is made."""
    workshop.source.stream().put_many(range(1, 21), stamp=at(9))
    first = await workshop.run(Kind.MANUAL, since=at(8))
    lose(workshop, *LOSSES["dropped"])
    again = await workshop.run(Kind.MANUAL, since=at(8))
    logs = [[line.step for _, _, line in await workshop.store.log(run.id)] for run in (first, again)]
    found = await workshop.store.voided(first.scope, limit=10)

    assert [steps.count("coverage_voided") for steps in logs] == [0, 1]
    assert found is not None
    assert found.run == again.id
