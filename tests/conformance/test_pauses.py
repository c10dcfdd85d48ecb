"""Pausing an account: one row, seen by everybody, and never by accident undone."""

from tests.conformance.conftest import StoreFactory

from comporta.ledger.store import LedgerStore
from comporta.testing.clock import BEGUN, FakeClock


async def test_a_pause_keeps_its_first_instant_until_it_ends(store: LedgerStore, clock: FakeClock) -> None:
    """Pausing again changes nothing, and says so; so does resuming twice."""
    paused = [await store.pause("loja"), await store.pause("loja")]
    known = await store.pauses()
    resumed = [await store.resume("loja"), await store.resume("loja")]

    assert (paused, known) == ([True, False], {"loja": BEGUN})
    assert (resumed, await store.pauses()) == ([True, False], {})


async def test_another_process_sees_a_pause(store_factory: StoreFactory) -> None:
    """It is the database's, not a process's."""
    here, there = store_factory(), store_factory()
    await here.pause("loja")

    assert list(await there.pauses()) == ["loja"]
