"""Nothing is claimed before everything is provably here, whatever the source says or leaves out."""

from collections.abc import Sequence
from typing import Any

import pytest
from tests.engine.workshop import Workshop, at, code, counted

from comporta.core.run import RunState
from comporta.core.window import Kind
from comporta.errors import SourceRefused


async def test_counts_that_agree_need_no_second_look(workshop: Workshop) -> None:
    """Three equal numbers close the window without listing anything."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(9))

    run = await workshop.run(Kind.MANUAL, since=at(8), until=at(10))

    assert run.state is RunState.SUCCEEDED
    assert "listing" not in workshop.source.script.asked


async def test_a_count_that_lies_is_overruled_by_a_listing(workshop: Workshop) -> None:
    """The source says thirty-three, lists thirty, and all thirty are here: the window closes, and warns of it."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(9))
    workshop.source.script.on("count", times=None, answers=lambda number: number + 3)

    run = await workshop.run()

    levels = {line.step: line.level for _, _, line in await workshop.store.log(run.id)}
    assert run.state is RunState.SUCCEEDED, run.error
    assert levels["window_verified"] == "warning"
    assert workshop.rows() == workshop.truth()


async def test_a_short_page_loses_nothing(workshop: Workshop) -> None:
    """A server that cuts its pages is read to the end."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(9))
    workshop.source.script.on("page", skip=1, answers=lambda page: page[:4])

    run = await workshop.run()

    assert counted(run) == (30, 30, 0, 0, 0, 0)


def _without_middle(page: Sequence[Any]) -> Sequence[Any]:
    return [*page[:4], *page[6:]]


@pytest.mark.parametrize("page", range(3))
async def test_rows_left_out_of_a_page_are_fetched(workshop: Workshop, page: int) -> None:
    """The count misses them, the listing names them, and they are read by key before the window closes."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(9))
    workshop.source.script.on("page", skip=page, answers=_without_middle)

    run = await workshop.run()

    assert run.state is RunState.SUCCEEDED, run.error
    assert counted(run) == (30, 30, 0, 0, 0, 0)
    assert workshop.rows() == workshop.truth()


async def test_a_row_that_is_here_and_was_left_out_is_fetched_where_nothing_bears_a_stamp(workshop: Workshop) -> None:
    """It may have changed: that there is some row of that key says nothing."""
    things = workshop.source.stream(is_stamped=False)
    things.put_many(range(1, 31))
    await workshop.run()
    things.put(5, name="changed")
    workshop.passes(minutes=10)
    workshop.source.script.on("page", answers=_without_middle)

    run = await workshop.run()

    assert run.state is RunState.SUCCEEDED, run.error
    assert counted(run) == (30, 0, 1, 29, 0, 0)
    assert workshop.rows() == workshop.truth()


async def test_a_list_without_stamps_may_grow_quicker_than_it_is_fetched(workshop: Workshop) -> None:
    """What came after two listings is the next run's; what one of them left out itself is not."""
    things = workshop.source.stream(is_stamped=False)
    things.put_many(range(1, 31))
    younger = iter(range(31, 1000, 5))
    workshop.source.script.on("page", answers=_without_middle)
    workshop.source.script.on("page", skip=2, answers=_without_middle)
    workshop.source.script.on("listing", answers=lambda part: [each for each in part if each.key != 6][:24])
    workshop.source.script.on("listing", skip=1, answers=lambda _: [])
    workshop.source.script.on(
        "fetch", times=None, does=lambda: things.put_many(range(first := next(younger), first + 5))
    )

    run = await workshop.run()

    assert run.state is RunState.SUCCEEDED, run.error
    assert set(range(1, 31)) <= workshop.rows().keys() < workshop.truth().keys()


async def test_rows_that_never_come_keep_the_window_open(workshop: Workshop) -> None:
    """Listed four times and not to be had: the run fails with the keys and claims nothing."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(9))
    workshop.source.script.on("page", answers=_without_middle)
    workshop.source.script.on("fetch", times=None, answers=lambda _: [])

    run = await workshop.run()

    assert (run.state, code(run)) == (RunState.FAILED, "CMP-SRC-005")
    assert run.error is not None
    assert "[5, 6]" in run.error["message"]
    assert (await workshop.covered()).intervals == ()


async def test_an_empty_answer_that_the_count_contradicts_is_asked_again(workshop: Workshop) -> None:
    """No rows, but a count: the second look finds them, and they are read."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(9))
    workshop.source.script.on("page", answers=lambda _: [])
    workshop.source.script.on("follower", answers=lambda _: False)

    run = await workshop.run()

    assert run.state is RunState.SUCCEEDED, run.error
    assert workshop.rows() == workshop.truth()


