"""The events of runs, for whoever listens: what changed in the ledger since the last look, each once, in order.

The ledger is the one source of events, so that a run of this process, of another one and of another machine tell the
same, and each line of a log has its number. What happens in this process (we are an observer) only makes us look at
once. While nobody listens nobody looks.

Events wait in one ring for all listeners: who comes back within it goes on after the last event that he had, who stays
too far behind loses his place and is told to look anew. So a slow listener costs nobody else anything.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any

import msgspec

from comporta.core.run import TERMINAL, Run, RunState
from comporta.errors import ComportaError
from comporta.ports.clock import Clock
from comporta.ports.events import Unwatched, line_json
from comporta.ports.progress import LogLine, Progress
from comporta.ports.store import Store

LOOK_EVERY_S = 1.0
"""How soon a change of another process is seen."""
LOOK_OWN_S = 0.25
"""How soon a change of a run of this process is seen that it did not tell of: a batch."""
GATHERING = timedelta(milliseconds=50)
"""Between two looks, however much happens."""
PROGRESS_EVERY_S = 1.0
"""How often one run tells how far it is."""
KEPT_FOR_S = 60.0
"""How long it is still looked after the last listener went: for those who come back."""
SINCE = timedelta(minutes=2)
"""Before the last look: a run that was queued and ended between two is found although its commit came late."""
RING = 5_000
"""Events kept: some minutes of ten busy runs, some five megabytes."""
LISTENERS_MAX = 200
LOG_PARTS_MAX = 10
"""Thousands of log lines of one run that one look takes; the rest comes with the next."""


class Broadcast(Unwatched):
    """An observer that tells everybody who listens."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._token = token_hex(4)
        self._last = 0
        self._ring: deque[tuple[int, bytes]] = deque(maxlen=RING)
        self._known: dict[str, Run] = {}
        self._lines: dict[str, int] = {}
        self._own: dict[str, Progress] = {}
        self._told: dict[str, tuple[float, object]] = {}
        self._listeners = 0
        self._left_s = 0.0
        self._looked_at: datetime | None = None
        self._is_looking = False
        self._prompted = asyncio.Event()
        self._ready = asyncio.Event()
        self.news = asyncio.Event()
        self.closed = asyncio.Event()

    def prompt(self) -> None:
        """Look now."""
        self._prompted.set()

    def started(self, run: Run, progress: Progress) -> None:
        """Look now; how far the run is will be told with it."""
        self._own[run.id] = progress
        self.prompt()

    def ended(self, run: Run) -> None:
        """Look now."""
        self._own.pop(run.id, None)
        self.prompt()

    def close(self) -> None:
        """End every stream of events. Safe to call twice."""
        self.closed.set()
        self._prompted.set()

    async def run(self) -> None:
        """Look while somebody listens, until closed."""
        while not self.closed.is_set():
            if not self._is_wanted():
                self._forget()
                await self._prompted.wait()
                self._prompted.clear()
                continue
            with suppress(ComportaError):  # the database's own trouble: it is looked again in a moment
                await self._look()
            await self._pause()

    @asynccontextmanager
    async def listening(self, gone: "asyncio.Future[None]") -> AsyncIterator[bool]:
        """Count as a listener; give whether there was room. What changes from then on becomes events.

        Who is ``gone`` before the first look succeeds is not waited for.
        """
        if self._listeners >= LISTENERS_MAX:
            yield False
            return
        self._listeners += 1
        self.prompt()
        try:
            ends: list[asyncio.Future[Any]] = [
                asyncio.ensure_future(each.wait()) for each in (self._ready, self.closed)
            ]
            try:
                await asyncio.wait([gone, *ends], return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in ends:
                    each.cancel()
            yield True
        finally:
            self._listeners -= 1
            self._left_s = self._clock.monotonic()

    def place(self, last_id: str | None) -> tuple[int, str | None]:
        """Return after which event a listener goes on, and why he has to look anew, ``None`` if he need not."""
        token, _, number = (last_id or "").partition("-")
        if not last_id:
            return self._last, "new"
        if token != self._token or not number.isdecimal() or len(number) > len(str(self._last)):
            return self._last, "unknown"
        if not self.is_held(int(number)):
            return self._last, "too_old"
        return int(number), None

    def is_held(self, after: int) -> bool:
        """Say whether every event after that one is still there."""
        first = self._ring[0][0] if self._ring else self._last + 1
        return first - 1 <= after <= self._last

    def after(self, number: int) -> Sequence[tuple[int, bytes]]:
        """Return the events after one, oldest first."""
        count = self._last - number
        return [self._ring[place] for place in range(len(self._ring) - count, len(self._ring))] if count > 0 else []

    def reset(self, number: int, reason: str) -> bytes:
        """Return the event that tells a listener to look anew."""
        return _event(f"{self._token}-{number}", "reset", {"reason": reason})

    def _is_wanted(self) -> bool:
        return bool(self._listeners) or (self._is_looking and self._clock.monotonic() - self._left_s < KEPT_FOR_S)

    def _forget(self) -> None:
        """Stop looking: from here on there are changes that nobody saw, so no id of before is one to go on from."""
        if self._is_looking:
            self._is_looking, self._token, self._looked_at = False, token_hex(4), None
            self._ready.clear()
            self._ring.clear()
            self._known.clear()
            self._lines.clear()
            self._told.clear()

    async def _pause(self) -> None:
        await self._clock.sleep(GATHERING)
        waiting = asyncio.ensure_future(self._prompted.wait())
        await asyncio.wait({waiting}, timeout=LOOK_OWN_S if self._own else LOOK_EVERY_S)
        waiting.cancel()
        self._prompted.clear()

    async def _look(self) -> None:
        now = self._clock.now()
        since = min(now, self._looked_at or now) - SINCE
        found = {run.id: run for run in await self._store.afoot(since)}
        for run_id in [name for name, run in self._known.items() if name not in found and run.state not in TERMINAL]:
            if ended := await self._store.run(run_id):
                found[run_id] = ended
        if self._is_looking:
            for run in found.values():
                await self._compare(run)
            self._prune(since)
        else:
            await self._begin(found)
        self._looked_at = now

    async def _begin(self, found: dict[str, Run]) -> None:
        """Take what there is for known: a listener looks it up himself."""
        ends = {run.id: await self._store.log_end(run.id) for run in found.values() if run.state is RunState.RUNNING}
        self._known, self._lines = found, ends
        self._is_looking = True
        self._ready.set()

    async def _compare(self, run: Run) -> None:
        before = self._known.get(run.id)
        progress = _progress_json(self._own.get(run.id))
        if before == run and (run.state is not RunState.RUNNING or self._told.get(run.id, (0, None))[1] == progress):
            return
        kind = _kind(before, run)
        if kind == "run_progress" and not self._may_tell(run):
            return
        lines = await self._new_lines(run)  # before anything is told: who cannot read them tells all with the next look
        if kind == "run_started":
            self._publish(kind, {"run": run.as_json(), "progress": progress})
        for number, at, line in lines:
            about = {"run": run.id, "account": run.account, "stream": run.stream}
            self._publish("log", {**about, "line": line_json(number, at, line)})
            self._lines[run.id] = number
        if kind != "run_started":
            self._publish(kind, {"run": run.as_json(), "progress": progress})
        self._known[run.id] = run
        self._told[run.id] = (self._clock.monotonic(), progress)

    def _may_tell(self, run: Run) -> bool:
        at, _ = self._told.get(run.id, (None, None))
        return at is None or self._clock.monotonic() - at >= PROGRESS_EVERY_S

    async def _new_lines(self, run: Run) -> Sequence[tuple[int, datetime, LogLine]]:
        if run.state is RunState.QUEUED:
            return []
        lines: list[tuple[int, datetime, LogLine]] = []
        for _ in range(LOG_PARTS_MAX):
            part = await self._store.log(run.id, lines[-1][0] if lines else self._lines.get(run.id, 0))
            if not part:
                break
            lines += part
        return lines

    def _prune(self, since: datetime) -> None:
        """Forget ended runs that the next look cannot find any more."""
        over = [
            name
            for name, run in self._known.items()
            if run.state in TERMINAL and (run.queued_at is None or run.queued_at < since)
        ]
        for name in over:
            for kept in (self._known, self._lines, self._told):
                kept.pop(name, None)

    def _publish(self, kind: str, data: object) -> None:
        self._last += 1
        self._ring.append((self._last, _event(f"{self._token}-{self._last}", kind, data)))
        self.news.set()
        self.news = asyncio.Event()


def _kind(before: Run | None, run: Run) -> str:
    if run.state in TERMINAL:
        return "run_ended"
    if run.state is RunState.QUEUED:
        return "run_queued"
    return "run_progress" if before is not None and before.state is RunState.RUNNING else "run_started"


def _event(name: str, kind: str, data: object) -> bytes:
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (name.encode(), kind.encode(), msgspec.json.encode(data))


def _progress_json(progress: Progress | None) -> dict[str, object] | None:
    """Return how far a run of this process is beyond its last batch; of others nobody knows."""
    if progress is None:
        return None
    return {
        "rows_read": progress.rows_read,
        "rows_expected": progress.rows_expected,
        "waiting_for": progress.waiting_for,
    }
