"""Watching runs on a terminal: one line per run that moves in place, drawn at most four times a second.

Drawing happens in a thread of rich's; it only reads, and every value it reads is replaced whole.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Self

from rich.console import Console as Screen
from rich.live import Live
from rich.table import Table
from rich.text import Text

from comporta.cli.changes import Changes
from comporta.cli.pace import Pace
from comporta.cli.watch import PAGE_STEPS, QUIET_STEPS, again_text, busy_text
from comporta.cli.words import age_text, ended_text, line_text, value_text
from comporta.core.language import Language
from comporta.core.retry import FOREGROUND_WAIT_MAX
from comporta.core.run import Run, RunState
from comporta.ports.clock import Clock
from comporta.ports.events import Unwatched
from comporta.ports.progress import LogLine, Progress
from comporta.ports.store import Change, Occupied

DRAWS_PER_SECOND = 4
ROWS_MAX = 40
"""Runs that are shown at most; of those that ended, the oldest go first."""
NOTE_LETTERS = 60
STYLES = {RunState.RUNNING: "cyan", RunState.SUCCEEDED: "green", RunState.SKIPPED: "yellow"}


class Row:
    """What is shown of one run."""

    def __init__(self, run: Run, progress: Progress | None, pace: Pace) -> None:
        self.run = run
        self.progress = progress
        self.pace = pace
        self.note = ""

    def cells(self, now: float) -> list[Text | str]:
        """Return the cells of the line as it is now."""
        state = Text(self.run.state.value.replace("_", " "), STYLES.get(self.run.state, "red"))
        name = f"{self.run.account}/{self.run.stream}"
        if self.run.state is not RunState.RUNNING or self.progress is None:
            rows = self.run.counts.read
            return [name, state, f"{rows:,}" if rows else "", "", "", _note(self.note)]
        rows = self.progress.rows_read
        left = self.pace.remaining(now, rows, self.progress.rows_expected)
        rate = self.pace.rate(now, rows)
        waiting = self._waiting(now) or self.note
        return [
            name,
            state,
            f"{rows:,}" if rows else "",
            f"{rate:,.0f}/s" if rate else "",
            age_text(timedelta(seconds=left)) if left is not None else "",
            _note(value_text(waiting, NOTE_LETTERS)),
        ]

    def _waiting(self, now: float) -> str:
        """Say what the run waits for and for how long yet; nothing while it does not."""
        if self.progress is None or not self.progress.waiting_for:
            return ""
        left = (self.progress.waiting_until or now) - now
        return f"waits{f' {left:.0f} s' if left >= 1 else ''} for {self.progress.waiting_for}"


def _note(text: str) -> Text:
    """Return a note on one line, cut where the terminal ends; a column that may not wrap would cut the others too."""
    return Text(text, no_wrap=True, overflow="ellipsis")


class LiveTable(Unwatched):
    """An observer that draws; use it as a context manager around the runs."""

    def __init__(self, clock: Clock, language: Language = Language.EN) -> None:
        self._clock = clock
        self._language = language
        self._rows: dict[str, Row] = {}
        self.changes = Changes()
        self._live = Live(
            get_renderable=self.table, console=Screen(), refresh_per_second=DRAWS_PER_SECOND, transient=True
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def table(self) -> Table:
        """Return what is drawn now."""
        table = Table(box=None, pad_edge=False, header_style="dim")
        for heading, side in (
            ("stream", "left"),
            ("state", "left"),
            ("rows", "right"),
            ("rate", "right"),
            ("left", "right"),
        ):
            table.add_column(heading, justify=side, no_wrap=True)  # type: ignore[arg-type]  # rich's own Literal
        table.add_column("")
        now = self._clock.monotonic()
        for row in list(self._rows.values()):
            table.add_row(*row.cells(now))
        return table

    def started(self, run: Run, progress: Progress) -> None:
        """Show a new line."""
        self._show(run, progress)

    def stepped(self, run: Run, line: LogLine) -> None:
        """Show the last step beside the run, and count the pages."""
        row = self._rows.get(run.id)
        if row is None:
            return
        if line.step in {"pass_started", "pass_resumed"} and row.progress is not None:
            row.pace = Pace(self._clock.monotonic(), begun_with=row.progress.rows_read)
        row.pace.pages += line.step in PAGE_STEPS
        if line.step not in QUIET_STEPS:
            row.note = line_text(line, self._language)

    def changed(self, run: Run, changes: Sequence[Change]) -> None:
        """Keep the changes; the command prints them at its end."""
        self.changes.add(run, changes)

    def busy(self, run: Run, occupied: Occupied, *, waiting: bool) -> None:
        """Show who holds the stream."""
        self._show(run, None).note = busy_text(occupied, waiting=waiting, language=self._language)

    def retrying(self, run: Run, delay: timedelta, attempt: int) -> None:
        """Show when it is tried again."""
        said = again_text(delay, attempt, self._language)
        self._show(run, None).note = f"{said}: {ended_text(run, self._language)}"
        if delay > FOREGROUND_WAIT_MAX:
            # The drawing goes away at the end; this stays above it.
            self._live.console.print(f"{run.account}/{run.stream}: {said}", markup=False, highlight=False)

    def ended(self, run: Run) -> None:
        """Show how it ended, where it was running."""
        self._show(run, None).note = ended_text(run, self._language)

    def _show(self, run: Run, progress: Progress | None) -> Row:
        """Show a run in the line it has, or in a new one."""
        rows = dict(self._rows)
        row = rows.get(run.id) or Row(run, progress, Pace(self._clock.monotonic()))
        row.run = run
        rows[run.id] = row
        over = [key for key, each in rows.items() if each.run.state is not RunState.RUNNING][
            : max(0, len(rows) - ROWS_MAX)
        ]
        self._rows = {key: each for key, each in rows.items() if key not in over}
        return row
