"""The log of the budgets: one row for each key, changed by compare-and-swap, which processes share.

A row is a version and a state. Whoever changes it reads both, decides, and writes only if the version is still
the same; so no lock is held while somebody thinks, and a process that is stopped between the two holds up nobody.
All that is asked while a round is under way goes into the next, which makes two statements out of any number of
keys: a database that is 50 ms away serves a thousand accounts as well as one.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import msgspec

from comporta.core.allowance import Limit
from comporta.core.limit import LimitState, lost
from comporta.errors import DestinationBusy
from comporta.ports.budget_log import Answer, Change
from comporta.ports.clock import Clock

ROUNDS_MAX = 100
"""How often a state is decided anew because others were quicker: of all who try in a round one succeeds."""
CLOCK_TRUST_S = 2.0
"""For how long two clocks run alike: one that is being corrected gains or loses half a millisecond in a second."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """What stands on the shelf under a key; version 0 is nothing."""

    version: int = 0
    state: bytes = b""


class Shelf(Protocol):
    """A place for rows that processes share. Used from one thread."""

    @property
    def is_forgetful(self) -> bool:
        """Say whether a row that is not there may have been lost, together with what was sent."""

    def look(self, keys: Sequence[str]) -> tuple[Mapping[str, Row], float]:
        """Return the rows that are there, and the instant by the shelf's clock."""

    def put(self, rows: Mapping[str, Row]) -> Iterable[str]:
        """Write those rows whose version follows the present one, and return their keys."""

    def close(self) -> None:
        """Close it."""


@dataclass(slots=True)
class _Wish:
    key: str
    limit: Limit | None
    change: Change[Any]
    future: "Future[Answer[Any]]"


class _Offset:
    """How far this process's clock is before the log's, as nearly as the looks of the last seconds tell.

    Each look says that it lies between two figures, and all of them are right, unless a clock was set.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float, float]] = deque()

    def narrowed(self, looked: float, now: float, heard: float) -> tuple[float, float]:
        """Add what a look tells: the log's ``now`` lies between two instants of ours. Return both, nearer together."""
        self._seen.append((looked, looked - now, heard - now))
        while self._seen[0][0] < looked - CLOCK_TRUST_S:
            self._seen.popleft()
        least, most = max(least for _, least, _ in self._seen), min(most for *_, most in self._seen)
        if least > most:
            self._seen.clear()
            return looked, heard
        return now + least, now + most


class SharedLog:
    """The budgets on a shelf that processes share; implements ``ports.budget_log.BudgetLog``.

    The shelf is made in the thread that uses it, at the first use.
    """

    def __init__(self, make: Callable[[], Shelf], clock: Clock) -> None:
        self._make = make
        self._clock = clock
        self._shelf: Shelf | None = None
        self._wishes: deque[_Wish] = deque()
        self._lock = threading.Lock()
        self._offset = _Offset()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="comporta-budgets")

    async def change(self, key: str, limit: Limit | None, change: Change[T]) -> Answer[T]:
        """Change a state on the shelf; the caller's cancellation does not take it back."""
        wish = _Wish(key, limit, change, Future())
        with self._lock:
            self._wishes.append(wish)
        self._thread.submit(self._round)
        answer: Answer[T] = await asyncio.wrap_future(wish.future)
        return answer

    async def aclose(self) -> None:
        """Wait for what is being written and close the shelf."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._thread.shutdown()
        if self._shelf is not None:
            self._shelf.close()
            self._shelf = None

    def _round(self) -> None:
        """Serve everybody who came since the last round."""
        with self._lock:
            wishes, self._wishes = self._wishes, deque()
        open_ = [wish for wish in wishes if wish.future.set_running_or_notify_cancel()]
        try:
            if open_:
                self._shelf = self._shelf or self._make()
                self._serve(self._shelf, open_)
        except BaseException as error:  # noqa: BLE001  handed on
            for wish in open_:
                with suppress(InvalidStateError):
                    wish.future.set_exception(error)

    def _serve(self, shelf: Shelf, wishes: list[_Wish]) -> None:
        for _ in range(ROUNDS_MAX):
            looked = self._clock.monotonic()
            seen, now = shelf.look(sorted({wish.key for wish in wishes}))
            earliest, latest = self._offset.narrowed(looked, now, self._clock.monotonic())
            rows, told = self._decided(shelf, wishes, seen, now)
            done = set(seen) | {wish.key for wish in wishes}
            if rows:
                done -= set(rows) - set(shelf.put(rows))
            for wish, result in zip(wishes, told, strict=True):
                if wish.key in done:
                    wish.future.set_result(Answer(result, earliest, latest))
            wishes = [wish for wish in wishes if wish.key not in done]
            if not wishes:
                return
        keys = ", ".join(sorted({wish.key for wish in wishes}))
        raise DestinationBusy(f"budget of {keys}: others changed it {ROUNDS_MAX} times while one request was decided")

    def _decided(
        self, shelf: Shelf, wishes: list[_Wish], seen: Mapping[str, Row], now: float
    ) -> tuple[dict[str, Row], list[Any]]:
        """Return the rows that are to be written, and what each wish is told."""
        states: dict[str, LimitState] = {}
        told: list[Any] = []
        for wish in wishes:
            if wish.key not in states:
                states[wish.key] = _state(seen.get(wish.key), shelf, wish.limit, now)
            states[wish.key], result = wish.change(states[wish.key], now)
            told.append(result)
        rows: dict[str, Row] = {}
        for key, state in states.items():
            present = seen.get(key, Row())
            text = msgspec.json.encode(state)
            if text != present.state:
                rows[key] = Row(present.version + 1, text)
        return rows, told


_DECODER = msgspec.json.Decoder(LimitState)


def _state(row: Row | None, shelf: Shelf, limit: Limit | None, now: float) -> LimitState:
    if row is None:
        return lost(limit, now) if shelf.is_forgetful else LimitState(touched=now)
    try:
        return _DECODER.decode(row.state)
    except msgspec.MsgspecError:  # of another version of Comporta: it may have sent all that is allowed
        return lost(limit, now)
