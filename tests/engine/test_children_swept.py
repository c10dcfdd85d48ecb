"""Children that are asked for parent by parent, and bear no stamp: by changed parent if that is cheap, else whole."""

from dataclasses import replace

import pytest
from tests.engine.workshop import LINES, ORDERS, Anything, Workshop, at, code

from comporta.coordination.plans import Child
from comporta.core.record import ColumnType
from comporta.core.run import Run, RunState
from comporta.core.window import Kind
from comporta.errors import SourceRefused, SourceUnavailable
from comporta.testing.stream import FakeStream

VALUES = "value"
SCOPE = f"matriz/{VALUES}"
ORDER_COUNT, EACH = 30, 3
PAGE = 10
CHEAP = ORDER_COUNT * EACH // PAGE
"""So many pages hold all values: a look at each of more orders costs more than these."""


def values(workshop: Workshop) -> FakeStream:
    """Return the values of the orders, which nothing stamps."""
    fields = {"name": ColumnType.TEXT, "order_id": ColumnType.INTEGER}
    return workshop.source.stream(VALUES, fields=fields, parent="order_id", parent_stream=ORDERS, is_stamped=False)


@pytest.fixture
async def loaded(workshop: Workshop) -> Workshop:
    """Return orders with three values each, all read; value 31 is the first of order 3."""
    workshop.source.sweep_rows = workshop.source.page_size = PAGE
    workshop.account(workshop.plan(ORDERS, children=(Child(VALUES),)), workshop.plan(VALUES))
    for order in range(1, ORDER_COUNT + 1):
        workshop.source.stream().put(order, stamp=at(9), name=f"S{order}")
        for number in range(1, EACH + 1):
            values(workshop).put(10 * order + number, name="as it was", order_id=order)
    await workshop.sync()
    workshop.passes(minutes=30)
    workshop.source.script.asked.clear()
    return workshop


def change(workshop: Workshop, *orders: int) -> None:
    """Change orders, and of each the first value, the second and what it has in all."""
    for order in orders:
        workshop.source.stream().put(order, name=f"S{order} again")
        values(workshop).put(10 * order + 1, name="changed", order_id=order)
        values(workshop).put(10 * order + 9, name="added", order_id=order)
        values(workshop).remove(10 * order + 2)
    workshop.passes(minutes=5)


async def hinted(workshop: Workshop) -> list[str]:
    """Return the orders whose values are to be looked at."""
    return [each.key for each in await workshop.store.hints(SCOPE, 1_000)]


async def of_orders(workshop: Workshop, **how: Anything) -> Run:
    """Run the orders alone, and nothing that follows."""
    return await workshop.run(stream=ORDERS, **how)


async def test_values_of_few_changed_orders_are_asked_for_by_order(loaded: Workshop) -> None:
    """What was added, changed and removed with them is here after the run of the orders, and nothing else was read."""
    change(loaded, 3, 4)
    values(loaded).put(51, name="unseen until the next sweep")

    runs = await loaded.sync(ORDERS)

    assert [(run.stream, run.request) for run in runs] == [(ORDERS, "incremental"), (VALUES, "notification")]
    assert loaded.rows(VALUES) == {**loaded.truth(VALUES), 51: "as it was"}
    assert loaded.deleted(VALUES) == [32, 42]
    assert loaded.source.script.asked.count("children") == 1
    assert await hinted(loaded) == []


@pytest.mark.parametrize(("more", "is_swept"), [(0, False), (1, True)])
async def test_an_import_is_swept(loaded: Workshop, *, more: int, is_swept: bool) -> None:
    """From the order on that makes it dearer to ask for each; the sweep claims, and answers every hint."""
    change(loaded, *range(1, CHEAP + more + 1))
    before = await loaded.covered(VALUES)

    (_, run) = await loaded.sync(ORDERS)

    assert (run.request, run.state) == ("notification", RunState.SUCCEEDED)
    assert ("children" not in loaded.source.script.asked) == is_swept
    assert ("sweep_chosen" in await loaded.steps(run)) == is_swept
    assert (await loaded.covered(VALUES) != before) == is_swept
    assert loaded.rows(VALUES) == loaded.truth(VALUES)
    assert await hinted(loaded) == []


