"""A clock for tests: it stands still while anybody works and jumps when everybody waits.

A run that backs off for five minutes ends at once, and nothing that happens meanwhile takes any time.
What threads do (a database writing) is invisible to an event loop, so "everybody waits" means that
nobody on the loop asked for the time during ``GRACE_S`` real seconds. With ``is_jumping=False`` the clock
moves only by ``advance``.
"""

import asyncio
import threading
from datetime import UTC, datetime, timedelta

GRACE_S = 0.005
"""Longer than SQLite takes to commit a small batch; a jump that comes too early only makes a test busier."""
LATE_MAX = 20
"""So many looks in a row that come late put off a jump: where the loop waits for its turn, the threads do too."""
BEGUN = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
"""When a fake clock starts, unless told otherwise."""


class FakeClock:
    """Implements ``ports.clock.Clock``; may be read from any thread, is waited for on one event loop."""

    def __init__(self, begun: datetime = BEGUN, *, is_jumping: bool = True) -> None:
        self.slept: list[timedelta] = []
        self.is_jumping = is_jumping
        self._begun = begun
        self._passed = timedelta()
        self._sleepers: list[tuple[timedelta, asyncio.Future[None]]] = []
        self._asked = 0
        self._looking: asyncio.TimerHandle | None = None
        self._late = 0
        self._thread = threading.get_ident()

    def now(self) -> datetime:
        """Return the instant to which the clock was moved."""
        self._note()
        return self._begun + self._passed

    def monotonic(self) -> float:
        """Return the seconds by which the clock was moved."""
        self._note()
        return self._passed.total_seconds()

    async def sleep(self, duration: timedelta) -> None:
        """Wait until the clock was moved that far; a duration that is not positive only lets others run."""
        self._thread = threading.get_ident()
        self.slept.append(duration)
        waking: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (self._passed + max(duration, timedelta()), waking)
        self._sleepers.append(entry)
        self._look_soon()
        try:
            await waking
        finally:
            self._sleepers.remove(entry)

    @property
    def sleepers(self) -> int:
        """Return how many wait now."""
        return len(self._sleepers)

    def advance(self, duration: timedelta) -> None:
        """Move the clock and wake everybody whose time has come; call it on the event loop's thread."""
        self._passed += duration
        for due, waking in self._sleepers:
            if due <= self._passed and not waking.done():
                waking.set_result(None)

    def note_work(self) -> None:
        """Say that somebody is at work, or was until now; from any thread."""
        self._asked += 1

    def _note(self) -> None:
        """Remember that somebody is at work; a heartbeat in its own thread does not count."""
        if threading.get_ident() == self._thread:
            self.note_work()

    def _look_soon(self) -> None:
        if self._looking is None:
            loop, asked = asyncio.get_running_loop(), self._asked
            due = loop.time() + GRACE_S
            self._looking = loop.call_at(due, lambda: self._look(asked, late_s=loop.time() - due))

    def _look(self, asked: int, *, late_s: float) -> None:
        """Jump to the first who is due if nobody did anything since the last look."""
        self._looking = None
        is_late = late_s > GRACE_S / 2 and self._late < LATE_MAX
        self._late = self._late + 1 if is_late else 0
        waiting = [due for due, waking in self._sleepers if not waking.done()]
        first = min(waiting, default=None)
        if first is None:
            return
        if first <= self._passed or (self.is_jumping and asked == self._asked and not is_late):
            self.advance(max(first - self._passed, timedelta()))
        self._look_soon()
