"""Crashes between every two awaits: whenever a process dies, the next one ends where a clean run ends.

Each request to the source and each call of the store is a boundary; a story is played once for each, and
the process is killed, cancelled or stopped exactly there. Killed means: not one more statement of it runs.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from enum import Enum
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from tests.engine.workshop import LINES, ORDERS, Workshop, at, open_workshop

from comporta.coordination.sync import Wish
from comporta.core.run import Run, RunState
from comporta.core.window import Kind, Request
from comporta.ports.store import Store

ASYNC = (
    "enqueue", "acquire", "skip", "prepare", "begin_pass", "commit", "finish", "coverage", "void_coverage", "open_pass",
    "facts", "learn", "hints", "stamps", "children", "buckets", "count_rows", "quarantine", "run", "runs",
    "scope_state",
)  # fmt: skip
STRIDE = 101
"""The quick test ends a process at few boundaries, in each story at others."""
Fresh = Callable[[], AbstractAsyncContextManager[Workshop]]
Story = Callable[[Workshop], Awaitable[Wish]]


class Death(Enum):
    """How a process ends."""

    KILLED = "killed"
    CANCELLED = "cancelled"
    STOPPED = "stopped"


SOFTER = (Death.CANCELLED, Death.STOPPED)


class KilledError(BaseException):
    """The process is gone: nothing of it may catch this."""


class Boundary:
    """Counts what a process asks of store and source, and ends it at the n-th."""

    def __init__(self, fatal: int, die: Callable[[], None]) -> None:
        self.passed = 0
        self.is_dead = False
        self._fatal = fatal
        self._die = die

    def cross(self) -> None:
        """Pass one boundary, or end there."""
        if self.passed == self._fatal:
            self.passed += 1
            self._die()
        self.passed += 1


class Mortal:
    """The store as a process sees it that may end before and after each call."""

    def __init__(self, store: Store, boundary: Boundary) -> None:
        self._store = store
        self._boundary = boundary

    def __getattr__(self, name: str) -> object:
        known = getattr(self._store, name)
        return self._guarded(known) if name in ASYNC else known

    def _guarded(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*args: object, **named: object) -> object:
            self._boundary.cross()
            answer = await method(*args, **named)
            self._boundary.cross()
            return answer

        return call


async def live_and_die(workshop: Workshop, wish: Wish, death: Death, fatal: int) -> int:
    """Play the sync as a process that ends at that boundary; return how many it passed, if it lived."""
    syncing: list[asyncio.Task[list[Run]]] = []

    def die() -> None:
        if death is Death.STOPPED:
            executor.stop()
            return
        if death is Death.CANCELLED:
            syncing[0].cancel()
            return
        boundary.is_dead = True
        raise KilledError

    boundary = Boundary(fatal, die)
    mortal = cast("Store", Mortal(workshop.store, boundary))
    executor = workshop.executor(mortal)
    workshop.source.script.watch = boundary.cross
    syncing.append(asyncio.ensure_future(workshop.sync(wish=wish, syncer=workshop.syncer(executor, mortal))))
    with suppress(KilledError, asyncio.CancelledError, BaseExceptionGroup):
        await syncing[0]
    workshop.source.script.watch = None
    return boundary.passed


async def resurrect(workshop: Workshop, wish: Wish) -> list[Run]:
    """Play the same sync again as another process, after the dead one's lease has run out."""
    workshop.passes(seconds=31)
    await workshop.store.reap()
    runs = await workshop.sync(wish=wish)
    return [*runs, *await workshop.sync()]


def a_company(workshop: Workshop) -> None:
    """Twenty-four orders with a line each; one order cannot be written."""
    workshop.account(workshop.plan(ORDERS), workshop.plan(LINES))
    for order in range(1, 25):
        workshop.source.stream().put(order, stamp=at(9), name=f"S{order}")
        workshop.source.lines().put(100 + order, stamp=at(9), name="line", order_id=order)
    workshop.source.stream().put(13, stamp=at(9), spoilt="a date of the year 0")


async def a_busy_day(workshop: Workshop) -> None:
    """Load the company; then change orders, add some, delete lines."""
    a_company(workshop)
    await workshop.sync()
    workshop.passes(minutes=30)
    for order in (3, 13, 25, 26):
        workshop.source.stream().put(order, name=f"changed {order}")
    workshop.source.lines().put(125, name="line", order_id=25)
    workshop.source.lines().remove(103)
    workshop.passes(minutes=30)


