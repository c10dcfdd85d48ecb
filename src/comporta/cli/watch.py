"""Watching runs without a terminal: a plain line per event, those of every page only for who asks.

A terminal gets ``live`` instead; with ``--json`` nothing is printed while runs go on. An observer must
never raise, so a reader that went away only ends the printing.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Self

from comporta.cli.changes import Changes
from comporta.cli.words import age_text, ended_text, line_text, state_word
from comporta.core.language import Language
from comporta.core.retry import FOREGROUND_WAIT_MAX
from comporta.core.run import Run, RunState
from comporta.core.window import Kind
from comporta.observability.words import TERMS_PT
from comporta.ports.events import Unwatched
from comporta.ports.progress import LogLine, Progress
from comporta.ports.store import Change, Occupied

QUIET_STEPS = frozenset(
    {
        "lease_acquired",
        "lease_released",
        "page_read",
        "run_retrying",
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
PAGE_STEPS = frozenset({"batch_committed", "batch_compared"})
"""Steps of which a long run has thousands."""


def nothing_said(_: str) -> None:
    """Print nothing: the result is one JSON document."""


class Lines(Unwatched):
    """An observer that prints a line per event; ``is_verbose`` prints one for each page too."""

    def __init__(
        self,
        say: Callable[[str], None] = nothing_said,
        *,
        changes: Changes | None = None,
        is_verbose: bool = False,
        language: Language = Language.EN,
    ) -> None:
        self._language = language
        self._say = say
        self._quiet = QUIET_STEPS if is_verbose else QUIET_STEPS | PAGE_STEPS
        self.changes = changes or Changes()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left on the screen to clean up."""

    def started(self, run: Run, progress: Progress) -> None:  # noqa: ARG002  the port's signature
        """Say that a run began."""
        self._print(run, started_text(run, self._language))

    def stepped(self, run: Run, line: LogLine) -> None:
        """Say what happened."""
        if line.step not in self._quiet:
            level = "" if line.level in {"debug", "info"} else f"{line.level}: "
            self._print(run, f"{level}{line_text(line, self._language)}")

    def changed(self, run: Run, changes: Sequence[Change]) -> None:
        """Keep the changes; the command prints them at its end."""
        self.changes.add(run, changes)

    def busy(self, run: Run, occupied: Occupied, *, waiting: bool) -> None:
        """Say who holds the stream."""
        self._print(run, busy_text(occupied, waiting=waiting, language=self._language))

    def retrying(self, run: Run, delay: timedelta, attempt: int) -> None:
        """Say when it is tried again; why, was said when it ended."""
        self._print(run, again_text(delay, attempt, self._language))

    def ended(self, run: Run) -> None:
        """Say how it ended."""
        text = ended_text(run, self._language)  # of what did not succeed it begins with the state
        is_well = run.state is RunState.SUCCEEDED
        self._print(run, f"{state_word(run, self._language)}: {text}" if is_well else text)

    def _print(self, run: Run, text: str) -> None:
        with suppress(OSError, ValueError):
            self._say(f"{run.account}/{run.stream}: {text}")


def started_text(run: Run, language: Language) -> str:
    """Say that a run began, what it was asked for if not the usual, and which attempt it is if there were others."""
    is_english = language is Language.EN
    began, attempt = ("started", "attempt") if is_english else ("iniciada", "tentativa")
    kind = run.request.partition(" ")[0]
    told = [] if kind == Kind.INCREMENTAL else [kind.replace("_", "-") if is_english else TERMS_PT.get(kind, kind)]
    told += [f"{attempt} {run.attempt}"] if run.attempt > 1 else []
    return f"{began} ({', '.join(told)})" if told else began


def again_text(delay: timedelta, attempt: int, language: Language = Language.EN) -> str:
    """Say when a run is tried again, and by whom.

    >>> again_text(timedelta(seconds=4), 2)
    'attempt 2 in 4s'
    >>> again_text(timedelta(days=1), 2)
    'attempt 2 is not waited for: it stays queued, and a `comporta sync` in 1d does it'
    """
    is_soon = delay <= FOREGROUND_WAIT_MAX
    if language is Language.PT:
        later = f"não se espera pela tentativa {attempt}: fica na fila, e um `comporta sync` em {age_text(delay)} a faz"
        return f"tentativa {attempt} em {age_text(delay)}" if is_soon else later
    if is_soon:
        return f"attempt {attempt} in {age_text(delay)}"
    return f"attempt {attempt} is not waited for: it stays queued, and a `comporta sync` in {age_text(delay)} does it"


def busy_text(occupied: Occupied, *, waiting: bool, language: Language = Language.EN) -> str:
    """Say who holds a stream, and what is done about it."""
    if language is Language.PT:
        where = f" em {occupied.instance}" if occupied.instance else ""
        end = "espera por ela" if waiting else "ignorada"
        return f"já está em execução ({occupied.holder}{where}) - {end}"
    by = f"held by run {occupied.holder}" + (f" on {occupied.instance}" if occupied.instance else "")
    return f"{by}; waiting for it" if waiting else f"{by}; left alone"
