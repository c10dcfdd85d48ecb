"""What a stream's past says, in a few values: how it failed, how long it takes, whether it brings anything.

A server looks at hundreds of streams every half minute; it keeps this of each, not its runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median

from comporta import errors_guard
from comporta.core.run import Run, RunState

SAMPLES_LEAST = 3
"""Successful runs of the same kind that make a usual duration."""
FAILED = frozenset({RunState.FAILED, RunState.TIMED_OUT, RunState.LOST})
UNTELLING = frozenset({RunState.SKIPPED, RunState.CANCELLED, RunState.INTERRUPTED, RunState.QUEUED, RunState.RUNNING})
"""States that say nothing about whether a stream can be read."""
UNREACHABLE = errors_guard.LegacyLockUnreachable.code
"""The one reason for which a run is skipped that is a failure: the lock of an older program cannot be asked for."""


@dataclass(frozen=True, slots=True)
class Streak:
    """The newest runs that failed in a row with the same code: how many, the last of them, and since when."""

    times: int
    last: Run
    since: datetime | None

    @property
    def code(self) -> str:
        """Return the error's code."""
        return code_of(self.last)


@dataclass(frozen=True, slots=True)
class History:
    """A stream's past. ``usual_s`` is how long a run usually takes, by kind of window.

    ``empty`` counts the newest runs without a record; ``has_brought``: some run of it, however long ago, read records.
    ``first_at`` is the oldest sign of it that is known.
    """

    streak: Streak | None = None
    usual_s: Mapping[str, float] = field(default_factory=dict)
    empty: int = 0
    has_brought: bool = False
    unbalanced: Run | None = None
    first_at: datetime | None = None


def history_of(runs: Sequence[Run]) -> History:
    """Return what these runs of one stream say, the newest first and none of them dry."""
    telling = [run for run in runs if run.state not in UNTELLING or has_failed(run)]
    good = [run for run in telling if run.state is RunState.SUCCEEDED and not run.partial]
    empty = next((place for place, run in enumerate(good) if run.counts.read), len(good))
    return History(
        streak=_streak(telling),
        usual_s=_usual(good),
        empty=empty,
        has_brought=empty < len(good),
        unbalanced=next((run for run in telling if not run.counts.is_balanced), None),
        first_at=next((run.queued_at for run in reversed(runs) if run.queued_at), None),
    )


def has_failed(run: Run) -> bool:
    """Say whether a run failed."""
    return run.state in FAILED or (run.state is RunState.SKIPPED and code_of(run) == UNREACHABLE)


def code_of(run: Run) -> str:
    """Return the code of a run's error."""
    return (run.error or {}).get("code", "")


def _streak(telling: Sequence[Run]) -> Streak | None:
    if not telling or not has_failed(telling[0]):
        return None
    streak: list[Run] = []
    for run in telling:
        if not has_failed(run) or code_of(run) != code_of(telling[0]):
            break
        streak.append(run)
    return Streak(len(streak), streak[0], streak[-1].queued_at)


def _usual(good: Sequence[Run]) -> Mapping[str, float]:
    durations: dict[str, list[float]] = {}
    for run in good:
        if run.duration_s is not None and run.window_kind is not None:
            durations.setdefault(run.window_kind, []).append(run.duration_s)
    return {kind: median(each) for kind, each in durations.items() if len(each) >= SAMPLES_LEAST}
