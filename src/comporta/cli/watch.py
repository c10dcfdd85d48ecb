"""Watching runs without a terminal: a plain line per event, those of every page only for who asks.

A terminal gets ``live`` instead; with ``--json`` nothing is printed while runs go on. An observer must
never raise, so a reader that went away only ends the printing.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Self

from comporta.cli.changes import Changes
from comporta.cli.words import age_text, ended_text
from comporta.core.retry import FOREGROUND_WAIT_MAX
from comporta.core.run import Run
from comporta.ports.events import Unwatched
from comporta.ports.progress import Progress
from comporta.ports.store import Change, LogLine, Occupied

QUIET_STEPS = frozenset(
    {
        "lease_acquired",
        "page_read",
        "run_started",
        "run_succeeded",
        "run_failed",
        "run_interrupted",
        "run_cancelled",
        "run_timed_out",
        "window_closed",
    }
)
"""Steps that are said in other words at the start or the end of the run."""
PAGE_STEPS = frozenset({"batch_committed"})
"""Steps of which a long run has thousands."""


def nothing_said(_: str) -> None:
    """Print nothing: the result is one JSON document."""


class Lines(Unwatched):
    """An observer that prints a line per event; ``is_verbose`` prints one for each page too."""

    def __init__(
        self, say: Callable[[str], None] = nothing_said, *, changes: Changes | None = None, is_verbose: bool = False
    ) -> None:
        self._say = say
        self._quiet = QUIET_STEPS if is_verbose else QUIET_STEPS | PAGE_STEPS
        self.changes = changes or Changes()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left on the screen to clean up."""

    def started(self, run: Run, progress: Progress) -> None:  # noqa: ARG002  the port's signature
        """Say that a run began."""
        attempt = f", attempt {run.attempt}" if run.attempt > 1 else ""
        self._print(run, f"started ({request_text(run)}{attempt})")

    def stepped(self, run: Run, line: LogLine) -> None:
        """Say what happened."""
        if line.step not in self._quiet:
            level = "" if line.level in {"debug", "info"} else f"{line.level}: "
            self._print(run, f"{level}{line.message}")

    def changed(self, run: Run, changes: Sequence[Change]) -> None:
        """Keep the changes; the command prints them at its end."""
        self.changes.add(run, changes)

    def busy(self, run: Run, occupied: Occupied, *, waiting: bool) -> None:
        """Say who holds the stream."""
        self._print(run, busy_text(occupied, waiting=waiting))

    def retrying(self, run: Run, delay: timedelta, attempt: int) -> None:
        """Say when it is tried again."""
        self._print(run, f"{ended_text(run)}; {again_text(delay, attempt)}")

    def ended(self, run: Run) -> None:
        """Say how it ended."""
        self._print(run, f"{run.state.value}: {ended_text(run)}")

    def _print(self, run: Run, text: str) -> None:
        with suppress(OSError, ValueError):
            self._say(f"{run.account}/{run.stream}: {text}")


def again_text(delay: timedelta, attempt: int) -> str:
    """Say when a run is tried again, and by whom.

    >>> again_text(timedelta(seconds=4), 2)
    'attempt 2 in 4s'
    >>> again_text(timedelta(days=1), 2)
    'attempt 2 is not waited for: it stays queued, and a `comporta sync` in 1d does it'
    """
    if delay <= FOREGROUND_WAIT_MAX:
        return f"attempt {attempt} in {age_text(delay)}"
    return f"attempt {attempt} is not waited for: it stays queued, and a `comporta sync` in {age_text(delay)} does it"


def request_text(run: Run) -> str:
    """Say what a run is for, in a word or two."""
    return run.request.partition(" ")[0].replace("_", "-")


def busy_text(occupied: Occupied, *, waiting: bool) -> str:
    """Say who holds a stream, and what is done about it."""
    by = f"held by run {occupied.holder}" + (f" on {occupied.instance}" if occupied.instance else "")
    return f"{by}; waiting for it" if waiting else f"{by}; left alone"
