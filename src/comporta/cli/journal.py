"""Writing what an observer sees into the program's log, for those who asked for it.

The lines of a run are its events; run, account, stream and epoch stand with each.
"""

from datetime import timedelta

from comporta.coordination.watchers import Watchers
from comporta.core.run import Run, RunState
from comporta.observability.log import Log, open_log
from comporta.ports.events import Observer, Unwatched
from comporta.ports.progress import LogLine, Progress
from comporta.ports.store import Occupied

ENDS = {
    RunState.SUCCEEDED: "run_succeeded",
    RunState.FAILED: "run_failed",
    RunState.TIMED_OUT: "run_timed_out",
    RunState.CANCELLED: "run_cancelled",
    RunState.INTERRUPTED: "run_interrupted",
    RunState.LOST: "lease_lost",
    RunState.SKIPPED: "run_skipped",
}
LEVELS = {
    RunState.SUCCEEDED: "info",
    RunState.SKIPPED: "warning",
    RunState.INTERRUPTED: "warning",
    RunState.CANCELLED: "warning",
}
"""Every other end is an error. A hand-over at a deploy is none, and what a person cancels was meant."""


def journalled(observer: Observer | None, lowest: str | None) -> Observer:
    """Return an observer that also writes the log from a level on; the same one when there is no log."""
    watched = observer or Unwatched()
    return Watchers(Journal(open_log(lowest)), watched) if lowest is not None else watched


class Journal(Unwatched):
    """An observer that logs, but for changes: rows are no business of the log."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def started(self, run: Run, progress: Progress) -> None:  # noqa: ARG002  the port's signature
        """Log it."""
        self._write("info", "run_started", run)

    def stepped(self, run: Run, line: LogLine) -> None:
        """Log it, but for what ``started`` and ``ended`` say."""
        if line.step not in {"run_started", "run_retrying", *ENDS.values()}:
            self._write(line.level, line.step, run, **{"message": line.message, **line.fields})

    def busy(self, run: Run, occupied: Occupied, *, waiting: bool) -> None:
        """Log that it waits; what does not wait ends as skipped, and ``ended`` says so."""
        if waiting:
            self._write("info", "run_queued", run, holder=occupied.holder)

    def retrying(self, run: Run, delay: timedelta, attempt: int) -> None:
        """Log it."""
        self._write("warning", "run_retrying", run, delay_s=delay.total_seconds(), next_attempt=attempt)

    def taken(self, run: Run) -> None:
        """Log that somebody else's lease, or our own, ran out."""
        self._write("warning", "lease_lost", run, error=run.error)

    def ended(self, run: Run) -> None:
        """Log it with counts and error."""
        level = LEVELS.get(run.state, "error")
        self._write(level, ENDS.get(run.state, "run_failed"), run, **run.counts.as_json(), error=run.error)

    def _write(self, level: str, event: str, run: Run, **fields: object) -> None:
        named = {"run": run.id, "account": run.account, "stream": run.stream, "epoch": run.epoch}
        self._log.write(level, event, {**fields, **named})
