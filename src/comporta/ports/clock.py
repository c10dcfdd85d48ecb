"""Time, as the product sees it.

The only port through which anything waits or asks the hour; ``system_clock`` is the real one.
"""

from datetime import datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """A clock that tests can move."""

    def now(self) -> datetime:
        """Return the current instant, aware, in UTC."""

    def monotonic(self) -> float:
        """Return seconds that never go backwards; only differences mean anything."""

    async def sleep(self, duration: timedelta) -> None:
        """Wait that long."""
