"""A run that ended early is gone on with: the same bounds, no page twice, no row counted twice."""

import pytest
from tests.engine.workshop import Workshop, at, counted

from comporta.core.coverage import Interval
from comporta.core.instant import BEGINNING
from comporta.core.run import Run, RunState
from comporta.core.window import Kind
from comporta.errors import SourceUnavailable

GONE = SourceUnavailable("the source went away")


@pytest.mark.parametrize("page", range(5))
async def test_a_failure_at_any_page_costs_no_page(workshop: Workshop, page: int) -> None:
    """The next run goes on after the last committed page, with the same bounds, and counts only its own."""
    workshop.source.stream().put_many(range(1, 46), stamp=at(9))
    workshop.source.script.on("page", skip=page, raises=GONE)
    failed = await workshop.run()
    workshop.passes(hours=1)

    resumed = await workshop.run()

    assert failed.state is RunState.FAILED
    assert (failed.counts.read, resumed.counts.read) == (10 * page, 45 - 10 * page)
    assert (resumed.window_since, resumed.window_until) == (failed.window_since, failed.window_until)
    assert workshop.rows() == workshop.truth()
    assert (await workshop.covered()).intervals == (Interval(BEGINNING, at(11, 58)),)


@pytest.mark.parametrize("call", ["login", "clock", "count", "lookups"])
async def test_a_failure_before_the_first_page_claims_nothing(workshop: Workshop, call: str) -> None:
    """Whatever request fails, the run failed, nothing is covered, and the next run reads everything."""
    workshop.source.stream().put_many(range(1, 6), stamp=at(9))
    workshop.source.script.on(call, raises=GONE)

    failed = await workshop.run()
    covered = await workshop.covered()
    resumed = await workshop.run()

    assert failed.error is not None
    assert failed.error["code"] == "CMP-NET-001"
    assert covered.intervals == ()
    assert counted(resumed) == (5, 5, 0, 0, 0, 0)


async def test_a_failure_after_the_last_page_is_verified_again(workshop: Workshop) -> None:
    """When only the second count was missing, the next run reads no row and closes the window."""
    workshop.source.stream().put_many(range(1, 26), stamp=at(9))
    workshop.source.script.on("count", skip=1, raises=GONE)
    failed = await workshop.run()

    resumed = await workshop.run()

    assert (failed.counts.read, resumed.counts.read) == (25, 0)
    assert resumed.state is RunState.SUCCEEDED
    assert (await workshop.covered()).end == at(11, 58)


async def test_several_interruptions_add_up_to_one_pass(workshop: Workshop) -> None:
    """However often a first load is cut, the runs together count each record once."""
    workshop.source.stream().put_many(range(1, 46), stamp=at(9))
    runs: list[Run] = []
    for _ in range(4):
        workshop.source.script.on("page", skip=1, raises=GONE)
        runs.append(await workshop.run())
        workshop.passes(minutes=10)
    workshop.source.script.clear()

    runs.append(await workshop.run())

    assert [run.counts.inserted for run in runs] == [10, 10, 10, 10, 5]
    assert len({(run.window_since, run.window_until) for run in runs}) == 1
    assert len(workshop.query("SELECT id FROM fake_sale_order")) == 45


async def test_a_window_by_hand_leaves_the_resume_point_of_a_first_load(workshop: Workshop) -> None:
    """Somebody may read a window in between; the first load goes on where it stopped."""
    workshop.source.stream().put_many(range(1, 46), stamp=at(9))
    workshop.source.script.on("page", skip=3, raises=GONE)
    await workshop.run()
    by_hand = await workshop.run(Kind.MANUAL, since=at(8), until=at(10))

    resumed = await workshop.run()

    assert counted(by_hand) == (45, 15, 0, 30, 0, 0)
    assert counted(resumed) == (15, 0, 0, 15, 0, 0)
    assert (await workshop.covered()).intervals == (Interval(BEGINNING, at(11, 58)),)


async def test_what_changed_behind_the_reader_comes_with_the_next_window(workshop: Workshop) -> None:
    """A row that was changed after its page was read is stamped after the window, and is found there."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 46), stamp=at(9))
    workshop.source.script.on("page", skip=2, does=lambda: orders.put(1, name="changed meanwhile"))
    await workshop.run()
    workshop.passes(minutes=30)

    following = await workshop.run()

    assert following.counts.updated == 1
    assert workshop.rows() == workshop.truth()


async def test_a_deletion_between_two_attempts_is_found_by_the_full_pass(workshop: Workshop) -> None:
    """Rows read before the interruption and deleted before its continuation are not left standing."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 46), stamp=at(9))
    workshop.source.script.on("page", skip=3, raises=GONE)
    await workshop.run(Kind.FULL)
    orders.remove(2, 5)

    resumed = await workshop.run(Kind.FULL)

    assert resumed.state is RunState.SUCCEEDED
    assert workshop.deleted() == [2, 5]
    assert workshop.rows() == workshop.truth()