async def test_a_sweep_answers_what_was_told_before_it_began(loaded: Workshop) -> None:
    """An order that changes while it reads is told again, and asked for by itself; the others are not asked again."""
    change(loaded, 3, 4)
    await of_orders(loaded)
    turn = loaded.source.script.on("page", skip=2, waits=True)
    sweeping = loaded.begin(stream=VALUES)
    await turn.reached.wait()
    loaded.source.stream().put(4, name="once more")
    await of_orders(loaded)
    turn.release()

    swept = await sweeping

    assert (swept.state, swept.request) == (RunState.SUCCEEDED, "incremental")
    assert await hinted(loaded) == ["4"]
    assert loaded.rows(VALUES) == loaded.truth(VALUES)


@pytest.mark.parametrize("how", [{"max_records": 5}, {"dry_run": True}, {}])
async def test_a_sweep_that_did_not_read_everything_answers_nothing(loaded: Workshop, how: dict[str, Anything]) -> None:
    """One that stopped early, wrote nothing, or failed: the orders are still to be looked at."""
    change(loaded, 3)
    await of_orders(loaded)
    if not how:
        loaded.source.script.on("page", skip=2, times=None, raises=SourceUnavailable("gone"))

    run = await loaded.run(stream=VALUES, **how)

    assert (run.state is RunState.SUCCEEDED) == bool(how)
    assert await hinted(loaded) == ["3"]


async def test_a_dry_run_of_orders_tells_nothing(loaded: Workshop) -> None:
    """It wrote no order."""
    change(loaded, 3)

    await of_orders(loaded, dry_run=True)

    assert await hinted(loaded) == []


async def test_values_that_are_not_synced_are_told_nothing(loaded: Workshop) -> None:
    """The account's streams changed: nobody would ever look."""
    loaded.account(loaded.plan(ORDERS, children=(Child(VALUES),)))
    change(loaded, 3)

    runs = await loaded.sync()

    assert [run.stream for run in runs] == [ORDERS]
    assert await hinted(loaded) == []


async def test_what_is_told_waits_while_values_are_paused(loaded: Workshop) -> None:
    """And is looked at when they are not any more."""
    plans = loaded.plans["matriz"].streams
    loaded.account(plans[ORDERS], replace(plans[VALUES], is_paused=True))
    change(loaded, 3)
    paused = await loaded.sync(ORDERS)
    loaded.account(*plans.values())

    await loaded.sync(ORDERS)

    assert [run.stream for run in paused] == [ORDERS]
    assert loaded.rows(VALUES) == loaded.truth(VALUES)


async def test_values_that_nothing_is_covered_of_are_swept(loaded: Workshop) -> None:
    """However few orders were told of: who lost the ground lost it for all."""
    change(loaded, 3)
    await of_orders(loaded)
    loaded.database.write(lambda session: session.connection.execute("DELETE FROM cmp_coverage")).result()

    run = await loaded.run(Kind.NOTIFICATION, stream=VALUES)

    assert run.state is RunState.SUCCEEDED
    assert "children" not in loaded.source.script.asked
    assert (await loaded.covered(VALUES)).intervals
    assert await hinted(loaded) == []


async def test_an_import_that_comes_while_orders_are_asked_is_left_to_a_sweep(loaded: Workshop) -> None:
    """The run ends, and the next one, which would look at more orders than all pages are, reads everything."""
    change(loaded, 3)
    await of_orders(loaded)
    turn = loaded.source.script.on("children", waits=True)
    relisting = loaded.begin(Kind.NOTIFICATION, stream=VALUES)
    await turn.reached.wait()
    change(loaded, *range(4, 5 + CHEAP))
    await of_orders(loaded)
    turn.release()
    first = await relisting
    left = await hinted(loaded)

    second = await loaded.run(Kind.NOTIFICATION, stream=VALUES)

    assert (first.state, len(left), second.state) == (RunState.SUCCEEDED, CHEAP + 1, RunState.SUCCEEDED)
    assert loaded.source.script.asked.count("children") == 1
    assert loaded.rows(VALUES) == loaded.truth(VALUES)
    assert await hinted(loaded) == []


