"""Runs that claim nothing: the first N records, and dry runs, which write nothing and say what a real run would do."""

from math import ceil

import pytest
from tests.engine.workshop import ORDERS, Workshop, at, code, counted

from comporta.core.record import ColumnType
from comporta.core.run import RunState
from comporta.core.window import Kind
from comporta.errors import SourceUnavailable
from comporta.ports.store import Change


async def test_the_first_records_claim_nothing(workshop: Workshop) -> None:
    """A run told to stop after N writes N, is marked partial, and leaves neither coverage nor resume point."""
    workshop.source.stream().put_many(range(1, 46), stamp=at(9))

    run = await workshop.run(max_records=25)

    assert (run.state, run.partial, run.counts.read) == (RunState.SUCCEEDED, True, 25)
    assert list(workshop.rows()) == list(range(1, 26))
    assert (await workshop.covered()).intervals == ()
    assert workshop.query("SELECT * FROM cmp_pass") == []


@pytest.mark.parametrize("maximum", [1, 9, 10, 11, 45, 60])
async def test_exactly_as_many_records_as_were_asked(workshop: Workshop, maximum: int) -> None:
    """The bound holds at, below and above the size of a page and of the stream."""
    workshop.source.stream().put_many(range(1, 46), stamp=at(9))

    run = await workshop.run(max_records=maximum)

    assert run.counts.read == min(maximum, 45)
    assert len(workshop.rows()) == min(maximum, 45)
    assert workshop.source.script.asked.count("page") == ceil(min(maximum, 45) / min(maximum, 10))


async def test_the_first_records_are_followed_by_a_whole_first_load(workshop: Workshop) -> None:
    """The next ordinary run reads everything from the start."""
    workshop.source.stream().put_many(range(1, 46), stamp=at(9))
    await workshop.run(max_records=25)

    run = await workshop.run()

    assert counted(run) == (45, 20, 0, 25, 0, 0)
    assert (await workshop.covered()).end == at(11, 58)


async def test_the_first_records_do_not_disturb_a_pass_under_way(workshop: Workshop) -> None:
    """Neither does a partial run go on with the resume point of a first load, nor does it move it."""
    workshop.source.stream().put_many(range(1, 46), stamp=at(9))
    workshop.source.script.on("page", skip=2, raises=SourceUnavailable("gone"))
    await workshop.run()
    partial = await workshop.run(max_records=5)

    resumed = await workshop.run()

    assert (partial.counts.read, partial.counts.unchanged) == (5, 5)
    assert resumed.counts.read == 25


async def test_a_partial_run_that_failed_leaves_no_resume_point(workshop: Workshop) -> None:
    """There is nothing to go on with: the next one reads from the start."""
    workshop.source.stream().put_many(range(1, 46), stamp=at(9))
    workshop.source.script.on("page", skip=1, raises=SourceUnavailable("gone"))

    await workshop.run(max_records=25)

    assert workshop.query("SELECT * FROM cmp_pass") == []


async def a_covered_past(workshop: Workshop) -> None:
    """Load thirty orders; then change some, add some, delete some, spoil one."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 31), stamp=at(9))
    await workshop.run()
    workshop.passes(hours=1)
    orders.put(2, name="changed")
    orders.put(31, name="new")
    orders.put(32, name="bad", spoilt="a date of the year 0")
    orders.remove(4, 5)
    workshop.passes(hours=1)


async def test_a_dry_first_load_makes_nothing(workshop: Workshop) -> None:
    """No table, no coverage, no resume point, no fact: the database is what it was."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(9))
    before = workshop.everything()

    run = await workshop.run(dry_run=True)

    assert counted(run) == (30, 30, 0, 0, 0, 0)
    assert run.dry_run
    assert workshop.everything() == before
    assert workshop.tables() == []


