"""Comparing a table with its source, by key and stamp or by hour: decisions only.

A source's bucket differs from ours also because a row moved to another hour, so both sides of a
differing hour are looked at. What is *extra* here is only a suspicion: a deletion needs a direct look.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from comporta.core.record import Bucket, Key


@dataclass(slots=True)
class Differences:
    """What differs: ``absent`` here, ``stale`` (another stamp there), ``extra`` here. Keys, in order found."""

    compared: int = 0
    absent: list[Key] = field(default_factory=list)
    stale: list[Key] = field(default_factory=list)
    extra: list[Key] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Return how many keys differ."""
        return len(self.absent) + len(self.stale) + len(self.extra)

    def add(self, other: "Differences") -> None:
        """Add what another part of the same comparison found."""
        self.compared += other.compared
        self.absent += other.absent
        self.stale += other.stale
        self.extra += other.extra


def compare_stamps(theirs: Mapping[Key, str | None], ours: Mapping[Key, str | None]) -> Differences:
    """Compare two listings of the same key range.

    >>> found = compare_stamps({1: "a", 2: "b"}, {2: "a", 3: "c"})
    >>> found.absent, found.stale, found.extra
    ([1], [2], [3])
    """
    return Differences(
        compared=len(theirs),
        absent=[key for key in theirs if key not in ours],
        stale=[key for key, stamp in theirs.items() if key in ours and ours[key] != stamp],
        extra=[key for key in ours if key not in theirs],
    )


def differing_hours(theirs: Iterable[Bucket], ours: Iterable[Bucket]) -> Sequence[str]:
    """Return the hours whose number of rows or sum of keys differ, in order.

    >>> differing_hours([Bucket("2026-03-01T08", 2, 3)], [Bucket("2026-03-01T08", 1, 3)])
    ['2026-03-01T08']
    """
    known = {bucket.hour: bucket for bucket in ours}
    seen = {bucket.hour: bucket for bucket in theirs}
    return sorted(hour for hour in known.keys() | seen.keys() if known.get(hour) != seen.get(hour))
