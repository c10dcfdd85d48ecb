"""Where a run says that something begins and ends, for whoever draws it on a time line.

``Progress`` carries a trace wherever a run's work is done. Unless somebody follows the run, it is the one that does
nothing. What takes part in it never knows who listens.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

Value = str | int | float | bool


class Trace(Protocol):
    """The time line of one run."""

    def span(self, name: str, attributes: Mapping[str, Value]) -> AbstractContextManager[object]:
        """Mark what is done inside; an error that leaves it marks it as failed."""


class Untraced:
    """Nobody follows."""

    def __init__(self) -> None:
        self._nothing = nullcontext()

    def span(self, name: str, attributes: Mapping[str, Value]) -> AbstractContextManager[object]:  # noqa: ARG002  the port's signature
        """Do nothing."""
        return self._nothing


UNTRACED = Untraced()