@pytest.mark.parametrize("kind", [Kind.INCREMENTAL, Kind.FULL, Kind.CLEAR_FIRST])
async def test_a_dry_run_writes_nothing_and_counts_what_the_real_run_counts(workshop: Workshop, kind: Kind) -> None:
    """Its six counts are those of the run that then does it, and until then nothing has moved."""
    await a_covered_past(workshop)
    before = workshop.everything()

    dry = await workshop.run(kind, dry_run=True)
    between = workshop.everything()
    real = await workshop.run(kind)

    assert between == before
    assert counted(dry) == counted(real)
    assert (dry.window_kind, dry.window_since, dry.window_until) == (
        real.window_kind,
        real.window_since,
        real.window_until,
    )


async def test_the_log_of_a_dry_run_claims_nothing(workshop: Workshop) -> None:
    """It says from the first line on that nothing is written."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(9))

    run = await workshop.run(dry_run=True)
    told = await workshop.told(run)

    assert told[0] == "started: dry-run, attempt 1 of 4"
    assert told.count("compared: 10 new, 0 changed, 0 unchanged, 0 rejected") == 3
    assert [line for line in told if line is None or line.startswith(("written", "covered"))] == []


async def test_a_dry_run_shows_each_change(workshop: Workshop) -> None:
    """What is new, changed and gone, by key and field, before and after."""
    await a_covered_past(workshop)

    await workshop.run(Kind.FULL, dry_run=True)

    changes = {change.key: change for change in workshop.witness.changes}
    assert {key: change.change for key, change in changes.items()} == {
        2: "updated",
        31: "inserted",
        4: "deleted",
        5: "deleted",
    }
    assert changes[2].fields["name"] == ("S00002", "changed")
    assert changes[4] == Change(4, "deleted", {})


async def test_a_dry_run_sees_that_the_question_changed(workshop: Workshop) -> None:
    """With another field it plans the full pass that the real run would make, and voids nothing."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 6), stamp=at(9))
    await workshop.run()
    orders.fields = {**orders.fields, "note": ColumnType.TEXT}
    before = workshop.everything()

    dry = await workshop.run(dry_run=True)
    between = workshop.everything()
    real = await workshop.run()

    assert (dry.window_kind, real.window_kind) == ("full", "full")
    assert counted(dry) == counted(real)
    assert between == before


async def test_a_dry_run_stops_at_another_database(workshop: Workshop) -> None:
    """What it would say about the wrong database would be worth nothing."""
    workshop.source.stream().put_many(range(1, 6), stamp=at(9))
    await workshop.run()
    workshop.source.becomes(unique="uuid-2")

    run = await workshop.run(dry_run=True)

    assert (run.state, code(run)) == (RunState.FAILED, "CMP-SRC-008")


async def test_a_dry_run_that_failed_leaves_nothing(workshop: Workshop) -> None:
    """Not even its plan stays behind."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(9))
    before = workshop.everything()
    workshop.source.script.on("page", skip=1, raises=SourceUnavailable("gone"))

    run = await workshop.run(dry_run=True)

    assert run.state is RunState.FAILED
    assert workshop.everything() == before
    assert await workshop.queued() == []


async def test_a_dry_run_does_not_go_on_with_a_resume_point(workshop: Workshop) -> None:
    """It reads the whole window and leaves the pass for the real run."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(9))
    workshop.source.script.on("page", skip=1, raises=SourceUnavailable("gone"))
    await workshop.run()

    dry = await workshop.run(dry_run=True)
    real = await workshop.run()

    assert counted(dry) == (30, 20, 0, 10, 0, 0)
    assert real.counts.read == 20


async def test_a_dry_run_holds_a_lease_of_its_own(workshop: Workshop) -> None:
    """It neither takes the stream's lease nor raises its epoch."""
    workshop.source.stream().put_many(range(1, 6), stamp=at(9))
    await workshop.run()
    before = await workshop.store.scope_state(f"matriz/{ORDERS}")

    run = await workshop.run(dry_run=True)

    assert run.scope == f"dry/{run.id}"
    assert await workshop.store.scope_state(f"matriz/{ORDERS}") == before
