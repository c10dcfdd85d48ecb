"""Several who watch the same runs: the log, the metrics, the event stream.

Each is told in the order in which it was added. Like every observer they return at once and never raise, so none
of them can delay or end a run.
"""

from collections.abc import Sequence
from datetime import timedelta

from comporta.core.run import Run
from comporta.ports.events import Observer
from comporta.ports.progress import LogLine, Progress
from comporta.ports.store import Change, Occupied


class Watchers:
    """An observer that tells others; who is added hears what comes from then on."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def add(self, observer: Observer) -> None:
        """Tell this one too."""
        self._observers = (*self._observers, observer)

    def started(self, run: Run, progress: Progress) -> None:
        """Tell everybody."""
        for each in self._observers:
            each.started(run, progress)

    def stepped(self, run: Run, line: LogLine) -> None:
        """Tell everybody."""
        for each in self._observers:
            each.stepped(run, line)

    def changed(self, run: Run, changes: Sequence[Change]) -> None:
        """Tell everybody."""
        for each in self._observers:
            each.changed(run, changes)

    def busy(self, run: Run, occupied: Occupied, *, waiting: bool) -> None:
        """Tell everybody."""
        for each in self._observers:
            each.busy(run, occupied, waiting=waiting)

    def retrying(self, run: Run, delay: timedelta, attempt: int) -> None:
        """Tell everybody."""
        for each in self._observers:
            each.retrying(run, delay, attempt)

    def taken(self, run: Run) -> None:
        """Tell everybody."""
        for each in self._observers:
            each.taken(run)

    def ended(self, run: Run) -> None:
        """Tell everybody."""
        for each in self._observers:
            each.ended(run)
