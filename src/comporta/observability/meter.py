"""The way in which the code says how much and how long, whether or not anybody wants to know.

Rooms that do something worth measuring are handed a meter. What is measured has a name from the table in
``metrics``; without a listener a call is an empty function.
"""

from typing import Protocol


class Meter(Protocol):
    """Somebody who counts. Called from any thread; returns at once and never raises for a name of the table."""

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Add to a counter."""

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """Add one observation to a histogram."""


class Unmeasured:
    """Nobody counts."""

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Ignore it."""

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """Ignore it."""


UNMEASURED = Unmeasured()
