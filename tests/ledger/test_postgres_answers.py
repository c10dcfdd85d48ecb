"""Who may work after the answer to an acquisition was lost: whoever it was kept for, and nobody else."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from tests.conformance.conftest import TTL
from tests.conformance.ledgers import open_postgres
from tests.conformance.store_steps import HOUR, start, ticket

from comporta.ledger.store import LedgerStore
from comporta.ports.store import Granted, Occupied
from comporta.testing import FakeClock

if TYPE_CHECKING:
    from tests.servers.proxy import Fault, Proxy

pytestmark = pytest.mark.full


@pytest.fixture
def postgres_url(ledger_url: str) -> str:
    """Return the URL of a database with a ledger, before which the proxy stands."""
    return ledger_url


@pytest.fixture
async def stores(postgres_url: str, postgres_proxy: "Proxy") -> AsyncIterator[tuple[LedgerStore, LedgerStore]]:
    """Open the database twice: behind the proxy, and past it."""
    async with AsyncExitStack() as stack:
        clock = FakeClock()
        opened = tuple(open_postgres(url, clock, ttl=TTL) for url in (postgres_proxy.url, postgres_url))
        for store in opened:
            stack.push_async_callback(store.aclose)
        yield opened  # type: ignore[misc]  # two of them


@pytest.mark.parametrize("fault", ["swallow", "drop_before"])
async def test_who_was_not_told_of_a_lease_finds_it(
    stores: tuple[LedgerStore, LedgerStore], postgres_proxy: "Proxy", fault: "Fault"
) -> None:
    """Kept or not, the lease is taken once."""
    store, _ = stores
    run = await store.enqueue(ticket())
    postgres_proxy.on_commit(fault)
    granted = await store.acquire(run, ttl=TTL, timeout=HOUR, instance="here")

    assert isinstance(granted, Granted)
    assert (granted.lease.epoch, granted.lease.holder) == (1, run.id)


@pytest.mark.parametrize("fault", ["swallow", "drop_before"])
async def test_who_was_not_told_that_a_scope_is_held_does_not_take_anothers_lease_for_its_own(
    stores: tuple[LedgerStore, LedgerStore], postgres_proxy: "Proxy", fault: "Fault"
) -> None:
    """Two tasks of one process may ask for one and the same run, and only one of them may work on it."""
    store, other = stores
    granted = await start(other)
    postgres_proxy.on_commit(fault)
    answer = await store.acquire(granted.run, ttl=TTL, timeout=HOUR, instance="here")

    assert isinstance(answer, Occupied)
    assert answer.holder == granted.run.id
