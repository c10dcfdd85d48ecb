"""Control routes whose acts may wait for their turn.

An act with ``"after": N`` waits until N more requests were answered (of those whose label contains its
``"on"``): so a row goes, or moves, exactly between two pages.
"""

from threading import RLock
from typing import Any

from comporta.errors import BadValue
from comporta.sandbox.clock import SourceClock
from comporta.sandbox.control import Act, Control
from comporta.sandbox.faults import Faults
from comporta.sandbox.simulator import Workforce
from comporta.sandbox.stats import Stats


class WaitingControl(Control):
    """Answers the routes that begin with ``/_``, and is told of every other answer."""

    def __init__(self, clock: SourceClock, faults: Faults, stats: Stats, people: Workforce) -> None:
        super().__init__(clock, faults, stats, people)
        self._lock = RLock()
        self._waiting: list[tuple[int, str, Act]] = []

    def perform(self, act: Act) -> Any:
        """Do an act, now or when so many requests were answered."""
        if not act.get("after"):
            return super().perform(act)
        if act["do"] not in self._acts:
            raise BadValue(f"unknown act {act['do']!r}; expected one of {', '.join(sorted(self._acts))}")
        with self._lock:
            self._waiting.append((int(act["after"]), act.get("on", ""), {**act, "after": 0}))
        return None

    def count(self, label: str) -> None:
        """Note that a request was answered; do the acts whose turn has come."""
        with self._lock:
            counted = [(left - (on in label), on, act) for left, on, act in self._waiting]
            self._waiting = [entry for entry in counted if entry[0] > 0]
            for _, _, act in [entry for entry in counted if entry[0] <= 0]:
                self.perform(act)
