"""A process that syncs until it is killed, on real settings and a real database; only its source is invented.

What the test must know of it and cannot read from the database, it writes to its diary, a line at once: each
batch it was told is committed, how each COMMIT of unknown outcome was settled, each stop of its own. With a
small chance it stops or kills itself at the named points of a transaction, where no signal from outside hits.
"""

import asyncio
import json
import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from psycopg_pool.base import AttemptWithBackoff
from tests.chaos.clockwork import STREAMS, Clockwork, Times
from tests.chaos.mutants import mutate

from comporta.bootstrap import account_plans, workspaces
from comporta.bootstrap.databases import open_store as really_open_store
from comporta.coordination import execute, rescuer, sync
from comporta.core import ticket
from comporta.core.lease import Lease, ScopeState, Settlement
from comporta.core.lease import settle as core_settle
from comporta.core.retry import RetryPolicy
from comporta.core.run import Run, RunState
from comporta.core.window import Kind, Request
from comporta.engine import work
from comporta.errors import DestinationRefused, Retryable
from comporta.ledger import leases, postgres_schema
from comporta.ledger.session import Database
from comporta.ledger.store import LedgerStore
from comporta.ports.progress import LogLine
from comporta.ports.store import Batch, Committed, Ending
from comporta.ports.system_clock import SystemClock
from comporta.settings.reading import read_settings
from comporta.settings.tree import Settings
from comporta.workspace.workspace import Workspace

ACCOUNT = "matriz"
TOKEN = "chaos_batch"
IDLE_S = 2
REST_S = 30
LOOPS = 2
"""Syncs that one process does side by side, so that its connections are many."""
POINTS = ("after_acquire", "before_fence", "after_fence", "before_release")
T = TypeVar("T")


@dataclass(frozen=True)
class Orders:
    """How a worker is to work: all that its command line says."""

    config: str
    diary: str
    seed: int
    source_seed: int
    begins: float
    until: float
    rate: float = 20.0
    latency_s: float = 0.005
    page_size: int = 10
    stop_odds: float = 0.0
    die_odds: float = 0.0
    slow_odds: float = 0.0
    slow_s: float = 0.0
    mutant: str = "sound"
    task: str = "forever"

    @property
    def line(self) -> list[str]:
        """Return the command line of such a worker."""
        return [sys.executable, "-m", "tests.chaos.worker", json.dumps(asdict(self))]

    def source(self) -> Clockwork:
        """Return the source that all workers see."""
        begins, until = (datetime.fromtimestamp(each, UTC) for each in (self.begins, self.until))
        return Clockwork(
            SystemClock(),
            Times(begins, until, self.rate),
            seed=self.source_seed,
            page_size=self.page_size,
            latency=timedelta(seconds=self.latency_s),
        )


class Diary:
    """What outlives the process: lines in a file, each written at once."""

    def __init__(self, path: str) -> None:
        self._file = Path(path).open("a", encoding="utf-8", buffering=1)  # noqa: SIM115  open as long as the process

    def write(self, *words: object) -> None:
        """Write a line."""
        self._file.write(" ".join(map(str, words)) + "\n")


class WitnessedStore(LedgerStore):
    """A store that marks each batch in the log of its run, and notes in the diary which were told committed."""

    diary: Diary
    marks: dict[str, tuple[Batch, str]]

    async def commit(self, lease: Lease, batch: Batch, ending: Ending | None = None) -> Committed:
        """Commit; a batch that is repeated keeps its mark."""
        known, mark = self.marks.get(lease.holder, (None, ""))
        if known is not batch:
            mark = uuid4().hex
        self.marks[lease.holder] = (batch, mark)
        marked = replace(batch, log=(*batch.log, LogLine("info", TOKEN, mark)))
        committed = await super().commit(lease, marked, ending)
        self.diary.write("acknowledged", mark)
        return committed


def plug_in(orders: Orders, diary: Diary) -> None:
    """Put the invented source and the witnesses into the product, and make its patience short."""
    marks: dict[str, tuple[Batch, str]] = {}
    at_point = _points(orders, diary)

    def open_store(database: Database, settings: Settings) -> LedgerStore:
        usual = really_open_store(database, settings)
        store = WitnessedStore(database, usual._destination, ttl=settings.lease, checkpoint=at_point)
        store.diary, store.marks = diary, marks
        return store

    really_conduct = workspaces._conduct
    workspaces._conduct = lambda settings: replace(really_conduct(settings), batch_rows_max=orders.page_size)
    account_plans.make_source = lambda *_, **__: orders.source()  # type: ignore[attr-defined]  # taken where it is used
    workspaces.open_store = open_store  # type: ignore[attr-defined]  # as above
    postgres_schema.LOCALS = {
        **postgres_schema.LOCALS,
        "idle_in_transaction_session_timeout": f"{IDLE_S}s",
        "lock_timeout": "4s",
    }
    rescuer.EVERY = timedelta(seconds=1)
    sync.POLL = timedelta(seconds=0.4)
    AttemptWithBackoff.INITIAL_DELAY = 0.1  # a second would leave little time to work in
    impatient = RetryPolicy(retries=3, base=timedelta(seconds=0.5), cap=timedelta(seconds=2))
    execute.RUN_RETRIES = ticket.RUN_RETRIES = impatient  # type: ignore[attr-defined]  # on purpose
    _witness_settlements(diary, marks)


