"""The totals over the runs of one sync, by which people judge it and compare it with another.

Streams share a limit while they run side by side, so what a stream's records took is the time its own runs took,
and what everything took is the time from the first start to the last end.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from comporta.core.run import Run

DEALS = "deals"
CUSTOM_FIELDS = "dealCustomFieldData"


class Work(NamedTuple):
    """How much was read, and in what time."""

    records: int
    duration_s: float

    @property
    def per_s(self) -> float | None:
        """Return records in a second, ``None`` where nothing took any time."""
        return round(self.records / self.duration_s, 1) if self.duration_s else None


@dataclass(frozen=True, slots=True)
class Totals:
    """What a sync read and wrote. ``limit`` is ``None`` also where its accounts have different ones."""

    all: Work
    deals: Work
    custom_fields: Work
    upserts: Work
    limit: str | None
    concurrency: int | None
    failures: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """Return the object ``totals`` of docs/reference/commands.md."""
        return {
            "records": self.all.records,
            "custom_field_entries": self.custom_fields.records,
            "duration_s": self.all.duration_s,
            "deals_per_s": self.deals.per_s,
            "custom_fields_per_s": self.custom_fields.per_s,
            "upserts_per_s": self.upserts.per_s,
            "limit": self.limit,
            "concurrency": self.concurrency,
            "failures": self.failures,
        }


def totals(runs: Sequence[Run], *, concurrency: int | None = None) -> Totals:
    """Return the totals; attempts that failed count with what they read, for it took its time too."""
    limits = {run.limit for run in runs if run.started_at is not None}
    failures: Counter[str] = Counter()
    for run in runs:
        failures.update(run.failures)
    duration_s = _duration_s(runs)
    written = sum(run.counts.inserted + run.counts.updated for run in runs)
    return Totals(
        all=Work(sum(run.counts.read for run in runs), duration_s),
        deals=_of_stream(runs, DEALS),
        custom_fields=_of_stream(runs, CUSTOM_FIELDS),
        upserts=Work(written, duration_s),
        limit=limits.pop() if len(limits) == 1 else None,
        concurrency=concurrency,
        failures=dict(sorted(failures.items())),
    )


def _duration_s(runs: Sequence[Run]) -> float:
    spans = [(run.started_at, run.finished_at) for run in runs if run.started_at and run.finished_at]
    if not spans:
        return 0.0
    return round((max(end for _, end in spans) - min(start for start, _ in spans)).total_seconds(), 3)


def _of_stream(runs: Sequence[Run], stream: str) -> Work:
    own = [run for run in runs if run.stream == stream]
    return Work(sum(run.counts.read for run in own), round(sum(run.duration_s or 0.0 for run in own), 3))