async def test_most_values_gone_at_once_stop_and_ask(loaded: Workshop) -> None:
    """A key that may not see values any more would have every changed deal without any."""
    loaded.source.stream().put_many(range(1, CHEAP + 1))
    values(loaded).remove(*[10 * order + number for order in range(1, CHEAP + 1) for number in range(1, EACH + 1)])
    loaded.passes(minutes=5)

    (_, stopped) = await loaded.sync(ORDERS)

    assert (code(stopped), loaded.deleted(VALUES)) == ("CMP-ROW-003", [])
    assert len(await hinted(loaded)) == CHEAP


async def test_a_value_that_cannot_be_written_waits_and_is_not_gone(loaded: Workshop) -> None:
    """It is listed, so nobody looks for it; the others of its order are written."""
    change(loaded, 3)
    values(loaded).put(33, spoilt="no number", order_id=3)

    (_, run) = await loaded.sync(ORDERS)

    assert (run.counts.rejected, run.counts.deleted) == (1, 1)
    assert [each.key for each in await loaded.store.quarantine(SCOPE)] == ["33"]
    assert 33 in loaded.rows(VALUES)


async def test_a_sweep_that_goes_on_with_an_older_one_answers_nothing(loaded: Workshop) -> None:
    """What it read before the order changed it does not read again."""
    loaded.source.script.on("page", skip=2, raises=SourceUnavailable("gone"))
    await loaded.run(stream=VALUES)
    change(loaded, 1)
    await of_orders(loaded)

    run = await loaded.run(stream=VALUES)

    assert (run.state, "pass_resumed" in await loaded.steps(run)) == (RunState.SUCCEEDED, True)
    assert await hinted(loaded) == ["1"]


async def test_children_that_bear_a_stamp_are_asked_for_whatever_was_read(workshop: Workshop) -> None:
    """A full pass of order lines ends at an instant a little ago, and a change may be younger."""
    workshop.account(workshop.plan(ORDERS), workshop.plan(LINES))
    workshop.source.stream().put(1, stamp=at(9))
    workshop.source.lines().put(1, stamp=at(9), order_id=1)
    await workshop.sync()
    workshop.source.stream().put(1, name="again")
    workshop.passes(minutes=5)
    await of_orders(workshop)

    await workshop.run(Kind.FULL, stream=LINES)

    assert [each.key for each in await workshop.store.hints(f"matriz/{LINES}", 10)] == ["1"]


async def test_what_was_asked_for_is_not_asked_for_again(loaded: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that fails at its second portion has taken away the first one's hints, where nothing of it is gone."""
    monkeypatch.setattr("comporta.engine.children.PARENTS_MAX", 2)
    for order in range(1, 5):
        loaded.source.stream().put(order, name="again")
    loaded.passes(minutes=5)
    await of_orders(loaded)
    loaded.source.script.on("children", skip=1, raises=SourceRefused("no"))

    run = await loaded.run(Kind.NOTIFICATION, stream=VALUES)

    assert run.state is RunState.FAILED
    assert await hinted(loaded) == ["3", "4"]


async def test_a_sweep_that_a_person_has_to_look_at_is_not_begun_again_with_every_run(loaded: Workshop) -> None:
    """Most values are gone: each run of the orders would read them all again, to the same end."""
    change(loaded, *range(1, CHEAP + 3))
    values(loaded).remove(*list(values(loaded).records)[: ORDER_COUNT * 2])
    await of_orders(loaded)

    run = await loaded.run(Kind.NOTIFICATION, stream=VALUES)
    soon = await hinted(loaded)
    loaded.passes(hours=7)

    assert (run.state, code(run)) == (RunState.FAILED, "CMP-ROW-003")
    assert soon == []
    assert len(await hinted(loaded)) == CHEAP + 2


async def test_whoever_is_asked_is_told_a_command_that_reads_values(loaded: Workshop) -> None:
    """A stream that bears no stamp is compared by each sync of it, and `comporta reconcile` refuses it."""
    values(loaded).remove(*list(values(loaded).records)[: ORDER_COUNT * 2])

    stopped = await loaded.run(stream=VALUES)
    confirmed = await loaded.run(stream=VALUES, confirmed=True)

    assert stopped.error is not None
    assert f"`comporta sync {SCOPE} --yes`" in stopped.error["next_step"]
    assert "reconcile" not in stopped.error["next_step"]
    assert confirmed.counts.deleted == ORDER_COUNT * 2
