"""One suite for every place where budgets are kept: in memory, in a file, in a table, directly and through a pooler."""

import asyncio
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from comporta.core.allowance import Limit
from comporta.core.limit import LimitState, Plea, Verdict, ask, lost
from comporta.errors import ComportaError, DestinationBusy
from comporta.ledger.budget_file import BudgetFile
from comporta.ledger.budget_log import ROUNDS_MAX, Row, SharedLog
from comporta.ports.budget_log import BudgetLog
from comporta.ports.system_clock import SystemClock
from comporta.testing import FakeClock, MemoryLog

if TYPE_CHECKING:  # what speaks to PostgreSQL is loaded by the tests that do
    from comporta.ledger.postgres_address import Address

FIVE = Limit(5, 1.0)
WAYS = ["memory", "file", *(pytest.param(way, marks=pytest.mark.full) for way in ("table", "pooled"))]
SHARED = WAYS[1:]
Open = Callable[[], BudgetLog]


@pytest.fixture
async def open_log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Open]:
    """Return what opens the same log again, as another process would."""
    made: list[BudgetLog] = []
    clock = SystemClock()
    address = table(request, is_pooled=request.param == "pooled") if request.param in {"table", "pooled"} else None

    def open_() -> BudgetLog:
        if request.param == "memory":
            log: BudgetLog = made[0] if made else MemoryLog(clock)
        elif address is None:
            log = SharedLog(lambda: BudgetFile(tmp_path / "comporta.db", clock), clock)
        else:
            from comporta.ledger.budget_table import BudgetTable

            log = SharedLog(lambda: BudgetTable(address), clock)
        made.append(log)
        return log

    yield open_
    for log in made:
        await log.aclose()


def table(request: pytest.FixtureRequest, *, is_pooled: bool = False) -> "Address":
    """Return the way to a fresh ledger."""
    from comporta.ledger.postgres_address import Address
    from comporta.ledger.postgres_schema import connect, migrate

    address = Address.parse(request.getfixturevalue("postgres_url"))
    with closing(connect(address)) as connection:
        migrate(connection, address)
    return Address.parse(request.getfixturevalue("pgbouncer_url")) if is_pooled else address


def pleading(who: str) -> Callable[[LimitState, float], tuple[LimitState, Verdict]]:
    """Return the change that asks for one request."""
    return lambda state, now: ask(state, Plea(who, FIVE), now)


@pytest.mark.parametrize("open_log", WAYS, indirect=True)
async def test_what_one_wrote_the_other_sees(open_log: Open) -> None:
    """Each key has a state of its own; nothing is lost between two changes."""
    first, second = open_log(), open_log()

    def count(state: LimitState, now: float) -> tuple[LimitState, int]:
        stamps = (*state.stamps, (now, 1))
        return LimitState(stamps=stamps, touched=now), len(stamps)

    await first.change("reset", FIVE, lambda _, now: (LimitState(touched=now), None))
    counted = [(await log.change("reset", FIVE, count)).told for log in (first, second, first)]
    other = (await second.change("other", None, count)).told

    assert counted == [1, 2, 3]
    assert other == 1


@pytest.mark.parametrize("open_log", WAYS, indirect=True)
async def test_many_at_once_are_all_counted(open_log: Open) -> None:
    """Whoever was overtaken decides anew: of 60 changes by three at the same time none is lost."""
    logs = [open_log() for _ in range(3)]

    def count(state: LimitState, now: float) -> tuple[LimitState, float]:
        return LimitState(stamps=(*state.stamps, (now, 1)), touched=now), now

    await logs[0].change("k", None, lambda _, now: (LimitState(touched=now), None))
    told = await asyncio.gather(*(logs[n % 3].change("k", None, count) for n in range(60)))
    stamps = (await logs[0].change("k", None, lambda state, _: (state, state.stamps))).told

    assert sorted(at for at, _ in stamps) == sorted(answer.told for answer in told)
    assert [count for _, count in stamps] == [1] * 60


