"""An older program and Comporta beside each other: one real Redis, one real database, a fake source and clock.

The key's time to live is real, for it goes by the clock of Redis; the fake clock decides only how long a silence is.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self

from tests.engine.workshop import Workshop, at
from tests.servers.redis_server import OwnRedis

from comporta.coordination.execute import Executor
from comporta.coordination.legacy_locks import LegacyLocks
from comporta.core.guard import KeyState, LegacyKey, Without
from comporta.core.run import Run
from comporta.errors_guard import LegacyLockUnreachable
from comporta.guards.redis_keys import RedisKeys
from comporta.testing import Turn

KEY = LegacyKey("carteira:sync:incremental:lock", "carteira:sync:incremental:last_run")
SCRIPT = "cron:4711"
"""The token of the older program."""
TTL = timedelta(seconds=30)
PATIENCE_S = 8.0
LOOK_AGAIN_S = 0.01
SHORT = timedelta(milliseconds=300)
"""Soon over; on a busy machine too soon for a heartbeat."""
KEPT = timedelta(seconds=2)
"""So long that a heartbeat comes in time on a busy machine too."""


class Noting(RedisKeys):
    """Keys that count how often nobody answered."""

    silences = 0

    async def renew(self, key: str, token: str, ttl: timedelta) -> KeyState:
        try:
            return await super().renew(key, token, ttl)
        except LegacyLockUnreachable:
            self.silences += 1
            raise


@dataclass
class World:
    """One process of Comporta, and the Redis that the older program uses too."""

    workshop: Workshop
    redis: OwnRedis
    without: Without = Without.REFUSE
    ttl: timedelta = TTL
    keys_kind: type[Noting] = Noting
    keys: Noting = field(init=False)
    locks: LegacyLocks = field(init=False)
    executor: Executor = field(init=False)

    async def __aenter__(self) -> Self:
        self.workshop.source.stream().put_many(range(1, 36), stamp=at(9))  # four pages
        self.workshop.account(self.workshop.plan(legacy_key=KEY))
        self.keys = self.keys_kind(self.redis.url)
        self.locks = LegacyLocks(self.keys, clock=self.workshop.clock, ttl=self.ttl, without=self.without)
        self.executor = self.workshop.executor(locks=self.locks)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.keys.aclose()

    async def sync(self, *, wait: bool = False) -> Run:
        """Sync, and return the first run."""
        runs = await self.workshop.sync(wish=self.workshop.wish(wait=wait), syncer=self.workshop.syncer(self.executor))
        return runs[0]

    async def halfway(self) -> "tuple[asyncio.Task[Run], Turn]":
        """Begin a sync and return when two of its four pages are committed; the third comes with ``release``."""
        turn = self.workshop.source.script.on("page", skip=2, waits=True)
        task = asyncio.ensure_future(self.sync())
        await turn.reached.wait()
        await self.workshop.witness.saw("batch_committed", 2)
        return task, turn

    async def tries(self, span: timedelta) -> int:
        """Let the older program try to get in for some time, and return how often it did."""
        now, got_in = asyncio.get_running_loop().time, 0
        until = now() + span.total_seconds()
        while now() < until:
            got_in += self.redis.lock(KEY.name, SCRIPT)
            await asyncio.sleep(LOOK_AGAIN_S)
        return got_in

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Return when something is so."""
        async with asyncio.timeout(PATIENCE_S):
            while not is_so():
                await asyncio.sleep(LOOK_AGAIN_S)

    @property
    def is_whole(self) -> bool:
        """Say whether every row is as at the source."""
        return self.workshop.rows() == self.workshop.truth()
