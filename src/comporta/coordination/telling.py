"""Telling people: a letter to every channel at once, in a bounded time, whatever a channel does.

A letter counts as told when one channel took it. A channel that fails is tried again within the same letter, then left
alone for a while, longer each time; the others go on, and say that it fails.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from comporta.core.alert_facts import Trouble
from comporta.core.alert_letter import Letter
from comporta.core.retry import RetryPolicy
from comporta.errors import ComportaError
from comporta.errors_alerts import ChannelFailed
from comporta.ports.alerts import Channel
from comporta.ports.clock import Clock

TRIES = 3
BETWEEN = RetryPolicy(retries=TRIES - 1, base=timedelta(seconds=1), cap=timedelta(seconds=5))
PATIENCE_S = 60.0
"""For one letter over one channel, all tries together; less than ``alert_settling.CLAIM``."""
RESTS = RetryPolicy(retries=1_000_000, base=timedelta(minutes=1), cap=timedelta(minutes=30))


@dataclass(slots=True)
class _Standing:
    """How a channel fared: in vain so often, and not before when again."""

    failures: int = 0
    not_before: datetime | None = None
    trouble: Trouble | None = None


class Teller:
    """Tells people over the channels of the settings."""

    def __init__(self, channels: Sequence[Channel], clock: Clock) -> None:
        self._channels = {each.name: each for each in channels}
        self._clock = clock
        self._standing: dict[str, _Standing] = {}

    @property
    def can_tell(self) -> bool:
        """Say whether any channel may be tried now."""
        return any(self._may_try(name) for name in self._channels)

    @property
    def troubles(self) -> Mapping[str, Trouble | None]:
        """Return why each channel that was used failed the last time, ``None`` if it did not."""
        return {name: each.trouble for name, each in self._standing.items()}

    async def tell(self, letter: Letter) -> bool:
        """Give a letter to every channel that may be tried, and say whether one took it."""
        names = [name for name in self._channels if self._may_try(name)]
        errors = await asyncio.gather(*(self._deliver(self._channels[name], letter) for name in names))
        for name, error in zip(names, errors, strict=True):
            self._note(name, error)
        return any(error is None for error in errors)

    def _may_try(self, name: str) -> bool:
        until = self._standing.get(name, _Standing()).not_before
        return until is None or self._clock.now() >= until

    async def _deliver(self, channel: Channel, letter: Letter) -> ComportaError | None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._tried(channel, letter)
        except TimeoutError:
            return ChannelFailed(f"{channel.name}: took no letter within {PATIENCE_S:g} s")

    async def _tried(self, channel: Channel, letter: Letter) -> ComportaError | None:
        attempt = 1
        while True:
            try:
                await channel.send(letter)
                return None
            except ComportaError as error:
                pause = BETWEEN.delay(attempt, jitter=1.0) if isinstance(error, ChannelFailed) else None
                if pause is None:
                    return error
            attempt += 1
            await self._clock.sleep(pause)

    def _note(self, name: str, error: ComportaError | None) -> None:
        if error is None:
            self._standing[name] = _Standing()
            return
        before = self._standing.get(name, _Standing())
        now = self._clock.now()
        since = before.trouble.since if before.trouble else now
        rest = RESTS.delay(before.failures + 1, jitter=1.0) or timedelta()
        trouble = Trouble(error.code, error.message, error.next_step, since)
        self._standing[name] = _Standing(before.failures + 1, now + rest, trouble)