def _points(orders: Orders, diary: Diary) -> Callable[[str], None]:
    """Return what happens at the named points of a transaction."""
    dice = random.Random(f"{orders.seed}/points")
    acts = (("slow", orders.slow_odds), ("stops_itself", orders.stop_odds), ("kills_itself", orders.die_odds))

    def at_point(name: str) -> None:
        thrown = dice.random()
        for act, odds in acts if name in POINTS else ():
            if thrown < odds:
                diary.write(act, name)
                if act == "slow":
                    threading.Event().wait(orders.slow_s)
                else:
                    os.kill(os.getpid(), signal.SIGSTOP if act == "stops_itself" else signal.SIGKILL)
                return
            thrown -= odds

    return at_point


def _witness_settlements(diary: Diary, marks: dict[str, tuple[Batch, str]]) -> None:
    """Note how each write of unknown outcome was settled, of the batches and of what is beside them."""

    def settle(lease: Lease, seen: ScopeState) -> Settlement:
        settlement = core_settle(lease, seen)
        diary.write("settled", settlement.value)
        if settlement is Settlement.HAPPENED:
            diary.write("acknowledged", marks[lease.holder][1])
        return settlement

    work.settle = settle  # type: ignore[attr-defined]  # on purpose
    for name in [name for name in vars(leases) if name.endswith("_before")]:
        setattr(leases, name, _noted(getattr(leases, name), name.lstrip("_"), diary))


def _noted(look: Callable[..., T | None], name: str, diary: Diary) -> Callable[..., T | None]:
    def noted(*given: object, **named: object) -> T | None:
        found = look(*given, **named)
        diary.write("looked", name, "happened" if found is not None else "not_yet")
        return found

    return noted


async def work_forever(orders: Orders, diary: Diary) -> None:
    """Sync without end, or until SIGTERM asks to hand over; a database that is away is opened again."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    settings = read_settings(Path(orders.config))
    dice = random.Random(orders.seed)
    while not stopping.is_set():
        try:
            async with workspaces.open_workspace(settings) as workspace:
                await _work(workspace, stopping, dice, diary)
        except* (Retryable, DestinationRefused) as group:
            for error in group.exceptions:
                diary.write("away", getattr(error, "code", type(error).__name__), error)
            await SystemClock().sleep(timedelta(seconds=0.2))


async def work_once(orders: Orders) -> None:
    """Bring everything to rest: sync until nothing is queued any more, or repair what no window shows."""
    scopes = [f"{ACCOUNT}/{stream}" for stream in STREAMS]
    async with workspaces.open_workspace(read_settings(Path(orders.config))) as workspace:
        if orders.task == "repair":
            for scope in scopes:
                (run,) = await workspace.reconcile(scope, repair=True, exact=True, confirmed=True, wait=True)
                assert run.state is RunState.SUCCEEDED, run.error
            return
        async with asyncio.timeout(REST_S):
            runs = await workspace.sync(scopes, wait=True)
            while await workspace.store.runs(state=RunState.QUEUED) or await _is_behind(workspace, orders.until):
                runs = await workspace.sync(scopes, wait=True)
        assert {run.state for run in runs} == {RunState.SUCCEEDED}, runs


async def _is_behind(workspace: Workspace, until: float) -> bool:
    """Say whether a stream is not covered to the end: who goes on with a pass that was cut off keeps its bounds."""
    ends = [(await workspace.store.coverage(f"{ACCOUNT}/{stream}")).end for stream in STREAMS]
    return any(end is None or end.timestamp() < until for end in ends)


async def _work(workspace: Workspace, stopping: asyncio.Event, dice: random.Random, diary: Diary) -> None:
    await workspace.sync([f"{ACCOUNT}/{stream}" for stream in STREAMS], wait=True)
    async with asyncio.TaskGroup() as group:
        for _ in range(LOOPS):
            group.create_task(_loop(workspace, stopping, random.Random(dice.random()), diary))
        await stopping.wait()
        workspace.stop()


async def _loop(workspace: Workspace, stopping: asyncio.Event, dice: random.Random, diary: Diary) -> None:
    while not stopping.is_set():
        for run in await _once(workspace, dice):
            if run.state not in {RunState.SUCCEEDED, RunState.SKIPPED}:
                diary.write("ended", run.state.value, (run.error or {}).get("code"), run.id)
        await SystemClock().sleep(timedelta(seconds=dice.uniform(0, 0.05)))


async def _once(workspace: Workspace, dice: random.Random) -> list[Run]:
    """Do one of the things that people and schedules ask for."""
    scopes = [f"{ACCOUNT}/{stream}" for stream in STREAMS]
    kind, wait = dice.random(), dice.random() < 0.7
    if kind < 0.12:
        return await workspace.sync([dice.choice(scopes)], request=Request(Kind.FULL), wait=wait)
    scope = dice.choice(scopes)
    if kind < 0.22 and (await workspace.store.coverage(scope)).intervals:
        return await workspace.reconcile(scope, repair=True, exact=True, confirmed=True, wait=wait)
    if kind < 0.30:
        since = workspace.clock.now() - timedelta(seconds=dice.uniform(1, 20))
        request = Request(Kind.MANUAL, since.replace(microsecond=0))
        return await workspace.sync([dice.choice(scopes)], request=request, wait=wait)
    return await workspace.sync(dice.sample(scopes, dice.randint(1, len(scopes))), wait=wait)


def main() -> None:
    """Work as ordered."""
    orders = Orders(**json.loads(sys.argv[1]))
    diary = Diary(orders.diary)
    mutate(orders.mutant)
    plug_in(orders, diary)
    asyncio.run(work_forever(orders, diary) if orders.task == "forever" else work_once(orders))


if __name__ == "__main__":
    main()
