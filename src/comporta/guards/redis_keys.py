"""Keys in Redis, held by token: taken with SET NX PX, renewed and freed only while our token is in them.

Comparing and changing are one Lua script, so nobody comes between. Redis may restart, forget its scripts, be full or
read-only: whatever is not an answer is ``LegacyLockUnreachable``, within two seconds, and the next call connects anew.
"""
# ruff: noqa: D102  ports.guard.LockKeys says what each method promises

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from comporta.core.guard import KeyState
from comporta.core.postgres_url import without_password
from comporta.errors_guard import LegacyLockUnreachable, RedisMissing

if TYPE_CHECKING:
    from redis.asyncio import Redis

ANSWER_S = 1.0
"""A Redis that is near answers within a millisecond; a run waits for it before every batch."""
CALL_S = 2.0
"""Connecting and asking together."""
# GET of what is no text is an error in Redis; here it is somebody's token that cannot be read.
STATE = """
local function state()
    local token = redis.pcall('GET', KEYS[1])
    if type(token) == 'table' then token = '(no text)' end
    return {token, redis.call('PTTL', KEYS[1])}
end
"""
TAKE = STATE + "redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) return state()"
RENEW = STATE + "if state()[1] == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return state()"
RELEASE = STATE + "if state()[1] == ARGV[1] then redis.call('DEL', KEYS[1]) end return state()"
LOOK = STATE + "return state()"


class RedisKeys:
    """The keys of one Redis; connections are made when needed, and lost ones made anew."""

    def __init__(self, url: str) -> None:
        self._where = without_password(url)
        self._redis = _client(url)

    async def take(self, key: str, token: str, ttl: timedelta) -> KeyState:
        return await self._run("take", TAKE, key, token, _milliseconds(ttl))

    async def renew(self, key: str, token: str, ttl: timedelta) -> KeyState:
        return await self._run("renew", RENEW, key, token, _milliseconds(ttl))

    async def release(self, key: str, token: str) -> None:
        await self._run("release", RELEASE, key, token)

    async def look(self, key: str) -> KeyState:
        return await self._run("look at", LOOK, key)

    async def put(self, key: str, text: str) -> None:
        await self._answer(f"write {key!r}", cast("Awaitable[object]", self._redis.set(key, text)))

    async def aclose(self) -> None:
        await self._redis.aclose()

    async def _run(self, verb: str, script: str, key: str, *values: str) -> KeyState:
        # EVAL, not EVALSHA: these few bytes survive a restart of Redis and SCRIPT FLUSH.
        answer = await self._answer(
            f"{verb} the key {key!r}", cast("Awaitable[object]", self._redis.eval(script, 1, key, *values))
        )
        token, left = cast("tuple[str | None, int]", answer)
        return KeyState(token, timedelta(milliseconds=left) if left >= 0 else None)

    async def _answer(self, attempt: str, asked: Awaitable[object]) -> object:
        from redis.exceptions import RedisError

        try:
            async with asyncio.timeout(CALL_S):
                return await asked
        except (RedisError, OSError, TimeoutError) as error:
            said = str(error) or f"no answer within {CALL_S:g} s"
            raise LegacyLockUnreachable(f"Redis at {self._where}: could not {attempt}: {said}") from error


def _client(url: str) -> "Redis":
    try:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError as error:
        message = f"Redis at {without_password(url)}: the package redis is not installed, and legacy_lock needs it"
        raise RedisMissing(message) from error
    return Redis.from_url(
        url,
        # Once more, because a connection that was idle may have died unseen; whoever wants it again asks again.
        retry=Retry(NoBackoff(), 1),
        socket_timeout=ANSWER_S,
        socket_connect_timeout=ANSWER_S,
        decode_responses=True,
        encoding_errors="replace",
        protocol=2,  # what every Redis since 2.6 speaks
    )


def _milliseconds(length: timedelta) -> str:
    return str(max(1, length // timedelta(milliseconds=1)))
