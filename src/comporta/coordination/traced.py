"""Following runs for a tracer: an observer that hands each run a trace, and ends it with how the run ended.

What is inside a run finds the trace in its progress. Texts of records or answers are never attributes.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from comporta.core.run import Run, RunState
from comporta.observability.trace import UNTRACED, Trace, Value
from comporta.ports.events import Unwatched
from comporta.ports.progress import Progress


class Ending(Trace, Protocol):
    """A trace of a run that can be told its end."""

    def end(self, attributes: Mapping[str, Value], *, error: str | None) -> None:
        """End it."""


class Traced(Unwatched):
    """An observer that follows runs."""

    def __init__(self, begin: Callable[[Mapping[str, Value]], Ending]) -> None:
        self._begin = begin
        self._following: dict[str, tuple[Progress, Ending]] = {}

    def started(self, run: Run, progress: Progress) -> None:
        """Begin a trace."""
        attributes = {"comporta.run": run.id, "comporta.account": run.account, "comporta.stream": run.stream}
        trace = progress.trace = self._begin(attributes)
        self._following[run.id] = progress, trace

    def ended(self, run: Run) -> None:
        """End it."""
        if run.id not in self._following:
            return
        progress, trace = self._following.pop(run.id)
        progress.trace = UNTRACED  # a request that is still being cut off belongs to no run
        figures = {f"comporta.{name}": figure for name, figure in run.counts.as_json().items()}
        said = {"comporta.state": run.state.value, "comporta.request": run.request, "comporta.attempt": run.attempt}
        is_well = run.state is RunState.SUCCEEDED
        trace.end({**said, **figures}, error=None if is_well else (run.error or {}).get("code", run.state.value))
