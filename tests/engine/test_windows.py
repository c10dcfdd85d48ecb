"""First loads, overlaps, windows by hand: what coverage gains, and what it never gains."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.engine.workshop import MARGIN, Workshop, at, code, counted, open_workshop

from comporta.core.coverage import Interval
from comporta.core.instant import BEGINNING, short_text
from comporta.core.language import Language
from comporta.core.run import RunState
from comporta.core.window import Kind
from comporta.errors import SourceUnavailable
from comporta.observability.words import said


async def test_a_first_load_reads_everything_and_covers_to_the_clock(workshop: Workshop) -> None:
    """All records arrive, those without a stamp too, and coverage runs from the beginning to the margin."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 36), stamp=at(9))
    orders.unstamp(7)

    run = await workshop.run()

    assert run.state is RunState.SUCCEEDED, run.error
    assert counted(run) == (35, 35, 0, 0, 0, 0)
    assert workshop.rows() == workshop.truth()
    assert (await workshop.covered()).intervals == (Interval(BEGINNING, at(12) - MARGIN),)


async def test_the_next_run_reaches_back_by_the_overlap(workshop: Workshop) -> None:
    """An incremental run asks from the end of coverage less the overlap, and only what changed is written."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 21), stamp=at(9))
    await workshop.run()
    workshop.passes(minutes=30)
    orders.put(3, name="changed")
    orders.put(21, name="new")
    workshop.passes(minutes=30)

    run = await workshop.run()

    assert (run.window_since, run.window_until) == (at(11, 48), at(12, 58))
    assert counted(run) == (2, 1, 1, 0, 0, 0)
    assert workshop.rows() == workshop.truth()


async def test_a_window_is_told_as_it_is_read(workshop: Workshop) -> None:
    """Only what goes on from where coverage ends reaches back; a window that a person asked for is read as it is."""
    workshop.source.stream().put_many(range(1, 4), stamp=at(9))
    await workshop.run()
    workshop.passes(minutes=30)
    following = await workshop.run()
    asked = await workshop.run(Kind.MANUAL, since=at(9), until=at(10))

    lines = [line for run in (following, asked) for _, _, line in await workshop.store.log(run.id)]
    told = [said(line.step, line.fields, Language.EN) for line in lines if line.step == "window_planned"]

    assert told == [
        f"incremental: {short_text(following.window_since)} to {short_text(following.window_until)}, overlap 10m",
        f"manual: {short_text(at(9))} to {short_text(at(10))}",
    ]


async def test_what_did_not_change_is_not_written(workshop: Workshop) -> None:
    """A run that finds nothing new counts its rows as unchanged and leaves each of them as it stands."""
    workshop.source.stream().put_many(range(1, 21), stamp=at(11, 55))
    await workshop.run()
    before = workshop.query("SELECT * FROM fake_sale_order")
    workshop.passes(minutes=1)

    run = await workshop.run()

    assert counted(run) == (20, 0, 0, 20, 0, 0)
    assert workshop.query("SELECT * FROM fake_sale_order") == before


async def test_a_quiet_night_moves_coverage_on(workshop: Workshop) -> None:
    """An empty window that the source's own count confirms is covered like any other."""
    workshop.source.stream().put_many(range(1, 4), stamp=at(9))
    await workshop.run()
    workshop.passes(hours=8)

    run = await workshop.run()

    assert run.state is RunState.SUCCEEDED
    assert counted(run) == (0, 0, 0, 0, 0, 0)
    assert (await workshop.covered()).end == at(19, 58)


async def test_an_empty_stream_is_covered_too(workshop: Workshop) -> None:
    """Nothing at the source, confirmed by its count, is a first load like any other."""
    workshop.source.stream()

    run = await workshop.run()

    assert run.state is RunState.SUCCEEDED
    assert (await workshop.covered()).end == at(11, 58)


