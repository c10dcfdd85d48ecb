"""Lines of a changed order are listed again: a line that was deleted leaves no trace of its own."""

import pytest
from tests.engine.workshop import LINES, ORDERS, Workshop, at, code, hint, hints

from comporta.coordination.sync import Wish
from comporta.core.run import RunState
from comporta.core.window import Kind, Request
from comporta.errors import SourceUnavailable


def write_order(workshop: Workshop, order: int, *lines: int) -> None:
    """Write an order and its lines at the source, all stamped now."""
    workshop.source.stream().put(order, name=f"S{order}")
    for line in lines:
        workshop.source.lines().put(line, name=f"line {line}", order_id=order)


async def ten_orders(workshop: Workshop) -> None:
    """Load ten orders of three lines; line 31 is the first of order 3."""
    workshop.account(workshop.plan(ORDERS), workshop.plan(LINES))
    for order in range(1, 11):
        workshop.source.stream().put(order, stamp=at(9), name=f"S{order}")
        for line in range(1, 4):
            workshop.source.lines().put(10 * order + line, stamp=at(9), name="line", order_id=order)
    await workshop.sync()
    workshop.passes(minutes=30)


async def test_a_deleted_line_is_marked_by_the_next_sync(workshop: Workshop) -> None:
    """Deleting a line changes its order; the same sync lists that order's lines again and marks the lost one."""
    await ten_orders(workshop)
    write_order(workshop, 3)
    workshop.source.lines().remove(31)
    workshop.passes(minutes=5)

    runs = await workshop.sync()

    assert workshop.deleted(LINES) == [31]
    assert [(run.stream, run.window_kind or run.request) for run in runs] == [
        (ORDERS, "incremental"),
        (LINES, "incremental"),
        (LINES, "notification"),
    ]


async def test_lines_are_listed_again_also_when_only_orders_were_asked(workshop: Workshop) -> None:
    """Somebody syncs the orders alone: the lines of what changed are made right all the same."""
    await ten_orders(workshop)
    write_order(workshop, 3, 34)
    workshop.source.lines().remove(31)
    workshop.passes(minutes=5)

    runs = await workshop.sync(ORDERS)

    assert workshop.deleted(LINES) == [31]
    assert 34 in workshop.rows(LINES)
    assert [run.stream for run in runs] == [ORDERS, LINES]


async def test_the_lines_of_a_deleted_order_go_with_it(workshop: Workshop) -> None:
    """An order that a full pass finds gone takes its lines along in the same sync."""
    await ten_orders(workshop)
    workshop.source.stream().remove(3)
    workshop.source.lines().remove(31, 32, 33)

    await workshop.sync(ORDERS, wish=workshop.wish(Kind.FULL))

    assert workshop.deleted() == [3]
    assert workshop.deleted(LINES) == [31, 32, 33]


async def test_unchanged_orders_cause_no_listing(workshop: Workshop) -> None:
    """Rows of the overlap that did not change give no hint."""
    await ten_orders(workshop)
    write_order(workshop, 3)
    workshop.passes(minutes=5)
    await workshop.sync()

    runs = await workshop.sync()

    assert [run.request for run in runs] == ["incremental", "incremental"]


async def test_a_line_that_moved_to_another_order_is_not_deleted(workshop: Workshop) -> None:
    """It is no longer among its old order's lines, but a direct look finds it."""
    await ten_orders(workshop)
    write_order(workshop, 3)
    workshop.source.lines().put(31, stamp=at(9), order_id=4)
    workshop.passes(minutes=5)

    await workshop.sync(ORDERS)

    assert workshop.deleted(LINES) == []


async def test_hints_outlive_a_failure(workshop: Workshop) -> None:
    """When listing the lines fails, the orders are remembered and the next sync lists them."""
    await ten_orders(workshop)
    write_order(workshop, 3)
    workshop.source.lines().remove(31)
    workshop.passes(minutes=5)
    workshop.source.script.on("children", times=4, raises=SourceUnavailable("gone"))
    failed = await workshop.sync(ORDERS)
    marked = workshop.deleted(LINES)

    await workshop.sync(ORDERS)

    assert [run.state for run in failed[1:]] == [RunState.FAILED] * 4
    assert marked == []
    assert workshop.deleted(LINES) == [31]