async def test_an_empty_answer_that_nothing_confirms_fails(workshop: Workshop) -> None:
    """Twice nothing where the source counts thirty is no success, and no deletion either."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 31), stamp=at(9))
    await workshop.run()
    for call in ("page", "listing"):
        workshop.source.script.on(call, times=None, answers=lambda _: [])
    workshop.source.script.on("follower", times=None, answers=lambda _: False)

    run = await workshop.run(Kind.FULL)

    assert (run.state, code(run)) == (RunState.FAILED, "CMP-SRC-006")
    assert len(workshop.rows()) == 30


async def test_a_total_that_shrinks_without_a_reason_fails(workshop: Workshop) -> None:
    """The login lost access to half the company while we read: the numbers are told, nothing is claimed."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 31), stamp=at(9))
    workshop.source.script.on("page", skip=1, does=lambda: orders.remove(*range(21, 31)))

    run = await workshop.run()

    assert (run.state, code(run)) == (RunState.FAILED, "CMP-SRC-007")
    assert run.error is not None
    assert "30 records before and 20 after" in run.error["message"]
    assert (await workshop.covered()).intervals == ()


async def test_a_total_that_shrinks_by_rows_we_know_is_explained(workshop: Workshop) -> None:
    """Deleted behind the reader: each record that left is known by key, so the window closes."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 31), stamp=at(9))
    workshop.source.script.on("page", skip=2, does=lambda: orders.remove(3, 4))

    run = await workshop.run(Kind.MANUAL, since=at(8), until=at(10))

    assert run.state is RunState.SUCCEEDED, run.error
    assert "window_verified" in await workshop.steps(run)


async def test_rows_that_leave_a_bounded_window_are_explained(workshop: Workshop) -> None:
    """Stamped anew while we read, they leave a window with an upper bound; the next run brings them."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 31), stamp=at(9))
    workshop.source.script.on("page", skip=2, does=lambda: [orders.put(key, name="later") for key in (3, 14)])

    run = await workshop.run(Kind.MANUAL, since=at(8), until=at(10))

    assert run.state is RunState.SUCCEEDED, run.error
    assert (await workshop.covered()).covers((await workshop.covered()).intervals[0])


async def test_a_row_restamped_ahead_of_the_reader_leaves_without_harm(workshop: Workshop) -> None:
    """It left the bounded window before its page was read: no row is lost, for its new stamp lies after it."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 31), stamp=at(9))
    workshop.source.script.on("page", skip=1, does=lambda: orders.put(29, name="later"))
    by_hand = await workshop.run(Kind.MANUAL, since=at(8), until=at(10))
    workshop.passes(minutes=30)
    again = (
        by_hand if by_hand.state is RunState.SUCCEEDED else await workshop.run(Kind.MANUAL, since=at(8), until=at(10))
    )

    await workshop.run()

    assert again.state is RunState.SUCCEEDED, again.error
    assert workshop.rows() == workshop.truth()


async def test_rows_inserted_while_reading_do_not_disturb(workshop: Workshop) -> None:
    """New keys come at the end, counted or not; the window closes with everything listed here."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 31), stamp=at(9))
    workshop.source.script.on("page", skip=2, does=lambda: orders.put_many(range(31, 36)))

    run = await workshop.run()

    assert run.state is RunState.SUCCEEDED, run.error
    assert workshop.rows() == workshop.truth()


async def test_a_row_with_an_old_stamp_that_appears_behind_the_reader_is_found(workshop: Workshop) -> None:
    """A long transaction commits a low key while we read: the counts differ, the listing names it."""
    orders = workshop.source.stream()
    orders.put_many(range(2, 31), stamp=at(9))
    workshop.source.script.on("page", skip=2, does=lambda: orders.put(1, stamp=at(9), name="committed late"))

    run = await workshop.run()

    assert run.state is RunState.SUCCEEDED, run.error
    assert workshop.rows() == workshop.truth()