async def test_a_window_by_hand_adds_exactly_itself(workshop: Workshop) -> None:
    """Coverage gains the interval that was asked, and only its rows arrive."""
    orders = workshop.source.stream()
    for hour in range(1, 12):
        orders.put(hour, stamp=at(hour), name=f"at {hour}")

    run = await workshop.run(Kind.MANUAL, since=at(3), until=at(6))

    assert run.window_kind == "manual"
    assert list(workshop.rows()) == [3, 4, 5]
    assert (await workshop.covered()).intervals == (Interval(at(3), at(6)),)


async def test_a_window_that_ends_in_the_future_ends_at_the_clock(workshop: Workshop) -> None:
    """Nobody can cover what has not happened yet: the bound is clamped to the source's clock."""
    workshop.source.stream().put_many(range(1, 4), stamp=at(11))

    await workshop.run(Kind.MANUAL, since=at(10), until=at(23))

    assert (await workshop.covered()).intervals == (Interval(at(10), at(11, 58)),)


async def test_the_window_is_in_the_sources_time(path: Path) -> None:
    """A source whose clock is ahead of ours is asked and covered by its own."""
    async with open_workshop(path) as workshop:
        workshop.source.offset = timedelta(hours=3)
        workshop.source.stream().put_many(range(1, 4), stamp=at(14))

        await workshop.run()

        assert (await workshop.covered()).end == at(14, 58)
        assert (await workshop.store.facts("matriz/sale.order")).clock_offset_s == 10_800.0


async def test_what_a_clock_claimed_that_was_ahead_is_taken_back(workshop: Workshop) -> None:
    """Rows stamped while the claim lay in the future would be skipped for ever: they are read, and no hole stays."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 4), stamp=at(9))
    workshop.source.offset = timedelta(hours=3)
    await workshop.run()
    workshop.source.offset = timedelta()
    workshop.passes(minutes=30)
    orders.put(1, name="changed since", stamp=at(12, 20))
    orders.put(9, name="new since", stamp=at(12, 21))

    run = await workshop.run()

    assert run.state is RunState.SUCCEEDED
    assert "coverage_voided" in await workshop.steps(run)
    assert workshop.rows() == workshop.truth()
    assert (await workshop.covered()).end == at(12, 28)


async def test_a_clock_of_the_year_9999_claims_nothing(workshop: Workshop) -> None:
    """A clock that is not set at all ends the run with what to do; arithmetic with it would overflow."""
    workshop.source.stream().put_many(range(1, 4), stamp=at(9))
    workshop.source.offset = timedelta(days=365 * 7000)

    run = await workshop.run()

    assert code(run) == "CMP-SRC-001"
    assert (await workshop.covered()).intervals == ()


async def test_a_full_pass_of_last_month_is_not_gone_on_with(workshop: Workshop) -> None:
    """Who asks for everything by hand means today's: rows read weeks ago are read again."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 36), stamp=at(9))
    await workshop.run()
    workshop.source.script.on("page", skip=2, raises=SourceUnavailable("gone"))
    await workshop.run(Kind.FULL)
    for queued in await workshop.queued():
        await workshop.store.cancel(queued.id)
    workshop.source.script.clear()
    workshop.passes(days=30)
    orders.put(1, name="changed by SQL", stamp=at(9))

    run = await workshop.run(Kind.FULL)

    assert run.counts.read == 35
    assert workshop.rows() == workshop.truth()


async def test_a_clear_first_load_is_never_handed_over(workshop: Workshop) -> None:
    """What removes rows is done for who confirmed it, and by nobody else later."""
    workshop.source.stream().put_many(range(1, 36), stamp=at(9))
    await workshop.run()
    workshop.source.script.on("page", skip=2, raises=SourceUnavailable("gone"))

    run = await workshop.run(Kind.CLEAR_FIRST)

    assert run.state is RunState.FAILED
    assert await workshop.queued() == []


