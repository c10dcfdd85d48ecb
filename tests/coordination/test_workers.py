"""Places for runs: as many as there are, shared by account, and given back whatever happens."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from comporta.coordination.workers import Workers
from comporta.testing import FakeClock


class Work:
    """Runs that hold their places until told to end."""

    def __init__(self, workers: Workers) -> None:
        self.workers = workers
        self.going = asyncio.Event()
        self.seen: list[str] = []

    async def run(self, account: str) -> None:
        async with self.workers.place(account):
            self.seen.append(account)
            await self.going.wait()

    def begin(self, *accounts: str) -> list["asyncio.Task[None]"]:
        return [asyncio.ensure_future(self.run(account)) for account in accounts]


async def settle() -> None:
    """Let everything that can go on go on."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_no_more_runs_than_places() -> None:
    """The rest wait, and follow as places come free."""
    work = Work(Workers(2, FakeClock()))
    tasks = work.begin("a", "a", "a", "b")
    await settle()
    first = list(work.seen)
    work.going.set()
    await asyncio.gather(*tasks)

    assert sorted(first) == ["a", "b"] or first == ["a", "a"]
    assert sorted(work.seen) == ["a", "a", "a", "b"]


async def test_an_account_with_many_streams_keeps_no_other_waiting() -> None:
    """Both are at work: the second finds its place although the first wanted all of them before."""
    workers = Workers(3, FakeClock())
    work = Work(workers)
    with workers.at_work("many"), workers.at_work("one"):
        tasks = work.begin(*["many"] * 5)
        await settle()
        before = list(work.seen)
        tasks += work.begin("one")
        await settle()
        after = list(work.seen)
        work.going.set()
        await asyncio.gather(*tasks)

    assert before == ["many", "many"]
    assert after == ["many", "many", "one"]


async def test_a_place_that_was_kept_is_given_when_it_is_of_no_use_any_more() -> None:
    """The other account has ended: its place goes to who waits."""
    workers = Workers(2, FakeClock())
    work = Work(workers)
    async with AsyncExitStack() as stack:
        stack.enter_context(workers.at_work("many"))
        with workers.at_work("gone"):
            tasks = work.begin("many", "many")
            await settle()
            before = list(work.seen)
        await settle()
        after = list(work.seen)
        work.going.set()
        await asyncio.gather(*tasks)

    assert (before, after) == (["many"], ["many", "many"])


async def test_one_place_is_spared_for_accounts_that_may_come() -> None:
    """They are not at work yet, and find a place all the same."""
    work = Work(Workers(3, FakeClock(), known=("first", "second")))
    tasks = work.begin(*["a"] * 5)
    await settle()
    tasks += work.begin("b")
    await settle()
    seen = list(work.seen)
    work.going.set()
    await asyncio.gather(*tasks)

    assert seen == ["a", "a", "b"]


async def test_an_account_that_had_a_place_stands_behind_one_that_had_none() -> None:
    """Though it has wanted a second one for longer: where all hang, the others wait for one run, not for nine."""
    clock = FakeClock(is_jumping=False)
    workers = Workers(2, clock)
    seen: list[str] = []
    ends = {name: asyncio.Event() for name in "abc"}

    async def run(account: str) -> None:
        async with workers.place(account):
            seen.append(account)
            await ends[account].wait()

    tasks = [asyncio.ensure_future(run(account)) for account in "ababc"]
    await settle()
    before = list(seen)
    clock.advance(timedelta(minutes=5))
    ends["a"].set()
    await settle()
    for end in ends.values():
        end.set()
    await asyncio.gather(*tasks)

    assert (before, seen[2]) == (["a", "b"], "c")


async def test_an_account_whose_runs_hang_stands_behind_one_whose_runs_do_not() -> None:
    """A healthy account does all of its runs while others hang, though each had as many places as it."""
    clock = FakeClock(is_jumping=False)
    workers = Workers(2, clock)
    hangs = asyncio.Event()
    done: list[str] = []

    async def run(account: str, hanging: asyncio.Event | None) -> None:
        async with workers.place(account):
            if hanging is not None:
                await hanging.wait()
            done.append(account)

    bad = [asyncio.ensure_future(run(account, hangs)) for account in "ababab"]
    await settle()
    good = [asyncio.ensure_future(run("c", None)) for _ in range(3)]
    await settle()
    clock.advance(timedelta(minutes=5))
    bad[0].cancel()
    await settle()
    finished = list(done)
    hangs.set()
    await asyncio.gather(*bad, *good, return_exceptions=True)

    assert finished == ["c", "c", "c"]


@pytest.mark.parametrize("is_called", [False, True], ids=["waiting", "just called"])
async def test_who_is_cancelled_leaves_no_place_behind(is_called: bool) -> None:
    """While it waits, and in the very instant in which it was called."""
    work = Work(Workers(1, FakeClock()))
    (holder,) = work.begin("a")
    await settle()
    (waiting,) = work.begin("b")
    await settle()
    if is_called:
        work.going.set()
        await holder
        waiting.cancel()
    else:
        waiting.cancel()
        work.going.set()
        await holder
    await asyncio.wait([waiting])
    last = work.begin("c")
    await asyncio.wait_for(asyncio.gather(*last), 1)

    assert work.seen[-1] == "c"


async def test_who_is_called_and_cancelled_in_the_same_instant_gives_the_place_back() -> None:
    """It was given, and is never entered."""
    workers = Workers(1, FakeClock())
    async with workers.place("a"):
        waiting = asyncio.ensure_future(Work(workers).run("b"))
        await settle()
    waiting.cancel()  # nothing ran since the place was given to it
    await asyncio.wait([waiting])

    async with asyncio.timeout(1), workers.place("c"):
        assert waiting.cancelled()
