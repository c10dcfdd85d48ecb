"""What the routes lead to, as protocols: who opens the workspace puts something behind them.

Nothing in this room knows which sources there are, where settings come from, or how a run is executed.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from comporta.core.notification import Notification
from comporta.observability.meter import UNMEASURED, Meter
from comporta.web.asked import AskedRelease, AskedRuns, RunsQuery
from comporta.web.away import Trouble
from comporta.web.broadcast import Broadcast

Document = Mapping[str, object]


class Reception(Protocol):
    """Whom the API of runs asks. Answers are JSON; names of accounts and streams that do not exist are errors."""

    async def ask(self, asked: AskedRuns) -> Sequence[Document]:
        """Queue runs, or join those that wait, and return them at once."""

    async def runs(self, query: RunsQuery) -> Sequence[Document]:
        """Return the newest runs first."""

    async def run(self, run_id: str) -> Document:
        """Return a run."""

    async def log(self, run_id: str, after: int) -> Sequence[Document]:
        """Return the next lines of a run's log, at most a thousand."""

    async def cancel(self, run_id: str) -> Document:
        """Cancel a run that waits, or ask one that runs to end."""

    async def accounts(self) -> Sequence[Document]:
        """Return the accounts."""

    async def streams(self, account: str | None) -> Sequence[Document]:
        """Return where every stream stands, or those of an account."""

    async def coverage(self, account: str, stream: str) -> Document:
        """Return what is covered of a stream."""

    async def leases(self) -> Sequence[Document]:
        """Return who holds what."""

    async def release(self, account: str, stream: str, asked: AskedRelease) -> bool:
        """Take a lease away; say whether anybody held it."""

    async def limits(self) -> Sequence[Document]:
        """Return how the budget of each account stands."""


async def _nothing_measured() -> bytes:
    return b""


def _none_known() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Doors:
    """What the routes lead to. ``hooks`` read a body, by source; ``post`` returns when a notification is committed.

    ``look`` returns when the database has answered; ``trouble`` returns at once why it cannot be reached, where
    that is known; ``measure`` returns all metrics as text.
    Without a reception there is no API of runs; without hooks nothing is taken.
    """

    hooks: Mapping[str, Callable[[bytes], Notification]]
    post: Callable[[Notification], Awaitable[None]]
    look: Callable[[], Awaitable[None]]
    trouble: Trouble = _none_known
    measure: Callable[[], Awaitable[bytes]] = _nothing_measured
    meter: Meter = UNMEASURED
    reception: Reception | None = None
    broadcast: Broadcast | None = None
