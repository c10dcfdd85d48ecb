"""The heartbeat: keeps a run's lease while the run makes progress, in a thread of its own.

Its own thread, because a blocked event loop must not lose the lease, and because nobody else would end a
run whose event loop hangs. It renews, looks whether a person cancelled the run, and judges progress by
``core.lease.judge_beat``. When the run has to stand down, it says so to the event loop and stops
renewing: whatever the loop does then, the lease runs out.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Self

from comporta.core.lease import Beat, Lease, judge_beat
from comporta.core.rate import duration_text
from comporta.errors import ComportaError, DeadlinePassed, LeaseLost, RunCancelled, RunStalled, StandDown
from comporta.ports.clock import Clock
from comporta.ports.progress import Progress
from comporta.ports.store import Store

LOOK_MAX_S = 2.0
"""How long a cancellation waits to be seen, at most, and a line of the run's log to be kept."""
RENEWALS_PER_LEASE = 3


class Heartbeat:
    """Use as an async context manager around the work of one run; ``looked`` is called, in its thread, after a look."""

    def __init__(
        self,
        *,
        store: Store,
        lease: Lease,
        progress: Progress,
        clock: Clock,
        ttl: timedelta,
        stall: timedelta,
        timeout: timedelta,
        stand_down: Callable[[StandDown], None],
        looked: Callable[[], object],
    ) -> None:
        self._store = store
        self._lease = lease
        self._progress = progress
        self._clock = clock
        self._ttl = ttl
        self._stall = stall
        self._timeout = timeout
        self._stand_down = stand_down
        self._looked = looked
        self._deadline = clock.monotonic() + timeout.total_seconds()
        self._every_s = ttl.total_seconds() / RENEWALS_PER_LEASE
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat_until_stopped, name=f"heartbeat {lease.scope}", daemon=True)

    async def __aenter__(self) -> Self:
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopped.set()
        # A renewal may be waiting for the right to write: the other runs of this process must not wait with it.
        await asyncio.to_thread(self._thread.join)

    def _beat_until_stopped(self) -> None:
        look_s = min(LOOK_MAX_S, self._every_s)
        renewed = self._clock.monotonic()
        while not self._stopped.wait(look_s):
            now = self._clock.monotonic()
            is_due = now - renewed >= self._every_s
            reason = None
            with suppress(ComportaError):
                # A database that cannot answer now is asked again at the next beat; the lease decides meanwhile,
                # and a run that hangs must be ended also while the disk is full.
                reason = self._judge(now) or self._look(is_due=is_due)
                renewed = now if is_due else renewed
            if self._stopped.is_set():
                return
            if reason is not None:
                self._stand_down(reason)
                return
            self._looked()

    def _look(self, *, is_due: bool) -> StandDown | None:
        scope = self._lease.scope
        if is_due and not self._store.renew(self._lease, self._ttl):
            return LeaseLost(f"{scope}: run {self._lease.holder} no longer holds epoch {self._lease.epoch}")
        if self._store.cancel_requested(self._lease.holder):
            return RunCancelled(f"{scope}: a person cancelled run {self._lease.holder}")
        return None

    def _judge(self, now: float) -> StandDown | None:
        beat = judge_beat(
            now=now,
            touched=self._progress.touched,
            waiting_until=self._progress.waiting_until,
            stall_s=self._stall.total_seconds(),
            deadline=self._deadline,
        )
        scope = self._lease.scope
        if beat is Beat.STALLED:
            return RunStalled(f"{scope}: no page read and no batch written for {duration_text(self._stall)}")
        if beat is Beat.OVERDUE:
            return DeadlinePassed(f"{scope}: not finished within its timeout of {duration_text(self._timeout)}")
        return None