async def test_many_changed_orders_are_listed_in_portions(workshop: Workshop) -> None:
    """Five hundred orders are three requests, and every hint is drained."""
    workshop.account(workshop.plan(ORDERS), workshop.plan(LINES))
    workshop.source.page_size = 1000
    for order in range(1, 501):
        workshop.source.stream().put(order, stamp=at(9), name="S")
        workshop.source.lines().put(order, stamp=at(9), name="line", order_id=order)
    await workshop.sync()
    workshop.passes(minutes=30)
    for order in range(1, 501):
        write_order(workshop, order)
    workshop.source.lines().remove(1, 499)
    workshop.passes(minutes=5)

    await workshop.sync(ORDERS)

    assert workshop.deleted(LINES) == [1, 499]
    assert workshop.source.script.asked.count("children") == 3
    assert await workshop.store.hints(f"matriz/{LINES}", 1) == []


async def test_what_is_told_while_orders_are_asked_is_for_the_next_run(workshop: Workshop) -> None:
    """Which follows in the same sync; else a run would not end while orders keep changing."""
    await ten_orders(workshop)
    write_order(workshop, 3, 34)
    workshop.passes(minutes=5)
    workshop.source.script.on("children", times=2, does=lambda: hint(workshop, 4, scope=f"matriz/{LINES}"))

    runs = await workshop.sync(ORDERS)

    assert [run.request for run in runs] == ["incremental", *["notification"] * 3]
    assert workshop.source.script.asked.count("children") == 3
    assert hints(workshop, f"matriz/{LINES}") == {}


async def test_most_lines_gone_at_once_stop_and_ask(workshop: Workshop) -> None:
    """A login that lost its lines would see every order without any: nothing is marked."""
    await ten_orders(workshop)
    for order in range(1, 11):
        write_order(workshop, order)
    workshop.source.lines().remove(*[10 * order + line for order in range(1, 11) for line in range(1, 4)])
    workshop.passes(minutes=5)

    stopped = await workshop.sync(ORDERS)
    marked = workshop.deleted(LINES)
    await workshop.sync(ORDERS, wish=Wish(Request(), deletions_confirmed=True))

    assert (code(stopped[-1]), marked) == ("CMP-ROW-003", [])
    assert len(workshop.deleted(LINES)) == 30


async def test_lines_that_were_never_loaded_get_no_hints(workshop: Workshop) -> None:
    """Their first load reads them all anyway."""
    workshop.account(workshop.plan(ORDERS), workshop.plan(LINES))
    write_order(workshop, 1, 11, 12)

    await workshop.sync(ORDERS)

    assert await workshop.store.hints(f"matriz/{LINES}", 1) == []


async def test_listing_lines_for_another_database_stops(workshop: Workshop) -> None:
    """The lines of a test copy are not ours."""
    await ten_orders(workshop)
    write_order(workshop, 3)
    workshop.passes(minutes=5)
    await workshop.run(stream=ORDERS)
    workshop.source.becomes(unique="uuid-2")
    workshop.source.lines().remove(31)

    run = await workshop.run(Kind.NOTIFICATION, stream=LINES)

    assert (run.state, code(run)) == (RunState.FAILED, "CMP-SRC-008")
    assert workshop.deleted(LINES) == []


@pytest.mark.full
async def test_a_loss_that_comes_portion_by_portion_is_stopped(workshop: Workshop) -> None:
    """Lines that a record rule hides look deleted, two hundred orders at a time; the run's whole share counts."""
    orders, lines = workshop.source.stream(), workshop.source.lines()
    orders.put_many(range(1, 601), stamp=at(9))
    for key in range(1, 1201):
        lines.put(key, stamp=at(9), name=f"L{key}", order_id=1 + key % 600)
    workshop.account(workshop.plan(), workshop.plan(LINES))
    await workshop.sync()
    workshop.passes(hours=1)
    orders.put_many(range(1, 601))
    lines.remove(*range(1, 601))

    runs = await workshop.sync(ORDERS, syncer=workshop.syncer(deleted_share=0.2))

    assert code(runs[-1]) == "CMP-ROW-003"
    assert workshop.deleted(LINES) == []
