"""Cutting a move off at any of its transactions, as a crash there would."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from comporta.ledger.session import Session

PAGE_ROWS = 20


class CutError(BaseException):
    """What ends a move where it is cut; nothing catches it."""


@dataclass
class Scissors:
    """Count every transaction that writes, on either side, and cut at one: before it, or after its COMMIT."""

    cut_at: int | None = None
    is_before: bool = True
    count: int = 0
    instead: Callable[[], object] | None = None
    """What happens there instead of a cut; the move goes on after it."""

    def write(
        self,
        database: Any,  # noqa: ANN401  either kind
        work: Callable[[Session], Any],
        real: Callable[..., "Future[Any]"],
    ) -> "Future[Any]":
        """Write, or be cut."""
        self.count += 1
        if self.count == self.cut_at and self.instead is not None:
            act, self.instead, self.cut_at = self.instead, None, None
            act()
        if self.count == self.cut_at and self.is_before:
            raise CutError
        future = real(database, work)
        if self.count == self.cut_at:
            future.result()
            raise CutError
        return future
