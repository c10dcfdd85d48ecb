"""Old history goes, what it proved stays.

The store forgets ended runs and their logs; coverage, scopes and living runs are none of its business.
"""

from datetime import timedelta
from pathlib import Path

from comporta.core.run import RunState, Trigger
from comporta.core.ticket import Ticket
from comporta.core.window import Request
from comporta.destinations.sqlite import SqliteDestination
from comporta.ledger.database import Database, Pragmas
from comporta.ledger.schema import migrate
from comporta.ledger.store import SqliteStore
from comporta.ports.store import Ending, Granted, LogLine
from comporta.ports.system_clock import SystemClock

LONG = timedelta(hours=1)


async def test_ended_runs_are_forgotten_and_queued_ones_kept(tmp_path: Path) -> None:
    """Forgetting takes an ended run and its log, and leaves the queued run and the scope's epoch."""
    path = tmp_path / "ledger.db"
    migrate(path)
    clock = SystemClock()
    store = SqliteStore(Database(path, Pragmas()), SqliteDestination(), clock, ttl=LONG)
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
