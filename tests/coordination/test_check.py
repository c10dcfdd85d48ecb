"""`comporta check`: accounts are tried side by side too."""

import asyncio
from collections.abc import Sequence

from tests.engine.workshop import Workshop

from comporta.ledger.logins import LedgerLogins
from comporta.ledger.notifications import LedgerInbox
from comporta.ports.events import Unwatched
from comporta.ports.source import Finding, StreamRequest
from comporta.settings.tree import Settings
from comporta.testing import FakeSource
from comporta.workspace.workspace import Workspace


class Slow(FakeSource):
    """A source whose check ends when another's has begun."""

    def __init__(self, workshop: Workshop, other_began: asyncio.Event, began: asyncio.Event) -> None:
        super().__init__(workshop.clock)
        self._other_began, self._began = other_began, began

    async def check(self, requests: Sequence[StreamRequest]) -> Sequence[Finding]:
        """Begin, and wait."""
        self._began.set()
        await self._other_began.wait()
        return await super().check(requests)


async def test_an_account_that_does_not_answer_delays_no_other(workshop: Workshop) -> None:
    """What is found comes in the order of the accounts, whoever answered first."""
    first, second = asyncio.Event(), asyncio.Event()
    workshop.account(name="b", source=Slow(workshop, second, first))
    workshop.account(name="a", source=Slow(workshop, first, second))
    workspace = Workspace(
        settings=Settings(),
        store=workshop.store,
        inbox=LedgerInbox(workshop.database),
        clock=workshop.clock,
        observer=Unwatched(),
        conduct=workshop.conduct,
        plans=workshop.plans,
        logins=LedgerLogins(workshop.database, lambda _: b""),
    )

    found = await asyncio.wait_for(workspace.check(), 5)

    assert list(found) == list(workshop.plans)
    assert all(len(findings) == 1 for findings in found.values())
