"""A set of ids that stays small: a bit for each id of a block, a block for each stretch of ids that has any.

A pass over a million records has to know which it has seen. Ids come in runs, so a set of them takes a bit or two each
where Python's own takes sixty bytes.
"""

from collections.abc import Sequence

BLOCK = 1_024
"""Ids in one block: 128 bytes, so that an id far from all others costs little more than in a plain set."""


class IdSet:
    """The ids seen so far."""

    def __init__(self) -> None:
        self._blocks: dict[int, int] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __contains__(self, key: int) -> bool:
        block, place = divmod(key, BLOCK)
        return self._blocks.get(block, 0) >> place & 1 == 1

    def add(self, key: int) -> bool:
        """Add an id, and say whether it is new.

        >>> seen = IdSet()
        >>> seen.add(46), seen.add(46), 46 in seen, 47 in seen, len(seen)
        (True, False, True, False, 1)
        """
        block, place = divmod(key, BLOCK)
        before = self._blocks.get(block, 0)
        if before >> place & 1:
            return False
        self._blocks[block] = before | 1 << place
        self._size += 1
        return True

    def new_places(self, keys: Sequence[int]) -> list[int]:
        """Add all ids, and return the places of those that are new.

        >>> IdSet().new_places([5, 5, 6])
        [0, 2]
        """
        return [place for place, key in enumerate(keys) if self.add(key)]
