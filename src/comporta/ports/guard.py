"""Guards: somebody else's lock, honoured beside our own lease, and what keeps its keys.

A guard is asked before every commit, so an answer is quick or bounded. It can only stop a run, never allow one what
its lease does not.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

from comporta.core.guard import KeyState
from comporta.core.run import Run
from comporta.errors import StandDown
from comporta.ports.progress import LogLine


class Guard(Protocol):
    """A lock that one run honours while it works."""

    async def check(self) -> LogLine | None:
        """Return when the run may commit, with what people should hear; raise ``LegacyLockLost`` if it may not."""

    def watch(self, stand_down: Callable[[StandDown], None]) -> None:
        """Have the run told between two commits too, as soon as it may not go on."""

    async def succeeded(self, run: Run) -> None:
        """Tell those who honour the same lock that a run succeeded; what cannot be told is left out."""


class Unguarded:
    """Nobody else has a lock."""

    async def check(self) -> LogLine | None:
        """Let the run commit."""
        return None

    def watch(self, stand_down: Callable[[StandDown], None]) -> None:
        """Have nothing to tell."""

    async def succeeded(self, run: Run) -> None:
        """Tell nobody."""


UNGUARDED = Unguarded()


class LockKeys(Protocol):
    """Keys with a token and a time to live; every call raises ``LegacyLockUnreachable`` when nobody answers in time."""

    async def take(self, key: str, token: str, ttl: timedelta) -> KeyState:
        """Put the token into the key if it is free; return what is in it now."""

    async def renew(self, key: str, token: str, ttl: timedelta) -> KeyState:
        """Let the key live on if our token is in it; return what is in it now."""

    async def release(self, key: str, token: str) -> None:
        """Free the key if our token is in it."""

    async def look(self, key: str) -> KeyState:
        """Return what is in the key, and change nothing."""

    async def put(self, key: str, text: str) -> None:
        """Write a text that others read."""

    async def aclose(self) -> None:
        """Let go of connections."""
