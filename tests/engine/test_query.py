"""What coverage holds for: one database, one set of fields, one domain. Another starts from nothing."""

import pytest
from tests.engine.workshop import ORDERS, Workshop, at, code

from comporta.core.record import ColumnType
from comporta.core.run import RunState
from comporta.core.window import Kind
from comporta.errors import SourceUnavailable


def names_of(workshop: Workshop) -> set[object]:
    """Return the columns of the mirrored table."""
    return {name for (name,) in workshop.query("SELECT name FROM pragma_table_info('fake_sale_order')")}


async def test_a_new_field_is_read_for_every_row(workshop: Workshop) -> None:
    """A field that appears voids coverage, says so before anything is read, and a full pass fills it."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 6), stamp=at(9))
    await workshop.run()
    orders.fields = {**orders.fields, "note": ColumnType.TEXT}
    for key in range(1, 6):
        orders.put(key, stamp=at(9), note="hello")

    run = await workshop.run()

    steps = await workshop.steps(run)
    assert run.window_kind == "full"
    assert steps.index("coverage_voided") < steps.index("pass_started")
    assert "note" in names_of(workshop)
    assert workshop.query("SELECT count(*) FROM fake_sale_order WHERE note = 'hello'") == [(5,)]


async def test_another_domain_voids_coverage(workshop: Workshop) -> None:
    """What the old question covered says nothing about the new one; rows outside leave with proof."""
    orders = workshop.source.stream()
    for key in range(1, 11):
        orders.put(key, stamp=at(9), name=f"S{key}", state="sale" if key % 2 else "draft")
    await workshop.run()
    workshop.account(workshop.plan(domain=(("state", "=", "sale"),)))

    run = await workshop.run()

    assert run.window_kind == "full"
    assert list(workshop.rows()) == [1, 3, 5, 7, 9]
    assert workshop.deleted() == [2, 4, 6, 8, 10]


async def test_voided_coverage_is_not_claimed_before_the_full_pass_is_done(workshop: Workshop) -> None:
    """A failure in the pass that follows leaves nothing covered, and the same pass is gone on with."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 26), stamp=at(9))
    await workshop.run()
    workshop.account(workshop.plan(fields=("name",)))
    workshop.source.script.on("page", skip=1, raises=SourceUnavailable("gone"))
    failed = await workshop.run()
    covered = await workshop.covered()

    run = await workshop.run()

    assert failed.state is RunState.FAILED
    assert covered.intervals == ()
    assert (run.window_kind, run.counts.read) == ("full", 15)
    assert (await workshop.covered()).end == at(11, 58)


@pytest.mark.parametrize("kind", [Kind.INCREMENTAL, Kind.FULL, Kind.CLEAR_FIRST])
async def test_a_pass_for_another_question_is_not_gone_on_with(workshop: Workshop, kind: Kind) -> None:
    """When the fields changed between two attempts, the pass starts again."""
    workshop.source.stream().put_many(range(1, 26), stamp=at(9))
    workshop.source.script.on("page", skip=1, raises=SourceUnavailable("gone"))
    await workshop.run(kind)
    workshop.account(workshop.plan(fields=("name",)))

    run = await workshop.run(kind)

    assert run.counts.read == 25
    assert "pass_resumed" not in await workshop.steps(run)


async def test_the_same_question_voids_nothing(workshop: Workshop) -> None:
    """A run with nothing changed says nothing of coverage."""
    workshop.source.stream().put_many(range(1, 6), stamp=at(9))
    await workshop.run()

    run = await workshop.run()

    assert "coverage_voided" not in await workshop.steps(run)
    assert run.window_kind == "incremental"


@pytest.mark.parametrize("kind", [Kind.INCREMENTAL, Kind.FULL, Kind.CLEAR_FIRST, Kind.MANUAL])
async def test_another_database_behind_the_url_changes_nothing(workshop: Workshop, kind: Kind) -> None:
    """A test copy put in place of the real one stops the run before a row or a claim moves."""
    workshop.source.stream().put_many(range(1, 6), stamp=at(9))
    await workshop.run()
    before = workshop.everything()
    workshop.source.becomes(unique="uuid-2")
    workshop.source.stream().put_many(range(1, 9), stamp=at(10))

    run = await workshop.run(kind)

    assert (run.state, code(run)) == (RunState.FAILED, "CMP-SRC-008")
    assert await workshop.queued() == []
    assert workshop.everything() == before


async def test_another_database_stops_a_reconciliation_too(workshop: Workshop) -> None:
    """Comparing with the wrong database would call every row of ours deleted."""
    workshop.source.stream().put_many(range(1, 6), stamp=at(9))
    await workshop.run()
    before = workshop.everything()
    workshop.source.becomes(unique="uuid-2")
    workshop.source.stream().remove(1, 2)

    run = await workshop.run(Kind.RECONCILE, exact=True)

    assert (run.state, code(run)) == (RunState.FAILED, "CMP-SRC-008")
    assert workshop.everything() == before


async def test_another_database_mends_no_quarantine(workshop: Workshop) -> None:
    """Its record of the same key is another record."""
    workshop.source.stream().put(1, stamp=at(9), spoilt="a date of the year 0")
    await workshop.run()
    before = workshop.everything()
    workshop.source.becomes(unique="uuid-2")
    workshop.source.stream().put(1, stamp=at(9), name="another")

    run = await workshop.run(Kind.QUARANTINE)

    assert (run.state, code(run)) == (RunState.FAILED, "CMP-SRC-008")
    assert workshop.everything() == before


async def test_the_same_database_at_another_address_is_the_same(workshop: Workshop) -> None:
    """A server that moved keeps its coverage: the database's own id says that it is the same."""
    workshop.source.stream().put_many(range(1, 6), stamp=at(9))
    await workshop.run()
    workshop.source.becomes(url="https://new.example")

    run = await workshop.run()

    assert run.window_kind == "incremental"
    assert (await workshop.store.facts(f"matriz/{ORDERS}")).identity is not None


async def test_a_field_that_takes_anothers_place_is_written(workshop: Workshop) -> None:
    """Renamed at the source, with equal values at the same place: the new column must not stay empty."""
    stream = workshop.source.stream()
    stream.fields = {"name": ColumnType.TEXT, "tax_id": ColumnType.INTEGER}
    stream.put(1, stamp=at(9), name="S1", tax_id=7)
    await workshop.run()
    stream.fields = {"name": ColumnType.TEXT, "tax_ids": ColumnType.INTEGER}
    stream.put(1, stamp=at(9), tax_ids=7)
    workshop.passes(hours=1)

    run = await workshop.run()

    assert run.counts.updated == 1
    assert workshop.query("SELECT tax_ids FROM fake_sale_order") == [(7,)]


async def test_a_changed_type_is_another_query(workshop: Workshop) -> None:
    """Everything is read again, and what looks the same moves into the column of its new type."""
    stream = workshop.source.stream()
    stream.fields = {"name": ColumnType.TEXT, "due": ColumnType.DATE}
    stream.put(1, stamp=at(9), name="S1", due="2026-03-01")
    await workshop.run()
    stream.fields = {"name": ColumnType.TEXT, "due": ColumnType.TEXT}
    workshop.passes(hours=1)

    run = await workshop.run()

    assert run.window_kind == "full"
    assert workshop.query("SELECT due, due__text FROM fake_sale_order") == [(None, "2026-03-01")]
