"""A month of half-hours: coverage without holes, each tick one run at most, whatever happens to the servers.

The clock is virtual; crashes, deploys and downtime come by chance, two of three in the midst of a run.
``--month-days 30 --month-accounts 100`` plays it all, in the better part of an hour.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from tests.coordination.always_on import Server, open_awaited_workshop
from tests.engine.workshop import ORDERS, Workshop, at

from comporta.core.instant import BEGINNING
from comporta.core.run import RunState
from comporta.core.schedule import Every
from comporta.testing import FakeSource

pytestmark = [pytest.mark.full, pytest.mark.timeout(14_400), pytest.mark.usefixtures("nobody_stays")]
HALF_HOUR = timedelta(minutes=30)
PROMISE = 2 * HALF_HOUR
SLOW_POLL, STEP = timedelta(minutes=5), timedelta(minutes=2)
TICKS = "SELECT scope, scheduled_for, count(*) FROM cmp_run WHERE scheduled_for IS NOT NULL GROUP BY 1, 2"


@pytest.fixture
async def workshop(path: Path) -> AsyncIterator[Workshop]:
    """Return a workshop whose clock waits for the database."""
    async with open_awaited_workshop(path) as opened:
        yield opened


async def test_a_month_of_half_hours_leaves_no_hole_and_doubles_no_tick(
    workshop: Workshop, request: pytest.FixtureRequest, chaos_seed: int
) -> None:
    """Every stream is fresh within its promise whenever a server was there for as long."""
    dice = random.Random(chaos_seed)
    names = [f"loja{number}" for number in range(request.config.getoption("--month-accounts"))]
    sources = {name: FakeSource(workshop.clock) for name in names}
    for name, source in sources.items():
        source.stream().put_many(range(1, 4), stamp=at(9))
        workshop.account(workshop.plan(ORDERS, children=(), schedule=Every(HALF_HOUR)), name=name, source=source)
    end = workshop.clock.now() + timedelta(days=request.config.getoption("--month-days"))
    stale: list[str] = []
    while workshop.clock.now() < end:
        stale += await _life(workshop, sources, dice)
        workshop.passes(minutes=dice.choice([0, 0, 1, 50, 700]))
    last = Server(workshop, name="last", poll=SLOW_POLL).start()
    await _passes(workshop, PROMISE)
    await last.stop()

    doubled = [row for row in workshop.query(TICKS) if row[2] != 1]
    coverage = {name: await workshop.store.coverage(f"{name}/{ORDERS}") for name in names}
    assert {RunState.LOST, RunState.INTERRUPTED} & {run.state for run in await workshop.store.runs(limit=1_000_000)}
    assert stale == []
    assert doubled == []
    assert [name for name in names if len(coverage[name].intervals) != 1 or coverage[name].holes(BEGINNING)] == []
    assert await workshop.store.runs(state=RunState.RUNNING) == []
    assert all(workshop.rows(account=name) == _truth(sources[name]) for name in names)


async def _life(workshop: Workshop, sources: Mapping[str, FakeSource], dice: random.Random) -> list[str]:
    """Let a server live for a while and go in the midst of its work; return what it kept waiting too long."""
    server = Server(workshop, name=f"here:{dice.random()}", poll=SLOW_POLL).start()
    span = timedelta(minutes=dice.choice([7, 45, 90, 400, 1_300]))
    for _ in range(3):
        await _passes(workshop, span / 3)
        dice.choice(list(sources.values())).stream().put(dice.randrange(1, 50))
    ages = {name: await _age(workshop, name) for name in sources} if span > PROMISE + HALF_HOUR else {}
    struck = [sources[name] for name in dice.sample(sorted(sources), k=dice.choice([0, 1, 3]))]
    await _at_work(workshop, struck)
    await (server.kill() if dice.random() < 0.5 else server.stop())
    for source in struck:
        source.script.clear()
    return [f"{name}: {age} at {workshop.clock.now()}" for name, age in ages.items() if age > PROMISE]


async def _passes(workshop: Workshop, span: timedelta) -> None:
    """Let time pass in small steps, each after what is being written: the clock does not know of that."""
    until = workshop.clock.now() + span
    while workshop.clock.now() < until:
        await workshop.clock.sleep(STEP)
        await asyncio.wrap_future(workshop.database.write(lambda _: None))


async def _at_work(workshop: Workshop, sources: Sequence[FakeSource]) -> None:
    """Let time pass until one of the sources is asked for a page, and nobody gets any until its server is gone."""
    turns = [source.script.on("page", waits=True) for source in sources]
    until = workshop.clock.now() + HALF_HOUR + SLOW_POLL
    while turns and not any(turn.reached.is_set() for turn in turns):
        assert workshop.clock.now() < until
        await _passes(workshop, STEP)


async def _age(workshop: Workshop, name: str) -> timedelta:
    covered = (await workshop.store.coverage(f"{name}/{ORDERS}")).end
    return workshop.clock.now() - covered if covered is not None else PROMISE * 9


def _truth(source: FakeSource) -> dict[object, object]:
    return {key: each.values.get("name") for key, each in source.stream().records.items()}
