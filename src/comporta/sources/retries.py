"""When one request is sent again, as data. A run that fails is tried again by ``core.retry``, not here.

Only what may work a moment later is repeated: ``Retryable``, and what a source names besides. A throttled
request is no failure: it is counted by itself, and its budget says when it is sent again. All pauses between
failures together stay below the default ``stall_timeout``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from comporta.errors import ComportaError, Retryable


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one request so far. ``spent`` is time without that spent waiting for its turn."""

    failures: int = 0
    throttles: int = 0
    spent: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and when. ``within`` keeps slow failures (timeouts of two minutes) from adding up.

    ``further`` are errors of which a source knows that they may pass, and how often each is tried. A source that
    asks for a longer wait than ``wait_max`` (Retry-After) ends the run, which comes back when it may.
    """

    tries_max: int = 5
    throttles_max: int = 5
    base: timedelta = timedelta(seconds=0.5)
    within: timedelta = timedelta(minutes=3)
    wait_max: timedelta = timedelta(seconds=60)
    further: Mapping[type[ComportaError], int] = field(default_factory=dict)

    def tries(self, error: ComportaError) -> int:
        """Return how often a request may be sent that ends in this error."""
        if isinstance(error, Retryable):
            return self.tries_max
        return max((times for kind, times in self.further.items() if isinstance(error, kind)), default=1)

    def pause(self, error: ComportaError, tried: Tried, *, dice: Random) -> timedelta | None:
        """Return how long to wait before the next try: exponential, with full jitter; ``None`` to give up."""
        if tried.failures >= self.tries(error) or tried.spent >= self.within:
            return None
        longest: timedelta = self.base * 2 ** (tried.failures - 1)
        return longest * dice.random()

    def is_worth_its_turn(self, tried: Tried, *, asked: timedelta | None) -> bool:
        """Say whether a throttled request waits for its next turn."""
        return tried.throttles < self.throttles_max and (asked is None or asked <= self.wait_max)
