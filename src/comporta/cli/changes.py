"""What dry runs would change, as much of it as anybody looks at, so that memory does not grow with a table.

People are shown some rows of each run and how many more there are; a JSON document has a bound, and
says when it was reached. The counts of the runs are always whole.
"""

from collections import Counter
from collections.abc import Sequence

from comporta.cli.words import fields_text, row_text
from comporta.core.language import Language
from comporta.core.run import Run
from comporta.observability.words import figure_text
from comporta.ports.store import Change

SHOWN_MAX = 50
"""Changes of one run that a person is shown."""
KEPT_MAX = 20_000
"""Changes in one JSON document. A new order is 4 kB here (measured) and as much again, twice, as JSON."""
MORE = {
    Language.EN: "… and {more} more; --json shows up to {most} changes",
    Language.PT: "… e mais {more}; --json mostra até {most} mudanças",
}
SIGNS = {"inserted": "+", "updated": "~", "deleted": "-", "removed": "-"}


class Changes:
    """The changes of the dry runs of one command."""

    def __init__(self, *, shown_max: int | None = SHOWN_MAX, kept_max: int = KEPT_MAX) -> None:
        self._shown_max = shown_max
        self._kept_max = kept_max
        self._kept: list[tuple[Run, Change]] = []
        self._heard: Counter[str] = Counter()
        self.is_truncated = False

    def add(self, run: Run, changes: Sequence[Change]) -> None:
        """Count changes of a run, and keep those that will be shown."""
        before = self._heard[run.id]
        self._heard[run.id] += len(changes)
        of_run = len(changes) if self._shown_max is None else max(0, self._shown_max - before)
        kept = changes[: min(of_run, self._kept_max - len(self._kept))]
        self._kept += [(run, change) for change in kept]
        self.is_truncated |= len(kept) < len(changes)

    def as_json(self) -> list[dict[str, object]]:
        """Return what was kept: each field with what stands there and what would."""
        return [_json(run, change) for run, change in self._kept]

    def lines(self, runs: Sequence[Run], language: Language = Language.EN) -> list[str]:
        """Return what would change, in words: totals first, then rows with their fields, a bounded number."""
        lines = []
        for run in runs:
            counts = run.counts
            deleted = f" -{counts.deleted}" if counts.deleted else ""
            totals = f"+{counts.inserted} ~{counts.updated} ={counts.unchanged}{deleted}"
            lines.append(f"{run.account}/{run.stream}: {totals}")
            own = [change for each, change in self._kept if each.id == run.id]
            lines += [_line(change) for change in own]
            if (more := self._heard[run.id] - len(own)) > 0:
                figures = {"more": figure_text(more, language), "most": figure_text(KEPT_MAX, language)}
                lines.append(f"  {MORE[language].format(**figures)}")
        return lines


def _line(change: Change) -> str:
    fields = row_text(change.fields) if change.change == "inserted" else fields_text(change.fields)
    return f"  {SIGNS.get(change.change, change.change)} {change.key}  {fields}".rstrip()


def _json(run: Run, change: Change) -> dict[str, object]:
    fields = {name: {"before": before, "after": after} for name, (before, after) in change.fields.items()}
    named = {"account": run.account, "stream": run.stream, "run": run.id}
    return {**named, "key": change.key, "change": change.change, "fields": fields}
