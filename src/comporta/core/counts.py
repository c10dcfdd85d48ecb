"""Counts: read = inserted + updated + unchanged + rejected, always; deleted stands beside them.

They are made by the upsert itself, in its own transaction, so the sum is a check and not a hope.
"""

from dataclasses import asdict, astuple, dataclass
from operator import add, sub


@dataclass(frozen=True, slots=True)
class Counts:
    """What happened to the records of a run or of a batch."""

    read: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    deleted: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*map(add, astuple(self), astuple(other)))

    def __sub__(self, other: "Counts") -> "Counts":
        return Counts(*map(sub, astuple(self), astuple(other)))

    @property
    def is_balanced(self) -> bool:
        """Say whether every record that was read is accounted for.

        >>> Counts(read=3, inserted=1, unchanged=2).is_balanced, Counts(read=3, inserted=1).is_balanced
        (True, False)
        """
        return self.read == self.inserted + self.updated + self.unchanged + self.rejected

    def as_json(self) -> dict[str, int]:
        """Return the six figures by name."""
        return asdict(self)


def too_many(part: int, whole: int, *, share: float, at_least: int) -> bool:
    """Say whether ``part`` of ``whole`` is more than ``share``, small numbers aside.

    >>> too_many(20, 100, share=0.05, at_least=20), too_many(21, 100, share=0.05, at_least=20)
    (False, True)
    """
    return part > at_least and part > share * whole
