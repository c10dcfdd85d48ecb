"""What the product tells whoever watches a sync: a terminal, a page, a test.

Calls come from the event loop, never from a thread; they must return at once and never raise.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from comporta.core.instant import short_text
from comporta.core.run import Run
from comporta.ports.progress import LogLine, Progress
from comporta.ports.store import Change, Occupied


class Observer(Protocol):
    """Somebody who watches runs. ``progress`` may be read at any time until the run has ended."""

    def started(self, run: Run, progress: Progress) -> None:
        """Hear that a run holds its lease and begins."""

    def stepped(self, run: Run, line: LogLine) -> None:
        """Hear what a run has to tell: the same line that its log keeps."""

    def changed(self, run: Run, changes: Sequence[Change]) -> None:
        """Hear what a dry run found that a real one would do."""

    def busy(self, run: Run, occupied: Occupied, *, waiting: bool) -> None:
        """Hear that another run holds the scope; ``waiting`` says whether this one waits for it."""

    def retrying(self, run: Run, delay: timedelta, attempt: int) -> None:
        """Hear that a run ended without success and will be tried again after ``delay``."""

    def taken(self, run: Run) -> None:
        """Hear that a run is lost: its lease had run out, or a person released it, and it was taken away here.

        Whoever held it is dead, or elsewhere, or here; if alive, it tells the end of the run too.
        """

    def ended(self, run: Run) -> None:
        """Hear that a run ended; its state says how."""


class Unwatched:
    """Nobody watches."""

    def started(self, run: Run, progress: Progress) -> None:
        """Ignore it."""

    def stepped(self, run: Run, line: LogLine) -> None:
        """Ignore it."""

    def changed(self, run: Run, changes: Sequence[Change]) -> None:
        """Ignore it."""

    def busy(self, run: Run, occupied: Occupied, *, waiting: bool) -> None:
        """Ignore it."""

    def retrying(self, run: Run, delay: timedelta, attempt: int) -> None:
        """Ignore it."""

    def taken(self, run: Run) -> None:
        """Ignore it."""

    def ended(self, run: Run) -> None:
        """Ignore it."""


def line_json(number: int, at: datetime, line: LogLine) -> dict[str, object]:
    """Return one line of a run's log as JSON, the same in command, API and events."""
    return {
        "seq": number,
        "at": short_text(at),
        "level": line.level,
        "step": line.step,
        "message": line.message,
        "fields": dict(line.fields),
    }