@pytest.mark.parametrize("open_log", WAYS, indirect=True)
async def test_the_instant_of_the_decision_is_told_by_ones_own_clock(open_log: Open) -> None:
    """Between two bounds, so what leaves neither before nor after by ours does neither by the log's."""
    clock = SystemClock()
    log = open_log()
    await log.change("k", None, lambda state, _: (state, None))

    for _ in range(20):
        before = clock.monotonic()
        answer = await log.change("k", None, lambda state, now: (state, now))
        assert before <= answer.earliest <= answer.latest <= clock.monotonic()


@pytest.mark.parametrize("open_log", SHARED, indirect=True)
async def test_a_log_that_cannot_be_reached_lets_nobody_pass(
    open_log: Open, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """An error with a code, and no permission."""
    if (tmp_path / "comporta.db-budgets").exists() or "file" in request.node.name:
        (tmp_path / "comporta.db-budgets").mkdir()
    else:
        from comporta.ledger.postgres_address import Address
        from comporta.ledger.postgres_schema import connect

        with closing(connect(Address.parse(request.getfixturevalue("postgres_url")))) as connection:
            connection.execute("DROP TABLE comporta.cmp_budget")

    with pytest.raises(ComportaError) as caught:
        await open_log().change("k", FIVE, pleading("me"))

    assert caught.value.code.startswith("CMP-DB-")


@pytest.mark.parametrize("open_log", ["table", "pooled"], indirect=True)
@pytest.mark.full
async def test_a_server_that_forgot_is_waited_for(open_log: Open, request: pytest.FixtureRequest) -> None:
    """An unlogged table is empty after a crash; what was sent before it counts all the same."""
    log = open_log()
    await log.change("k", FIVE, pleading("me"))
    from comporta.ledger.postgres_address import Address
    from comporta.ledger.postgres_schema import connect

    with closing(connect(Address.parse(request.getfixturevalue("postgres_url")))) as connection:
        connection.execute("TRUNCATE comporta.cmp_budget")
    verdict = (await log.change("k", FIVE, pleading("me"))).told

    assert not verdict.is_granted
    assert verdict.wait_s == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("open_log", ["table"], indirect=True)
@pytest.mark.full
async def test_a_lost_connection_is_made_again(open_log: Open, request: pytest.FixtureRequest) -> None:
    """A restart of the server, or of the pooler, costs a round."""
    log = open_log()
    await log.change("k", FIVE, pleading("me"))
    from comporta.ledger.postgres_address import Address
    from comporta.ledger.postgres_schema import connect

    with closing(connect(Address.parse(request.getfixturevalue("postgres_url")))) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    stamps = (await log.change("k", FIVE, lambda state, _: (state, state.stamps))).told

    assert stamps != ()


@pytest.mark.full
def test_a_server_that_is_frozen_is_not_waited_for_for_ever(request: pytest.FixtureRequest) -> None:
    """Every request of the process would wait with it, and the process could not even end."""
    from comporta.ledger.budget_table import BudgetTable

    with closing(BudgetTable(table(request), longest=timedelta(seconds=0.3))) as shelf:
        shelf.look(["k"])
        frozen = shelf.connection.info.backend_pid
        os.kill(frozen, signal.SIGSTOP)
        try:
            written = list(shelf.put({"k": Row(1, b"{}")}))
        finally:
            os.kill(frozen, signal.SIGCONT)
        seen, _ = shelf.look(["k"])

    assert written == ["k"]
    assert seen == {"k": Row(1, b"{}")}


def test_a_damaged_file_is_begun_anew_and_says_so(tmp_path: Path) -> None:
    """What was in it may have been sent a moment ago; so it says for ever after, to every process."""
    clock = SystemClock()
    database = tmp_path / "comporta.db"
    fresh = BudgetFile(database, clock)
    fresh.close()
    (tmp_path / "comporta.db-budgets").write_bytes(b"not a database at all" * 100)

    anew, later = BudgetFile(database, clock), BudgetFile(database, clock)

    assert (fresh.is_forgetful, anew.is_forgetful, later.is_forgetful) == (False, True, True)
    assert anew.put({"k": Row(1, b"x")}) == ["k"]
    assert later.look(["k"])[0] == {"k": Row(1, b"x")}
    anew.close()
    later.close()


def test_a_file_that_was_deleted_is_not_written_to(tmp_path: Path) -> None:
    """Nobody would see it: the file is made anew, as one that lost something, and the change is decided again."""
    shelf = BudgetFile(tmp_path / "comporta.db", SystemClock())
    shelf.put({"k": Row(1, b"x")})
    for path in tmp_path.glob("comporta.db-budgets*"):
        path.unlink()

    assert list(shelf.put({"k": Row(2, b"y")})) == []
    assert shelf.is_forgetful
    assert shelf.look(["k"])[0] == {}
    shelf.close()


async def test_a_state_of_another_version_counts_as_full(tmp_path: Path) -> None:
    """What cannot be read may have been written by somebody who has just sent all that is allowed."""
    clock = SystemClock()
    with closing(BudgetFile(tmp_path / "comporta.db", clock)) as shelf:
        shelf.put({"k": Row(1, b'{"stamps": "new in version 9"}')})
    log = SharedLog(lambda: BudgetFile(tmp_path / "comporta.db", clock), clock)
    state = (await log.change("k", FIVE, lambda state, _: (state, state))).told
    await log.aclose()

    assert state.stamps == lost(FIVE, state.touched).stamps


class Hurried:
    """A shelf on which somebody else is always quicker."""

    is_forgetful = False

    def look(self, keys: Sequence[str]) -> tuple[Mapping[str, Row], float]:
        return {}, 0.0

    def put(self, rows: Mapping[str, Row]) -> Iterable[str]:
        return []

    def close(self) -> None:
        pass


async def test_being_overtaken_has_a_bound() -> None:
    """It ends as an error that may pass."""
    log = SharedLog(Hurried, SystemClock())

    with pytest.raises(DestinationBusy, match=f"{ROUNDS_MAX} times"):
        await log.change("k", FIVE, pleading("me"))

    await log.aclose()


def test_the_file_waits_for_nobodys_batch(tmp_path: Path) -> None:
    """A database that is being written is another file."""
    database = tmp_path / "comporta.db"
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("CREATE TABLE rows(x)")
        other.execute("BEGIN IMMEDIATE")
        with closing(BudgetFile(database, SystemClock())) as shelf:
            done = shelf.put({"k": Row(1, b"x")})

    assert done == ["k"]


class Distant:
    """A shelf with a clock of its own, each look at which takes as long as the test says."""

    is_forgetful = False

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.there_s, self.back_s, self.set_s = 0.05, 0.05, 1_000.0

    def look(self, keys: Sequence[str]) -> tuple[Mapping[str, Row], float]:
        self._clock.advance(timedelta(seconds=self.there_s))
        now = self._clock.monotonic() + self.set_s
        self._clock.advance(timedelta(seconds=self.back_s))
        return {}, now

    def put(self, rows: Mapping[str, Row]) -> Iterable[str]:
        return list(rows)

    def close(self) -> None:
        pass


async def test_another_clock_is_read_as_exactly_as_the_quickest_looks_allow() -> None:
    """Each way was short once; a slow look is read by what those told. A clock that was set is read anew."""
    clock = FakeClock()
    shelf = Distant(clock)
    log = SharedLog(lambda: shelf, clock)
    bounds = []
    for there_s, back_s, set_s in [
        (0.05, 0.05, 1e3),
        (0.001, 0.05, 1e3),
        (0.05, 0.002, 1e3),
        (0.05, 0.05, 1e3),
        (0.05, 0.05, 500),
    ]:
        shelf.there_s, shelf.back_s, shelf.set_s = there_s, back_s, set_s
        answer = await log.change("k", None, lambda state, now: (state, now))
        at = answer.told - set_s  # by our clock
        bounds.append((round(at - answer.earliest, 6), round(answer.latest - at, 6)))
    await log.aclose()

    assert bounds == [(0.05, 0.05), (0.001, 0.05), (0.001, 0.002), (0.001, 0.002), (0.05, 0.05)]
