"""The limit of one simulated account: so many requests in any second, judged as each one arrives.

A sliding log, not a counter per second: five at the end of one second and five at the start of the next
are ten in a second. What was refused takes no room. ``Meter`` is also the witness: it remembers every
arrival, so that a test can see what a client did and not what it says it did.
"""

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from math import ceil
from threading import Lock
from typing import Any

SPAN_S = 1.0
REMEMBERED_MAX = 200_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the limit says to one request."""

    is_allowed: bool
    remaining: int
    wait_s: int


class Meter:
    """The arrivals at one account. Every method may be called from any thread."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = Lock()
        self._recent: list[float] = []
        self._arrived: deque[float] = deque(maxlen=REMEMBERED_MAX)
        self._violations: deque[float] = deque(maxlen=REMEMBERED_MAX)
        self._allowed = self._refused = self._storm = self._storm_max = 0

    def arrive(self, now: float, *, taken: int = 0, is_throttled: bool = False) -> Verdict:
        """Judge a request that arrived now, ``taken`` of the limit being used by somebody else."""
        with self._lock:
            self._arrived.append(now)
            self._recent = [at for at in self._recent if at > now - SPAN_S]
            room = 0 if is_throttled else self.limit - taken - len(self._recent)
            if room > 0:
                self._recent.append(now)
                self._allowed += 1
                self._storm = 0
                return Verdict(is_allowed=True, remaining=room - 1, wait_s=0)
            self._refused += 1
            self._storm += 1
            self._storm_max = max(self._storm_max, self._storm)
            # Only what a client could have known is held against it: others' requests it cannot see.
            if len(self._recent) >= self.limit:
                self._violations.append(now)
            wait = min(self._recent) + SPAN_S - now if self._recent else SPAN_S
            return Verdict(is_allowed=False, remaining=0, wait_s=max(1, ceil(wait)))

    def as_json(self) -> dict[str, Any]:
        """Return what was seen; times are seconds since the first arrival."""
        with self._lock:
            arrived = sorted(self._arrived)
            first = arrived[0] if arrived else 0.0
            return {
                "limit": self.limit,
                "arrivals": self._allowed + self._refused,
                "allowed": self._allowed,
                "refused": self._refused,
                "violations": len(self._violations),
                "violation_times": [round(at - first, 4) for at in self._violations],
                "most_in_a_second": most_in_a_span(arrived),
                "storm_max": self._storm_max,
                "seconds": round(arrived[-1] - first, 4) if arrived else 0.0,
                "used": round(share_used(self._allowed, arrived, self.limit), 4),
            }


def most_in_a_span(arrived: list[float]) -> int:
    """Return the greatest number of arrivals less than a second apart from the first to the last of them.

    >>> most_in_a_span([0.0, 0.5, 0.9, 1.0, 1.4, 3.0])
    4
    """
    starts = (bisect_right(arrived, at - SPAN_S) for at in arrived)
    return max((place + 1 - start for place, start in enumerate(starts)), default=0)


def share_used(allowed: int, arrived: list[float], limit: int) -> float:
    """Return what was let in as a share of what the limit allows from the first arrival to the last.

    A second before the first one counts: as many as the limit may come at once at the beginning.

    >>> share_used(6, [0.0, 0.0, 1.0, 1.0, 2.0, 2.0], 2)
    1.0
    >>> share_used(3, [0.0, 1.0, 2.0], 2)
    0.5
    """
    return allowed / (limit * (arrived[-1] - arrived[0] + SPAN_S)) if arrived else 0.0
