"""What became of everything that was asked, and the exit code that says so to scripts.

The last attempt of each request counts: a run that failed and then succeeded at its retry is done.
"""

from collections.abc import Sequence
from enum import IntEnum

from comporta.core.run import Run, RunState
from comporta.errors import Busy
from comporta.errors_guard import LegacyLockHeld

HELD = frozenset({Busy.code, LegacyLockHeld.code})
"""The codes of runs that were skipped because somebody else is at work."""


class ExitCode(IntEnum):
    """How a command ends, for scripts."""

    DONE = 0
    FAILED = 1
    WRONG_USE = 2
    PARTLY_FAILED = 3
    BUSY = 4


def last_attempts(runs: Sequence[Run]) -> Sequence[Run]:
    """Return the last run of each stream and request, in order."""
    return list({(run.account, run.stream, run.request, run.dry_run): run for run in runs}.values())


def exit_code(runs: Sequence[Run]) -> ExitCode:
    """Return the exit code for runs that ended: busy only when nothing else was possible."""
    last = last_attempts(runs)
    good = [run for run in last if run.state is RunState.SUCCEEDED or is_idle(run)]
    if len(good) == len(last):
        return ExitCode.DONE
    if all(is_busy(run) for run in last):
        return ExitCode.BUSY
    return ExitCode.PARTLY_FAILED if good else ExitCode.FAILED


def is_busy(run: Run) -> bool:
    """Say whether the run was skipped because another held the stream, or an older program its key."""
    return run.state is RunState.SKIPPED and run.error is not None and run.error.get("code") in HELD


def is_idle(run: Run) -> bool:
    """Say whether the run was skipped because there was nothing to do."""
    return run.state is RunState.SKIPPED and run.error is None
