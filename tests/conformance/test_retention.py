"""Old history goes, what it proved stays.

The store forgets ended runs and their logs; coverage, scopes and living runs are none of its business.
"""

from datetime import timedelta
from pathlib import Path

from comporta.core.run import RunState, Trigger
from comporta.core.ticket import Ticket
from comporta.core.window import Request
from comporta.destinations.sqlite import SqliteDestination
from comporta.ledger.sqlite import Pragmas, SqliteDatabase
from comporta.ledger.sqlite_schema import migrate
from comporta.ledger.store import LedgerStore
from comporta.ports.progress import LogLine
from comporta.ports.store import Ending, Granted
from comporta.ports.system_clock import SystemClock
from comporta.testing import FakeClock

LONG = timedelta(hours=1)


async def test_ended_runs_are_forgotten_and_queued_ones_kept(tmp_path: Path) -> None:
    """Forgetting takes an ended run and its log, and leaves the queued run and the scope's epoch."""
    path = tmp_path / "ledger.db"
    migrate(path)
    clock = SystemClock()
    store = LedgerStore(SqliteDatabase(path, Pragmas(), clock), SqliteDestination(), ttl=LONG)
    ticket = Ticket("matriz", "sale.order", Request(), Trigger.MANUAL)
    ended = await store.enqueue(ticket)
    granted = await store.acquire(ended, ttl=LONG, timeout=LONG, instance="here")
    assert isinstance(granted, Granted)
    await store.finish(granted.lease, Ending(RunState.CANCELLED, log=(LogLine("info", "run_cancelled", "bye"),)))
    queued = await store.enqueue(ticket)
    first = await store.forget(clock.now() - LONG)
    second = await store.forget(clock.now() + LONG)
    left = await store.runs()
    log = await store.log(ended.id)
    epoch = (await store.scope_state("matriz/sale.order")).epoch
    await store.aclose()

    assert (first, second) == (0, 1)
    assert [run.id for run in left] == [queued.id]
    assert (log, epoch) == ([], 1)


async def test_a_dry_run_that_nobody_does_ends(tmp_path: Path) -> None:
    """Only the process that queued it would; after an hour that one is gone. Others wait for a later sync."""
    path = tmp_path / "ledger.db"
    migrate(path)
    clock = FakeClock()
    store = LedgerStore(SqliteDatabase(path, Pragmas(), clock), SqliteDestination(), ttl=LONG)
    real = await store.enqueue(Ticket("matriz", "sale.order", Request(), Trigger.MANUAL))
    dry = await store.enqueue(Ticket("matriz", "sale.order", Request(), Trigger.MANUAL, dry_run=True))
    states = []
    for _ in range(2):
        await store.forget(clock.now() - 99 * LONG)
        states.append([run.state for each in (real, dry) if (run := await store.run(each.id))])
        clock.advance(LONG + timedelta(seconds=1))
    ended = await store.run(dry.id)
    await store.aclose()

    assert states == [[RunState.QUEUED, RunState.QUEUED], [RunState.QUEUED, RunState.SKIPPED]]
    assert ended is not None
    assert ended.error is not None
    assert "ended before it began" in ended.error["message"]