async def first_load(workshop: Workshop) -> Wish:
    """Nothing is here yet."""
    a_company(workshop)
    return Wish(Request())


async def increment(workshop: Workshop) -> Wish:
    """A day like any other, with deleted lines."""
    await a_busy_day(workshop)
    return Wish(Request())


async def whole(workshop: Workshop) -> Wish:
    """Everything again, with orders that are gone."""
    await a_busy_day(workshop)
    workshop.source.stream().remove(5)
    workshop.source.lines().remove(105)
    return Wish(Request(Kind.FULL))


async def clearing(workshop: Workshop) -> Wish:
    """Everything again, and nothing else."""
    await whole(workshop)
    return Wish(Request(Kind.CLEAR_FIRST))


STORIES: list[Story] = [first_load, increment, whole, clearing]


async def end_state(workshop: Workshop) -> dict[str, object]:
    """Return what must be the same however often a process died on the way."""
    columns = {
        "fake_sale_order": "id, name, _cmp_deleted_at IS NULL",
        "fake_sale_order_line": "id, name, order_id, _cmp_deleted_at IS NULL",
    }
    state: dict[str, object] = {
        table: workshop.query(f"SELECT {names} FROM {table} ORDER BY id") for table, names in columns.items()
    }
    for stream in (ORDERS, LINES):
        state[f"coverage of {stream}"] = len((await workshop.covered(stream)).intervals)
        state[f"hints of {stream}"] = await workshop.store.hints(f"matriz/{stream}", 9)
    state["waiting"] = [(each.key, each.reason) for each in await workshop.store.quarantine()]
    state["passes"] = workshop.query("SELECT request FROM cmp_pass")
    state["counts"] = workshop.query(
        "SELECT stream, sum(inserted), sum(deleted) FROM cmp_run GROUP BY stream ORDER BY 1"
    )
    return state


@pytest.fixture
def fresh(migrated: Path, tmp_path: Path) -> Fresh:
    """Return what opens a workshop with a database of its own, as often as wanted."""
    numbers = count()

    def make() -> AbstractAsyncContextManager[Workshop]:
        copy = tmp_path / f"{next(numbers)}.db"
        copy.write_bytes(migrated.read_bytes())
        return open_workshop(copy)

    return make


async def die_everywhere(fresh: Fresh, story: Story, death: Death, chosen: slice) -> None:
    """Play a story to its end, then once for each chosen boundary, and compare how it all ends."""
    async with fresh() as clean:
        wish = await story(clean)
        boundaries = await live_and_die(clean, wish, death, fatal=-1)
        await resurrect(clean, Wish(Request()))
        expected = await end_state(clean)

    for fatal in range(boundaries)[chosen]:
        async with fresh() as workshop:
            wish = await story(workshop)
            await live_and_die(workshop, wish, death, fatal)
            await resurrect(workshop, wish)

            where = f"{death.value} at boundary {fatal} of {boundaries}"
            assert (where, await end_state(workshop)) == (where, expected)
            assert (where, await workshop.store.runs(state=RunState.RUNNING)) == (where, [])


@pytest.mark.parametrize("death", [Death.KILLED, *(pytest.param(each, marks=pytest.mark.full) for each in SOFTER)])
@pytest.mark.parametrize("story", STORIES)
async def test_wherever_a_process_ends_the_next_one_ends_where_a_clean_run_ends(
    fresh: Fresh, story: Story, death: Death
) -> None:
    """Rows, deletions, coverage, quarantine, hints and all counts together are those of a run that never died."""
    place = len(Death) * STORIES.index(story) + list(Death).index(death)

    await die_everywhere(fresh, story, death, slice(3 * place, None, STRIDE))


@pytest.mark.full
@pytest.mark.timeout(120)
@pytest.mark.parametrize("death", Death)
@pytest.mark.parametrize("story", STORIES)
async def test_at_no_boundary_is_anything_lost_or_counted_twice(
    fresh: Fresh, story: Story, death: Death, *, is_deep: bool
) -> None:
    """As above, at every eighth boundary, and with ``--deep`` at every one there is."""
    chosen = slice(None) if is_deep else slice(Random().randrange(8), None, 8)

    await die_everywhere(fresh, story, death, chosen)
