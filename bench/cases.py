"""The cases: what is done before, what is measured, how often. Contestants take turns in each round."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Sample, Server, contestant, median, settings

SLOW_S = 12.0
"""A contestant that took longer than this is not asked again: its figure is far from the others anyway."""


@dataclass(frozen=True)
class Case:
    """``change`` is the state of the source before the measured run, ``mode`` how the run reads."""

    name: str
    title: str
    change: str | None
    mode: str
    rounds: int = 3


CASES = (
    Case("full", "full load into nothing", None, "cursor"),
    Case("noop", "nothing changed, by cursor", None, "cursor", 5),
    Case("reread", "nothing changed, everything read again", None, "full"),
    Case("percent", "1 % changed, by cursor", "percent", "cursor", 5),
    Case("ten", "10 records changed, by cursor", "ten", "cursor", 5),
)
CONTESTANTS = ("comporta", "naive", "dlt", "bare")


@dataclass(frozen=True)
class Result:
    """The medians of one case, by contestant."""

    case: Case
    rows: int
    medians: dict[str, Sample]
    rounds: dict[str, int]


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a folder for databases, and take it away again."""
    folder = Path(tempfile.mkdtemp(prefix="comporta-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(case: Case, rows: int, *, names: Sequence[str] = CONTESTANTS, rounds: int | None = None) -> Result:
    """Measure a case with every contestant; a wrong result ends everything."""
    with scratch() as folder, Server(rows) as server:
        if case.name != "full":
            for name in names:
                _loaded(name, server, folder)
        else:
            _warm(names, folder)
        samples: dict[str, list[Sample]] = {name: [] for name in names}
        for number in range(rounds or case.rounds):
            if case.change is not None:
                server.change(case.change)
            for name in names:
                if samples[name] and samples[name][0].wall_s > SLOW_S:
                    continue
                samples[name].append(_once(case, name, number, server, folder))
    return Result(
        case, rows, {name: median(taken) for name, taken in samples.items()}, {n: len(s) for n, s in samples.items()}
    )


def _once(case: Case, name: str, number: int, server: Server, folder: Path) -> Sample:
    """Run one contestant in a copy of its loaded folder, or in an empty one for a full load."""
    place = folder / f"{name}-{number}"
    if case.name == "full":
        place.mkdir()
    else:
        shutil.copytree(folder / name, place)
    settings(place, server)
    sample = contestant(name, case.mode, server, place)
    shutil.rmtree(place)
    return sample


def _loaded(name: str, server: Server, folder: Path) -> None:
    """Bring a contestant to where the case begins: everything loaded, a first run by cursor done."""
    place = folder / name
    place.mkdir()
    settings(place, server)
    contestant(name, "cursor", server, place)


def _warm(names: Sequence[str], folder: Path) -> None:
    """Let every contestant run once on few rows, so that no measured run compiles byte code."""
    with Server(50) as small:
        for name in names:
            place = folder / f"warm-{name}"
            place.mkdir()
            settings(place, small)
            contestant(name, "cursor", small, place)
            contestant(name, "cursor", small, place)
