"""The real clock: the only module that asks the machine for the time or waits for it.

It stands beside the port, not in a room of its own, because it decides nothing and needs nothing
but the standard library. Everything else is handed a ``Clock``.
"""

import asyncio
import time
from datetime import UTC, datetime, timedelta


class SystemClock:
    """The machine's clock, as ``ports.clock.Clock``."""

    def now(self) -> datetime:
        """Return the current instant, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never go backwards; only differences mean anything."""
        return time.monotonic()

    async def sleep(self, duration: timedelta) -> None:
        """Wait that long; a duration that is not positive only lets others run."""
        await asyncio.sleep(max(0.0, duration.total_seconds()))
