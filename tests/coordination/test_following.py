"""What follows a run that ended well, and what does not."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta

from tests.coordination.always_on import Server
from tests.engine.shipping import SHIPMENTS, ship, shipments
from tests.engine.workshop import ORDERS, Workshop, at, hint, hints

from comporta.coordination.following import Following
from comporta.coordination.plans import Child, Feed
from comporta.coordination.sync import LOOKS_MAX
from comporta.core.notification import Notification
from comporta.core.record import ColumnType
from comporta.core.run import RunState, Trigger
from comporta.core.schedule import Every
from comporta.core.window import Kind


async def test_a_source_whose_clock_went_back_a_little_is_not_asked_again_at_once(workshop: Workshop) -> None:
    """The window claims nothing until that clock has caught up; a run that followed it would claim as little."""
    workshop.source.stream().put_many(range(1, 4), stamp=at(9))
    await workshop.run()
    covered = await workshop.covered()
    workshop.passes(minutes=1)
    workshop.source.offset = timedelta(minutes=-4)
    ended = await workshop.run()
    account = workshop.plans["matriz"]
    follows = await Following(workshop.store, workshop.clock, workshop.conduct).tickets(
        account, account.streams[ORDERS], ended
    )
    synced = await workshop.sync(ORDERS)

    assert (ended.state, ended.window_since) == (RunState.SUCCEEDED, ended.window_until)
    assert follows == []
    assert len(synced) == 1
    assert await workshop.covered() == covered


async def test_a_server_looks_at_the_values_of_changed_orders_after_each_run_of_the_orders(workshop: Workshop) -> None:
    """At once: their own sweep may be due hours later."""
    values = workshop.source.stream(
        "value", fields={"order_id": ColumnType.INTEGER}, parent="order_id", parent_stream=ORDERS, is_stamped=False
    )
    workshop.source.sweep_rows = 10
    orders = workshop.plan(ORDERS, children=(Child("value"),), schedule=Every(timedelta(minutes=30)))
    workshop.account(orders, workshop.plan("value"))
    workshop.source.stream().put_many(range(1, 4), stamp=at(9))
    values.put(1, order_id=1)
    await workshop.sync()
    workshop.source.stream().put(2, name="again")
    values.put(2, order_id=2)
    workshop.passes(minutes=5)

    await Server(workshop, poll=timedelta(minutes=5)).lives(timedelta(minutes=20))

    runs = [(run.stream, run.request) for run in await workshop.store.runs() if run.trigger is not Trigger.MANUAL]
    assert set(runs) == {(ORDERS, "incremental"), ("value", "notification")}
    assert workshop.query("SELECT id, order_id FROM fake_value ORDER BY id") == [(1, 1), (2, 2)]


async def test_what_is_told_while_a_run_looks_is_looked_at_by_a_run_that_follows_at_once(workshop: Workshop) -> None:
    """Nothing waits for the next tick of the schedule."""
    workshop.source.stream().put_many(range(1, 4), stamp=at(9))
    await workshop.run()
    hint(workshop, 1)
    workshop.source.script.on("fetch", does=lambda: hint(workshop, 2))
    account = workshop.plans["matriz"]
    following = Following(workshop.store, workshop.clock, workshop.conduct)
    follows = []
    for _ in range(2):
        ended = await workshop.run(Kind.NOTIFICATION)
        follows.append(await following.tickets(account, account.streams[ORDERS], ended))

    assert [[(each.stream, each.request.kind) for each in tickets] for tickets in follows] == [
        [(ORDERS, Kind.NOTIFICATION)],
        [],
    ]


async def test_what_the_first_orders_name_is_loaded_after_them_and_not_at_the_next_tick(workshop: Workshop) -> None:
    """Their shipments had their turn before there was an order; of an account that notifies, too."""
    shipments(workshop)
    ship(workshop, 1, 2)
    workshop.passes(minutes=5)
    await workshop.run(stream=SHIPMENTS)
    account = replace(workshop.plans["matriz"], feed=Feed("fake", lambda *_: None, lambda _: _none()))
    following = Following(workshop.store, workshop.clock, workshop.conduct)
    ended = await workshop.run()
    follows = await following.tickets(account, account.streams[ORDERS], ended)
    await workshop.run(stream=SHIPMENTS)
    ship(workshop, 3)
    ended = await workshop.run()
    later = await following.tickets(account, account.streams[ORDERS], ended)

    assert [(each.stream, each.request.text) for each in follows] == [(SHIPMENTS, "incremental")]
    assert later == []


async def _none() -> AsyncIterator[Sequence[Notification]]:
    nothing: list[Sequence[Notification]] = []
    for each in nothing:
        yield each


async def test_a_sync_ends_though_hints_keep_coming(workshop: Workshop) -> None:
    """It looks a few times more, and leaves the rest to who comes next."""
    workshop.source.stream().put_many(range(1, 4), stamp=at(9))
    await workshop.run()
    hint(workshop, 1)
    workshop.source.script.on("fetch", times=20, does=lambda: hint(workshop, 2))

    runs = await workshop.sync()

    assert [run.request for run in runs] == ["incremental", *["notification"] * LOOKS_MAX]
    assert list(hints(workshop)) == ["2"]