async def test_a_hole_from_the_beginning_brings_rows_without_a_stamp(workshop: Workshop) -> None:
    """Coverage without a lower bound claims them too."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 4), stamp=at(9))
    orders.unstamp(2)
    await workshop.run(Kind.MANUAL, since=at(10))

    await workshop.sync()

    assert workshop.rows() == workshop.truth()
    assert (await workshop.covered()).holes(BEGINNING) == ()


async def test_a_row_of_the_year_2099_pulls_nothing_forward(workshop: Workshop) -> None:
    """It is written and warned of; the window still ends at the clock, and later rows are found."""
    orders = workshop.source.stream()
    orders.put(1, stamp=datetime(2099, 1, 1, tzinfo=UTC), name="from the future")

    run = await workshop.run()
    workshop.passes(minutes=30)
    orders.put(2, name="from the present")
    workshop.passes(minutes=30)
    await workshop.run()

    assert "stale_rows_ahead" in await workshop.steps(run)
    assert (await workshop.covered()).end == at(12, 58)
    assert workshop.rows() == workshop.truth()


async def test_a_stream_that_begins_somewhere_is_not_read_before(workshop: Workshop) -> None:
    """With a start, the first load asks from there, and there is no hole before it."""
    orders = workshop.source.stream()
    orders.put(1, stamp=at(3))
    orders.put(2, stamp=at(9), name="S2")
    workshop.account(workshop.plan(origin_text="2026-03-10T08:00:00Z"))

    await workshop.run()

    assert workshop.rows() == {2: "S2"}
    assert (await workshop.covered()).intervals == (Interval(at(8), at(11, 58)),)
    assert (await workshop.covered()).holes(at(8)) == ()


async def test_a_stream_without_stamps_is_read_whole_each_time(workshop: Workshop) -> None:
    """Where nothing can be filtered, every run reads everything and finds what is gone."""
    orders = workshop.source.stream(is_stamped=False)
    orders.put_many(range(1, 6))
    await workshop.run()
    orders.remove(3)
    workshop.passes(minutes=30)

    run = await workshop.run()

    assert counted(run) == (4, 0, 0, 4, 0, 1)
    assert workshop.deleted() == [3]


async def test_a_window_by_hand_of_a_stream_without_stamps_is_everything(workshop: Workshop) -> None:
    """Nothing else can be asked for; and what was read whole leaves no hole before it."""
    workshop.source.stream(is_stamped=False).put_many(range(1, 6))

    run = await workshop.run(Kind.MANUAL, since=at(9))

    assert counted(run) == (5, 5, 0, 0, 0, 0)
    assert (await workshop.covered()).holes(BEGINNING) == ()


@pytest.mark.parametrize("minutes", range(1, 10))
async def test_a_commit_that_is_late_by_less_than_the_overlap_is_never_missed(workshop: Workshop, minutes: int) -> None:
    """However the run falls into the transaction: stamped before its window's end, seen after it was read."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 4), stamp=at(9))
    await workshop.run()
    late = orders.begin()
    late.put(4, name="late")
    workshop.passes(minutes=minutes)
    await workshop.run()
    was_missed = 4 not in workshop.rows()
    late.commit()
    workshop.passes(minutes=30)

    await workshop.run()

    assert was_missed
    assert orders.records[4].stamp == "2026-03-10T12:00:00.000000Z"
    assert workshop.rows() == workshop.truth()


async def test_a_table_that_somebody_dropped_is_filled_again(workshop: Workshop) -> None:
    """Its coverage spoke of rows that are gone with it."""
    workshop.source.stream().put_many(range(1, 21), stamp=at(9))
    await workshop.run()
    workshop.database.write(lambda s: s.connection.execute("DROP TABLE fake_sale_order")).result()
    workshop.passes(minutes=30)

    run = await workshop.run()

    assert run.state is RunState.SUCCEEDED, run.error
    assert counted(run) == (20, 20, 0, 0, 0, 0)
    assert workshop.rows() == workshop.truth()
    assert (await workshop.covered()).intervals[0].since == BEGINNING
