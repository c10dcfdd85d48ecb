"""The clock of a simulated source: another callable's time plus an offset that tests may move.

Stamps and the ``Date`` header follow it; how long things take is measured on a stopwatch instead.
"""

from collections.abc import Callable
from datetime import datetime, timedelta


class SourceClock:
    """What the source takes for the time."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.offset = timedelta()

    def now(self) -> datetime:
        """Return the source's present instant."""
        return self._now() + self.offset

    def advance(self, by: timedelta) -> None:
        """Move the clock on, or back with a negative span."""
        self.offset += by
