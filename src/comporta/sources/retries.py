"""When one request is sent again, as data. A run that fails is tried again by ``core.retry``, not here.

Only what may work a moment later is repeated (``Retryable``); a throttled request is no failure and
has a bound of its own. All pauses together stay below the default ``stall_timeout``.
"""

from dataclasses import dataclass
from datetime import timedelta
from random import Random

from comporta.errors import ComportaError, RateLimited, Retryable


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one request so far."""

    failures: int = 0
    throttles: int = 0

    def after(self, error: ComportaError) -> "Tried":
        """Return the count with this error in it."""
        if isinstance(error, RateLimited):
            return Tried(self.failures, self.throttles + 1)
        return Tried(self.failures + 1, self.throttles)


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and when. ``within`` keeps slow failures (timeouts of two minutes) from adding up."""

    tries_max: int = 3
    throttles_max: int = 10
    base: timedelta = timedelta(seconds=0.5)
    within: timedelta = timedelta(minutes=3)
    wait_max: timedelta = timedelta(seconds=60)

    def pause(
        self,
        error: ComportaError,
        *,
        tried: Tried,
        spent: timedelta,
        asked: timedelta | None,
        dice: Random,
    ) -> timedelta | None:
        """Return how long to wait before the next try, or ``None`` to give up.

        ``asked`` is the server's own wish (Retry-After): never undercut, and beyond ``wait_max`` the
        run should wait, not the request. Otherwise exponential with full jitter.
        """
        if not isinstance(error, Retryable) or (asked is not None and asked > self.wait_max):
            return None
        is_throttled = isinstance(error, RateLimited)
        if not is_throttled and (tried.failures >= self.tries_max or spent >= self.within):
            return None
        if is_throttled and tried.throttles >= self.throttles_max:
            return None
        attempt = tried.throttles if is_throttled else tried.failures
        longest: timedelta = self.base * 2 ** (attempt - 1)
        backoff = min(longest, self.wait_max) * dice.random()
        return backoff if asked is None else asked + min(backoff, self.base)
