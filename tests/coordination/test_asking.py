"""Asking for runs: they wait in the queue, once each, and whoever does them is woken."""

import asyncio
from collections.abc import Sequence

import pytest
from tests.engine.workshop import LINES, ORDERS, Workshop

from comporta.core.run import Run, RunState, Trigger
from comporta.core.ticket import Ticket
from comporta.core.window import Kind, Request
from comporta.errors import DestinationBusy
from comporta.ledger.logins import LedgerLogins
from comporta.ledger.notifications import LedgerInbox
from comporta.settings.tree import Settings
from comporta.workspace.workspace import Workspace


def workspace_of(workshop: Workshop) -> Workspace:
    """Return a workspace over a workshop."""
    return Workspace(
        settings=Settings(),
        store=workshop.store,
        inbox=LedgerInbox(workshop.database),
        clock=workshop.clock,
        observer=workshop.witness,
        conduct=workshop.conduct,
        plans=workshop.plans,
        logins=LedgerLogins(workshop.database, lambda _: b""),
    )


async def test_what_is_asked_for_twice_waits_once(workshop: Workshop) -> None:
    """A second click joins; another kind of request, another stream and a dry run are runs of their own."""
    workspace = workspace_of(workshop)
    both = [("matriz", ORDERS), ("matriz", LINES)]
    first = await workspace.ask(both)
    second = await workspace.ask(both[:1], trigger=Trigger.SCHEDULE)
    full = await workspace.ask(both[:1], Request(Kind.FULL))
    dry = await workspace.ask(both[:1], dry_run=True)

    assert [(run.account, run.stream, run.state, run.trigger) for run in first] == [
        ("matriz", ORDERS, RunState.QUEUED, Trigger.MANUAL),
        ("matriz", LINES, RunState.QUEUED, Trigger.MANUAL),
    ]
    assert [run.id for run in second] == [first[0].id]
    assert len({run.id for run in (*first, *full, *dry)}) == 4
    assert len(await workshop.store.runs()) == 4


async def test_who_does_what_is_queued_is_woken_after_it_is_queued(workshop: Workshop) -> None:
    """Whoever looks when he is woken finds it."""
    workspace = workspace_of(workshop)
    looks: list[asyncio.Task[Sequence[Run]]] = []
    workspace.on_wake(lambda: looks.append(asyncio.ensure_future(workshop.store.queued(f"matriz/{ORDERS}"))))
    runs = await workspace.ask([("matriz", ORDERS)])

    assert [await look for look in looks] == [runs]


async def test_a_queue_that_cannot_be_written_is_told(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """To whoever asked; what else was asked for is done all the same."""
    workspace = workspace_of(workshop)
    enqueue = workshop.store.enqueue

    async def fails(ticket: Ticket) -> Run:
        if ticket.stream == LINES:
            raise DestinationBusy("another program writes")
        return await enqueue(ticket)

    monkeypatch.setattr(workshop.store, "enqueue", fails)
    woken: list[bool] = []
    workspace.on_wake(lambda: woken.append(True))
    with pytest.raises(DestinationBusy):
        await workspace.ask([("matriz", LINES), ("matriz", ORDERS)])

    assert woken == [True]
