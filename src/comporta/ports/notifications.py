"""What notifications need of the database: to be kept at once, and to become hints in one step.

Whoever sends one is answered when ``keep`` has returned, so what it returned from is committed.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import Protocol, runtime_checkable

from comporta.core.notification import Notification, Pointer
from comporta.ports.progress import Progress

Missed = Callable[[Progress], AsyncIterator[Sequence[Notification]]]
"""Yields what a source could not deliver to an account, by page."""
Point = Callable[[str, str], Pointer | None]
"""What a topic and a resource point at, ``None`` where nothing of ours is meant."""


@runtime_checkable
class Notifying(Protocol):
    """A source that keeps what it could not deliver."""

    def missed(self, progress: Progress) -> AsyncIterator[Sequence[Notification]]:
        """Yield it, by page."""


class Inbox(Protocol):
    """Where notifications wait."""

    async def keep(self, told: Sequence[Notification]) -> None:
        """Keep notifications, in one transaction: what is told again waits again, unless it tells nothing later.

        Raises ``Retryable`` or ``DestinationRefused`` when they cannot be kept.
        """

    async def hand_over(self, source: str, streams: Mapping[str, Collection[str]], point: Point) -> int:
        """Make hints of what waits for the users of these accounts, each with its streams; return how many.

        Hint and state change in one transaction. What points nowhere, or at a stream that no account of its user has,
        is kept and not looked at. A user whom no account has waits on until one has.
        """

    async def due(self) -> Sequence[str]:
        """Return the scopes that have hints to be looked at now, were loaded before, are not held and not paused."""

    async def paused(self) -> Collection[str]:
        """Return the accounts that a person paused."""
