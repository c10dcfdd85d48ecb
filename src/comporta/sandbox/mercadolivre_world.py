"""Everything the simulated sellers have, and the one way to change it.

A record is never changed in place: a page already chosen keeps what it saw.
"""

from collections.abc import Iterable
from threading import RLock

from comporta.sandbox.clock import SourceClock


class World:
    """All records of all sellers."""

    def __init__(self, clock: SourceClock, sellers: Iterable[int]) -> None:
        self.clock = clock
        self.sellers = list(sellers)
        self.lock = RLock()
