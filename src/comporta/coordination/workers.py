"""The places in which runs of this process are worked on, shared fairly between accounts.

``core.fairness`` decides who is next; here is only the waiting. A place is held while a run is executed, never
through a pause between two attempts.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager

from comporta.core.fairness import for_people, next_account
from comporta.ports.clock import Clock


class Workers:
    """So many places. Of several accounts that are ``known`` others may come, and one place is spared for them."""

    def __init__(self, places: int, clock: Clock, *, known: Collection[str] = ()) -> None:
        self._places = places
        self._clock = clock
        self._known = known
        self._held_s: dict[str, float] = {}  # by account that is at work, of all its places together
        self._running: Counter[str] = Counter()
        self._at_work: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    def for_people(self) -> "Workers":
        """Return other places, a few, for what people ask for while these are taken."""
        return Workers(for_people(self._places), self._clock)

    @contextmanager
    def at_work(self, account: str) -> Iterator[None]:
        """Let a place be kept for an account as long as it has anything left to do."""
        self._at_work[account] += 1
        try:
            yield
        finally:
            _take_off(self._at_work, account)
            if account not in self._at_work:
                self._held_s.pop(account, None)
            self._call_next()

    @asynccontextmanager
    async def place(self, account: str) -> AsyncIterator[bool]:
        """Wait for a place and hold it; say whether it had to be waited for."""
        is_late = await self._turn(account)
        began_s = self._clock.monotonic()
        try:
            yield is_late
        finally:
            held_s = self._clock.monotonic() - began_s
            self._held_s[account] = self._held_s.get(account, 0.0) + held_s
            self._leave(account)

    async def _turn(self, account: str) -> bool:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(account, deque()).append(turn)
        self._call_next()
        if turn.done():
            return False
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self._leave(account)  # called and cancelled in the same instant
            raise
        return True

    def _leave(self, account: str) -> None:
        _take_off(self._running, account)
        self._call_next()

    def _call_next(self) -> None:
        """Give every place that may be given; accounts stand in the order in which they began to wait."""
        while True:
            chosen = next_account(
                places=self._places,
                running=self._running,
                waiting=tuple(self._waiting),
                at_work=self._at_work,
                held_s=self._held_s,
                spare=int(len(self._known) > 1),
            )
            if chosen is None:
                return
            turns = self._waiting.pop(chosen)
            turn = turns.popleft()
            if turns:
                self._waiting[chosen] = turns  # behind the others again
            if not turn.cancelled():
                self._running[chosen] += 1
                turn.set_result(None)


def _take_off(counter: "Counter[str]", account: str) -> None:
    counter[account] -= 1
    if not counter[account]:
        del counter[account]
