"""What may begin now: of which accounts, and what waits for one that nobody knows."""

from datetime import timedelta

from comporta.core.run import Run, Trigger
from comporta.core.ticket import Ticket
from comporta.core.window import Kind, Request
from comporta.ledger.accounts import put_account
from comporta.ledger.session import Session
from comporta.ledger.store import LedgerStore
from comporta.testing.clock import FakeClock

DAY = timedelta(days=1)


async def queue(store: LedgerStore, account: str, trigger: Trigger = Trigger.SCHEDULE, **more: object) -> Run:
    """Queue a run of an account."""
    kind = Kind.FULL if trigger is Trigger.MANUAL else Kind.INCREMENTAL
    return await store.enqueue(Ticket(account, "thing", Request(kind), trigger, **more))  # type: ignore[arg-type]  # Ticket's own


async def test_only_runs_of_the_accounts_asked_for_are_due(store: LedgerStore) -> None:
    """However many others there are, they take no place among them."""
    others = [await queue(store, f"other{number}") for number in range(3)]
    mine = await queue(store, "mine")

    assert [run.id for run in await store.due(2, ["mine", "unused"])] == [mine.id]
    assert list(await store.due(2, [])) == []
    assert {run.id for run in await store.due(9)} == {mine.id, *(run.id for run in others)}


async def test_of_a_paused_account_only_what_a_person_asked_for_is_due(store: LedgerStore) -> None:
    """The rest waits until it is resumed."""
    scheduled, asked = await queue(store, "mine"), await queue(store, "mine", Trigger.MANUAL)
    await store.pause("mine")
    paused = [run.id for run in await store.due(9, ["mine"])]
    await store.resume("mine")

    assert paused == [asked.id]
    assert {run.id for run in await store.due(9, ["mine"])} == {scheduled.id, asked.id}


async def test_what_waits_for_an_account_that_nobody_knows_is_stranded(store: LedgerStore, clock: FakeClock) -> None:
    """Neither one of ours, nor one that is kept here or paused; and not before its time has come."""

    def keep(session: Session) -> None:
        put_account(session, "kept", {"source": "odoo"})

    store._database.write(keep).result()
    await store.pause("paused")
    gone = await queue(store, "gone")
    for name in ("mine", "kept", "paused"):
        await queue(store, name)
    await queue(store, "later", not_before=clock.now() + 2 * DAY)
    early = await store.stranded(9, accounts=["mine"], before=clock.now() - DAY)
    clock.advance(DAY + timedelta(seconds=1))
    found = await store.stranded(9, accounts=["mine"], before=clock.now() - DAY)

    assert list(early) == []
    assert [run.id for run in found] == [gone.id]


async def test_what_a_person_asked_for_is_never_stranded(store: LedgerStore, clock: FakeClock) -> None:
    """Nor are its retries: it may be another process that knows the account, and a window is asked for only once."""
    asked = await queue(store, "gone", Trigger.MANUAL)
    again = Ticket("gone", "thing", Request(Kind.RECONCILE), Trigger.RETRY)
    await store.enqueue(again, run_id=f"{asked.id}.2")
    scheduled = await queue(store, "gone")
    clock.advance(2 * DAY)

    assert [run.id for run in await store.stranded(9, accounts=(), before=clock.now() - DAY)] == [scheduled.id]