async def test_a_filter_that_is_ignored_stops_the_run(workshop: Workshop) -> None:
    """Rows outside the window came back: nothing the source says about the window can be believed."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(9))
    await workshop.run()
    before = await workshop.covered()
    workshop.passes(hours=1)
    workshop.source.ignores_filters = True

    run = await workshop.run()

    assert (run.state, code(run)) == (RunState.FAILED, "CMP-SRC-004")
    assert await workshop.covered() == before
    assert await workshop.queued() == []


async def test_a_record_that_waits_in_quarantine_is_not_missing(workshop: Workshop) -> None:
    """It is listed and not in the table, and yet accounted for: the window closes."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(9))
    workshop.source.stream().put(7, stamp=at(9), spoilt="a date of the year 0")
    workshop.source.script.on("count", times=None, answers=lambda number: number + 3)

    run = await workshop.run()

    assert run.state is RunState.SUCCEEDED, run.error
    assert counted(run) == (30, 29, 0, 0, 1, 0)


async def test_what_is_stamped_after_the_window_is_left_to_the_next_run(workshop: Workshop) -> None:
    """A listing shows it too; this window does not claim it, so it is not fetched for it."""
    orders = workshop.source.stream()
    orders.put_many(range(2, 31), stamp=at(9))
    workshop.source.script.on("page", skip=2, does=lambda: orders.put(1, name="brand new"))

    first = await workshop.run()
    here = set(workshop.rows())
    workshop.passes(minutes=30)
    second = await workshop.run()

    assert (first.state, 1 in here) == (RunState.SUCCEEDED, False)
    assert counted(second) == (1, 1, 0, 0, 0, 0)
    assert workshop.rows() == workshop.truth()


@pytest.mark.parametrize("total", [None, 29, "a fall"])
async def test_pages_that_met_need_no_total(workshop: Workshop, total: object) -> None:
    """Offset pages that overlapped are proof; a total that is absent, too low or falling is none against it."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(9))
    workshop.source.is_unbroken = True
    if total == "a fall":
        workshop.source.script.on("count", answers=lambda number: number + 3)
    else:
        workshop.source.script.on("count", times=None, answers=lambda _: total)

    run = await workshop.run()

    assert run.state is RunState.SUCCEEDED, run.error
    assert "listing" not in workshop.source.script.asked
    assert workshop.rows() == workshop.truth()


async def test_pages_that_met_are_looked_into_where_the_total_is_higher(workshop: Workshop) -> None:
    """Thirty-three by the source's count, thirty read: a second pass says who is right."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(9))
    workshop.source.is_unbroken = True
    workshop.source.script.on("count", times=None, answers=lambda number: number + 3)

    run = await workshop.run()

    assert run.state is RunState.SUCCEEDED, run.error
    assert "listing" in workshop.source.script.asked


async def test_nothing_at_all_is_believed_of_pages_that_met(workshop: Workshop) -> None:
    """An account without deals, and without a total, is synced."""
    workshop.source.stream()
    workshop.source.is_unbroken = True
    workshop.source.script.on("count", times=None, answers=lambda _: None)

    run = await workshop.run()

    assert (run.state, counted(run)) == (RunState.SUCCEEDED, (0, 0, 0, 0, 0, 0))


async def test_a_position_that_means_nothing_later_is_not_gone_on_from(workshop: Workshop) -> None:
    """A list that shifts under an offset: the next run reads the window from its beginning."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(9))
    workshop.source.is_resumable = False
    workshop.source.script.on("page", skip=1, raises=SourceRefused("no more"))

    first = await workshop.run()
    second = await workshop.run()

    assert (first.state, counted(first)) == (RunState.FAILED, (10, 10, 0, 0, 0, 0))
    assert (second.state, counted(second)) == (RunState.SUCCEEDED, (30, 20, 0, 10, 0, 0))


async def test_pages_of_two_runs_were_not_seen_to_meet(workshop: Workshop) -> None:
    """What a resumed pass read before proves nothing about where it goes on."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(9))
    workshop.source.is_unbroken = True
    workshop.source.script.on("count", times=None, answers=lambda _: None)
    workshop.source.script.on("page", skip=1, raises=SourceRefused("no more"))
    await workshop.run(Kind.MANUAL, since=at(8), until=at(10))

    second = await workshop.run(Kind.MANUAL, since=at(8), until=at(10))

    assert second.state is RunState.SUCCEEDED, second.error
    assert "listing" in workshop.source.script.asked
