"""Steps that tests of a store begin with."""

from datetime import timedelta

from tests.conformance.conftest import TTL

from comporta.core.coverage import Interval
from comporta.core.run import Run, Trigger
from comporta.core.ticket import Ticket
from comporta.core.window import Kind, Request, Window
from comporta.ports.store import Granted, Pass, Store
from comporta.testing.clock import BEGUN

SCOPE = "shop/thing"
HOUR = timedelta(hours=1)
MARCH = Interval(BEGUN - HOUR, BEGUN)


def ticket(request: Request | None = None, **more: object) -> Ticket:
    """Return a wish to read shop/thing."""
    return Ticket("shop", "thing", request or Request(), Trigger.MANUAL, **more)  # type: ignore[arg-type]  # Ticket's own


async def start(store: Store, wish: Ticket | None = None) -> Granted:
    """Queue a run and take its lease."""
    run = await store.enqueue(wish or ticket())
    granted = await store.acquire(run, ttl=TTL, timeout=HOUR, instance="here")
    assert isinstance(granted, Granted)
    return granted


async def get(store: Store, run: Run) -> Run:
    """Return what the ledger says of a run now."""
    found = await store.run(run.id)
    assert found is not None
    return found


async def begin(store: Store, granted: Granted, pass_id: str = "p1", position: str | None = None) -> Pass:
    """Record a pass over March."""
    plan = Pass(pass_id, granted.run.request, Window(MARCH.since, MARCH.until, Kind.INCREMENTAL), "f", position)
    await store.begin_pass(granted.lease, plan, resumable=True)
    return plan
