"""The keys of older programs that the runs of this process honour, beside the lease and never instead of it.

Runs that honour the same key hold it together: to the older program this process is one program, and the streams of
an account need not wait for each other. The first takes the key, a heartbeat renews it, every run looks before each
commit, and the last frees it. The token is the first's run id and some letters of this process's own: two processes
may want to do one queued run, and the one that comes too late must not free the key of the other. A heartbeat on the
event loop is enough here: when the loop is blocked past the time to live, the next look finds it out, and the fence
does not depend on it.

What an answer means, and what silence does, is decided in ``core.guard``.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from secrets import token_hex

from comporta.core.guard import KeyState, LegacyKey, Step, Without, judge_key, judge_silence
from comporta.core.instant import instant_text
from comporta.core.run import Run
from comporta.errors import ComportaError, StandDown
from comporta.errors_guard import LegacyLockHeld, LegacyLockLost, LegacyLockUnreachable
from comporta.ports.clock import Clock
from comporta.ports.guard import UNGUARDED, Guard, LockKeys
from comporta.ports.progress import LogLine
from comporta.ports.source import Finding

BEAT_MAX_S = 2.0
"""How long a run that commits nothing goes on, at most, after somebody deleted the key."""
BEATS_PER_TTL = 3
SUBJECT = "legacy lock"
"""What findings are about."""


@dataclass(frozen=True, slots=True)
class Denied:
    """A run may not begin now, and why."""

    error: ComportaError


class LegacyLocks:
    """The keys that this process holds, each for as long as one of its runs needs it."""

    def __init__(self, keys: LockKeys, *, clock: Clock, ttl: timedelta, without: Without) -> None:
        self._keys = keys
        self._clock = clock
        self._ttl = ttl
        self._without = without
        self._holdings: dict[str, _Holding] = {}
        self._doors: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def guarding(self, key: LegacyKey, run: Run) -> AsyncIterator[Guard | Denied]:
        """Hold a key around a run, or say why not. A dry run writes nothing, and so disturbs nobody."""
        if run.dry_run:
            yield UNGUARDED
            return
        entered = await self._enter(key, run)
        if isinstance(entered, ComportaError):
            yield Denied(entered)
            return
        try:
            yield _Member(entered, key, run)
        finally:
            await self._leave(key, run, entered)

    async def findings(self, keys: Iterable[LegacyKey]) -> list[Finding]:
        """Return who holds each key now; a silent Redis is a fault only where nothing runs without it."""
        return [await self._finding(name) for name in dict.fromkeys(key.name for key in keys)]

    async def silence(self, keys: Iterable[LegacyKey]) -> LegacyLockUnreachable | None:
        """Return why nobody can be asked who holds a key, where nothing runs without it."""
        if self._without is Without.REFUSE:
            for name in dict.fromkeys(key.name for key in keys):
                try:
                    await self._keys.look(name)
                except LegacyLockUnreachable as error:
                    return error
        return None

    async def _finding(self, name: str) -> Finding:
        try:
            seen = await self._keys.look(name)
        except LegacyLockUnreachable as error:
            is_fine = self._without is Without.DATABASE
            return Finding(SUBJECT, ok=is_fine, message=error.message, next_step="" if is_fine else error.next_step)
        return Finding(SUBJECT, ok=True, message=f"Redis answers; the key {name!r} is {seen.text}")

    async def _enter(self, key: LegacyKey, run: Run) -> "_Holding | ComportaError":
        async with self._doors[key.name]:
            holding = self._holdings.get(key.name)
            if holding is not None and not holding.members:
                await holding.end()  # its last run was cancelled before it could
                holding = None
            if holding is None or holding.lost is not None:
                token = f"{run.id}/{token_hex(4)}"
                holding = _Holding(self._keys, key.name, token, clock=self._clock, ttl=self._ttl, without=self._without)
                if (refusal := await holding.take()) is not None:
                    return refusal
                self._holdings[key.name] = holding
                holding.begin()
            holding.members[run.id] = None
            return holding

    async def _leave(self, key: LegacyKey, run: Run, holding: "_Holding") -> None:
        del holding.members[run.id]  # first: who is cancelled at the door must not keep the heart beating
        async with self._doors[key.name]:
            if holding.members:
                return
            if self._holdings.get(key.name) is holding:
                del self._holdings[key.name]
            await holding.end()


class _Holding:
    """One key, as long as it is ours: ``take`` it, ``begin``, and ``end`` what was begun."""

    _beating: asyncio.Task[None]

    def __init__(self, keys: LockKeys, key: str, token: str, *, clock: Clock, ttl: timedelta, without: Without) -> None:
        self.keys = keys
        self.clock = clock
        self.members: dict[str, Callable[[StandDown], None] | None] = {}
        self.lost: LegacyLockLost | None = None
        self.silence: LegacyLockUnreachable | None = None
        """Why Redis could not be asked the last time; ``None`` while it answers."""
        self.was_silent = False
        self._key = key
        self._token = token
        self._ttl = ttl
        self._without = without
        self._renewed = clock.monotonic()
        self._asking = asyncio.Lock()
        self._found_lost = asyncio.Event()

    async def take(self) -> ComportaError | None:
        """Take the key; return why this run may not begin."""
        try:
            seen = await self.keys.take(self._key, self._token, self._ttl)
        except LegacyLockUnreachable as error:
            if self._without is Without.REFUSE:
                return error
            self._fell_silent(error)
            return None
        if seen.token != self._token:
            return LegacyLockHeld(f"the key {self._key!r} in Redis is {seen.text}")
        return None

    def begin(self) -> None:
        """Let the heart beat."""
        self._beating = asyncio.ensure_future(self._beat_until_lost())

    async def end(self) -> None:
        """Stop the heart and free the key, if it is ours and Redis answers; else it runs out."""
        self._beating.cancel()  # also in the middle of a question: a Redis that hangs must not hold up a shutdown
        await asyncio.wait([self._beating])
        with suppress(LegacyLockUnreachable):
            await self.keys.release(self._key, self._token)

    async def check(self) -> None:
        """Ask whether the key is still ours, and renew it.

        Where the database is enough, a silent Redis is asked by the heartbeat alone, and no batch waits for it.
        """
        if self.silence is None or self._without is Without.REFUSE:
            await self._ask()
        else:
            self._bear_silence()
        if self.lost is not None:
            raise self.lost

    async def _beat_until_lost(self) -> None:
        every_s = min(BEAT_MAX_S, self._ttl.total_seconds() / BEATS_PER_TTL)
        while (lost := self.lost) is None and self.members:
            with suppress(TimeoutError):
                # In real time, as the lease's own heartbeat: a key lives by the clock of Redis.
                await asyncio.wait_for(self._found_lost.wait(), every_s)
            await self._ask()
        for stand_down in self.members.values():
            if lost is not None and stand_down is not None:
                stand_down(lost)

    async def _ask(self) -> None:
        async with self._asking:
            if self.lost is not None:
                return
            began = self.clock.monotonic()
            try:
                seen = await self.keys.renew(self._key, self._token, self._ttl)
                step = judge_key(seen, self._token, was_silent=self.was_silent)
                if step is Step.TAKE:
                    seen = await self.keys.take(self._key, self._token, self._ttl)
                    step = judge_key(seen, self._token, was_silent=False)
            except LegacyLockUnreachable as error:
                self._fell_silent(error)
                self._bear_silence()
                return
            if step is Step.GO_ON:
                self.silence, self.was_silent, self._renewed = None, False, began
            else:
                self._lose(seen)

    def _fell_silent(self, error: LegacyLockUnreachable) -> None:
        self.silence = error
        self.was_silent = self._without is Without.DATABASE

    def _bear_silence(self) -> None:
        now, ttl_s = self.clock.monotonic(), self._ttl.total_seconds()
        if judge_silence(now=now, renewed=self._renewed, ttl_s=ttl_s, without=self._without) is Step.STOP:
            told = self.silence.message if self.silence else ""
            reason = f"the key {self._key!r} was not renewed for {ttl_s:g} s and may be somebody else's: {told}"
            self._stop(reason)

    def _lose(self, seen: KeyState) -> None:
        found = "was deleted" if seen.token is None else f"is {seen.text}"
        message = f"the key {self._key!r} in Redis {found}; expected {self._token!r}, the token of this run"
        self._stop(message)

    def _stop(self, message: str) -> None:
        self.lost = self.lost or LegacyLockLost(message)
        self._found_lost.set()


class _Member:
    """The guard of one run."""

    def __init__(self, holding: _Holding, key: LegacyKey, run: Run) -> None:
        self._holding = holding
        self._key = key
        self._run = run
        self._has_warned = False

    async def check(self) -> LogLine | None:
        """Return when the run may commit; raise ``LegacyLockLost`` if it may not."""
        await self._holding.check()
        silence = self._holding.silence
        if silence is None or self._has_warned:
            return None
        self._has_warned = True
        message = f"{silence.message}; the run goes on with the lease in the database alone"
        return LogLine("warning", "legacy_lock_unreachable", message, silence.as_json())

    def watch(self, stand_down: Callable[[StandDown], None]) -> None:
        """Have the run told by the heartbeat too."""
        self._holding.members[self._run.id] = stand_down
        if self._holding.lost is not None:
            stand_down(self._holding.lost)

    async def succeeded(self, run: Run) -> None:
        """Mirror when a run last succeeded, for those who look there."""
        if run.finished_at is not None and self._holding.lost is None:
            with suppress(LegacyLockUnreachable):
                await self._holding.keys.put(self._key.last_run, instant_text(run.finished_at))
