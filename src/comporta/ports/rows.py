"""What the ledger asks of the mirrored tables between two batches: what they have of some records, in plain values.

A part of ``ports.store.Store``. Every question is about the living rows of one account in one table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from comporta.core.record import Bucket, Key, Shape, Value


@dataclass(frozen=True, slots=True)
class Among:
    """A part of a table: the given keys, or keys in ``(after, upto]``; stamped in ``[since, until)``.

    ``is_open`` leaves out what the shape calls settled.
    """

    keys: Sequence[Key] | None = None
    after: Key | None = None
    upto: Key | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None
    is_open: bool = False


class Rows(Protocol):
    """The rows that there are; where there is no table there are none."""

    async def stamps(self, account: str, shape: Shape, among: Among) -> dict[Key, str | None]:
        """Return key and stamp, by key, of our living rows among those."""

    async def cells(
        self, account: str, shape: Shape, keys: Sequence[Key], names: Sequence[str]
    ) -> Mapping[Key, Sequence[Value]]:
        """Return what some columns hold in our living rows of those keys; ``WRITTEN_BY`` may be one of them."""

    async def children(self, account: str, shape: Shape, parents: Sequence[Key]) -> frozenset[Key]:
        """Return the keys of our living rows whose parent is one of ``parents``."""

    async def buckets(self, account: str, shape: Shape, until: datetime) -> Sequence[Bucket]:
        """Return count and sum of keys of our living rows for every hour before ``until``."""

    async def count_rows(self, account: str, shape: Shape) -> int:
        """Return how many living rows the account has in the table; 0 when there is no table."""
