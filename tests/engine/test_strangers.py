"""Records that are told of, are not here, and may not be anywhere: anybody may make up thousands of notifications."""

from collections.abc import Sequence
from datetime import timedelta

from tests.engine.shipping import SCOPE, SHIPMENTS, ship, shipped
from tests.engine.workshop import ORDERS, Workshop, at, hint, hints

from comporta.core.hint import DELAYS
from comporta.core.run import Run
from comporta.core.window import Kind

SETTLED = ("state", frozenset({"done"}))
ROOM = 100
"""Looks in vain, in an hour."""


async def ten_orders(workshop: Workshop) -> None:
    """Load ten orders; some may be hidden once they are done."""
    workshop.source.stream(settled=SETTLED).put_many(range(1, 11), stamp=at(9))
    await workshop.run()
    workshop.passes(minutes=30)


async def told_for(workshop: Workshop, *delays: timedelta, stream: str = ORDERS) -> list[Run]:
    """Look at what is hinted at, now and after each of these delays."""
    runs = [await workshop.run(Kind.NOTIFICATION, stream=stream)]
    for delay in delays:
        workshop.passes(seconds=delay.total_seconds())
        runs.append(await workshop.run(Kind.NOTIFICATION, stream=stream))
    return runs


async def in_vain(workshop: Workshop, runs: Sequence[Run]) -> int:
    """Return how often these runs asked for a record that was not there."""
    lines = [line for run in runs for _, _, line in await workshop.store.log(run.id) if line.step == "hints_handled"]
    return sum(int(str(line.fields[name])) for line in lines for name in ("later", "given_up"))


async def test_thousands_of_forged_orders_cost_few_looks_in_an_hour(workshop: Workshop) -> None:
    """What is here is read at once, and a new order that is told of among them comes with the window."""
    await ten_orders(workshop)
    workshop.source.stream().put(3, name="changed")
    workshop.source.stream().put(9_000, name="new")
    hint(workshop, 3, *range(1_000, 6_000), 9_000, told_at=workshop.source.now())

    runs = await told_for(workshop, *DELAYS[:4])
    changed = workshop.rows()[3]
    await workshop.run()

    assert (await in_vain(workshop, runs), changed) == (ROOM, "changed")
    assert workshop.rows() == workshop.truth()


async def test_the_same_ones_told_again_and_again_cost_no_more(workshop: Workshop) -> None:
    """Each time they count as just told of."""
    await ten_orders(workshop)
    runs = []
    for _ in range(10):
        hint(workshop, *range(1_000, 1_050), told_at=workshop.source.now())
        runs += await told_for(workshop, DELAYS[0])

    assert await in_vain(workshop, runs) == ROOM


async def test_after_a_day_nobody_waits_for_them_any_more(workshop: Workshop) -> None:
    """Half of what may be looked for in vain is for what is told of meanwhile."""
    await ten_orders(workshop)
    hint(workshop, *range(1_000, 4_000), told_at=workshop.source.now())
    runs = await told_for(workshop)
    workshop.passes(hours=1)
    hint(workshop, *range(4_000, 4_100), told_at=workshop.source.now())
    later = await told_for(workshop)
    runs += await told_for(workshop, *[timedelta(hours=1)] * 26)

    assert await in_vain(workshop, later) == ROOM
    assert await in_vain(workshop, runs) <= ROOM + 26 * ROOM / 2
    assert hints(workshop) == {}


async def test_what_no_window_shows_is_found_among_them(workshop: Workshop) -> None:
    """An order that came and was cancelled between two windows is hidden from searches; it waits its turn."""
    await ten_orders(workshop)
    hint(workshop, *range(1_000, 1_400), told_at=workshop.source.now())
    await told_for(workshop, DELAYS[0])
    workshop.source.stream().write(9_000, {"name": "cancelled", "state": "done"}, stamp=at(9))
    hint(workshop, 9_000, told_at=workshop.source.now())
    early = await told_for(workshop)
    await told_for(workshop, *[timedelta(hours=1)] * 12)

    assert early[0].counts.read == 0
    assert workshop.rows()[9_000] == "cancelled"


async def test_a_burst_of_new_records_is_read_at_once(workshop: Workshop) -> None:
    """They are not here either, but they are there."""
    await ten_orders(workshop)
    workshop.source.stream().put_many(range(1_000, 1_500))
    hint(workshop, *range(1_000, 1_500), told_at=workshop.source.now())

    (run,) = await told_for(workshop)

    assert (run.counts.inserted, hints(workshop)) == (500, {})


async def test_a_burst_of_new_records_among_others_takes_some_seconds_more(workshop: Workshop) -> None:
    """Of so many at once some may not be there; it is looked whether they are before the rest is."""
    await ten_orders(workshop)
    workshop.source.stream().put_many(range(1_000, 1_500))
    hint(workshop, *range(100, 130), *range(1_000, 1_500), told_at=workshop.source.now())

    await told_for(workshop, DELAYS[0], DELAYS[0])

    assert workshop.rows() == workshop.truth()


async def test_thousands_of_forged_shipments_cost_few_looks(workshop: Workshop) -> None:
    """What has no place is let go: an order that comes to name one has it read."""
    await shipped(workshop, 1)
    workshop.source.stream(SHIPMENTS).put(101, state="there")
    hint(workshop, 101, *range(1_000, 4_000), told_at=workshop.source.now(), scope=SCOPE)
    runs = []
    for delay in DELAYS:
        hint(workshop, *range(5_000, 5_500), told_at=workshop.source.now(), scope=SCOPE)
        runs += await told_for(workshop, delay, stream=SHIPMENTS)
    ship(workshop, 3_000)
    workshop.passes(minutes=5)
    await workshop.run()
    await workshop.run(stream=SHIPMENTS)

    assert await in_vain(workshop, runs) == ROOM
    assert workshop.rows(SHIPMENTS) == workshop.truth(SHIPMENTS)
    assert hints(workshop, SCOPE) == {}
