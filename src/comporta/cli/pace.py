"""How fast a run goes and when it will be done, as shown while it runs. Pure: times come in.

An estimate is only shown when the total is known and some of the run is behind us, and it never grows:
a number that goes up again is worse than none.
"""

from dataclasses import dataclass

PATIENCE_S = 5.0
PAGES_LEAST = 2


@dataclass(slots=True)
class Pace:
    """The pace of one run, asked again and again while it goes on."""

    started: float
    begun_with: int = 0
    pages: int = 0
    _end: float | None = None

    def rate(self, now: float, rows: int) -> float:
        """Return rows per second since the run started, 0 before anything can be said.

        >>> Pace(started=0).rate(10, 1000)
        100.0
        """
        elapsed = now - self.started
        return (rows - self.begun_with) / elapsed if elapsed > 0 else 0.0

    def remaining(self, now: float, rows: int, expected: int | None) -> float | None:
        """Return the seconds that are left, ``None`` while that cannot be said.

        >>> pace = Pace(started=0, pages=2)
        >>> pace.remaining(10, 1000, 3000), pace.remaining(20, 1100, 3000), pace.remaining(4, 10, None)
        (20.0, 10.0, None)
        """
        rate = self.rate(now, rows)
        if expected is None or now - self.started < PATIENCE_S or self.pages < PAGES_LEAST or rate <= 0:
            return None
        end = now + max(0, expected - rows) / rate
        self._end = end if self._end is None else min(end, self._end)
        return max(0.0, self._end - now)
