"""What follows a run that ended well, and what does not."""

from datetime import timedelta

from tests.coordination.always_on import Server
from tests.engine.workshop import ORDERS, Workshop, at

from comporta.coordination.following import Following
from comporta.coordination.plans import Child
from comporta.core.record import ColumnType
from comporta.core.run import RunState, Trigger
from comporta.core.schedule import Every


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
