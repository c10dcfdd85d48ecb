"""How many rows one transaction writes: more while it is brief, or as long as more of them are quicker.

A transaction costs something however few rows it has (a commit, and on a distant server a dozen round
trips), so small pages that wait together are written together. But others wait for it, what it wrote is lost
if the process dies in it, and its rows take memory. So a batch grows while it is brief, and then only where the
last growth paid.
"""

from dataclasses import dataclass, replace

FIRST_ROWS = 1_000
ROWS_MAX = 5_000
"""Bounds memory: as many rows again may have been fetched meanwhile."""
ROWS_MIN = 100
TARGET_S = 2.0
"""How long a transaction should take: the other streams of an SQLite file wait for as long."""
TOOK_MAX_S = 5 * TARGET_S
"""Longer, it is not the distance (a dozen round trips) but the rows, and there must be fewer."""
BRIEF_S = 0.1
"""Nobody minds waiting so long. A full load in batches of 5,000 took 7 % less CPU than in those of 2,000."""
GROWTH = 2
PAYS = 1.15
"""How much quicker a row must have become for a batch that is not brief to grow once more."""


@dataclass(frozen=True, slots=True)
class BatchSize:
    """How many rows the next transaction is to write, ``most`` at most.

    ``rate`` is the best seen, in rows/s; a size is ``settled`` when the last growth did not pay and was taken back.
    """

    rows: int = FIRST_ROWS
    most: int = ROWS_MAX
    rate: float = 0.0
    is_settled: bool = False

    def after(self, rows: int, *, took_s: float) -> "BatchSize":
        """Return the size to go on with, after a transaction wrote ``rows`` in ``took_s`` seconds.

        >>> near = BatchSize(1_000).after(1_000, took_s=0.02).after(2_000, took_s=0.04)
        >>> slow = BatchSize(1_000).after(1_000, took_s=0.2).after(2_000, took_s=0.4)
        >>> far = BatchSize(1_000).after(1_000, took_s=1.02).after(2_000, took_s=1.04)
        >>> near.rows, slow.rows, far.rows, far.after(4_000, took_s=4.0).rows
        (4000, 1000, 4000, 4000)
        >>> far.after(4_000, took_s=20.0).rows
        400
        >>> BatchSize(1_000).after(10, took_s=0.02).rows  # too few to tell what a thousand would take
        1000
        """
        rate = rows / max(took_s, 1e-6)
        if took_s > TOOK_MAX_S:
            fewer = max(ROWS_MIN, int(rate * TARGET_S))
            return replace(self, rows=min(self.rows, fewer), rate=0.0)  # it may have been a wait for a lock
        if self.is_settled or took_s > TARGET_S or rows <= self.rows / GROWTH:
            return self
        if took_s > BRIEF_S and rate < PAYS * self.rate:
            return replace(self, rows=max(1, self.rows // GROWTH), is_settled=True)
        more = min(GROWTH * self.rows, self.most)
        return replace(self, rows=more, rate=rate, is_settled=more == self.rows)
