"""The cases: what is done before, what is measured, how often. Contestants take turns in each round.

Everybody is loaded once for all the cases that begin with a loaded table, and runs in a copy of that.
Whoever cannot run, or makes a wrong copy, is named with the reason; if that is us, everything ends.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.databases import Database, Place, WrongResultError
from bench.environments import NotAvailableError, provide
from bench.measure import Sample, Server, contestant_run, median, settings
from bench.registry import CONTESTANTS, Contestant

BUDGET_S = 20.0
"""A contestant gets no further round that would take its sum beyond this: its figure is far from the others anyway."""
OURS = "comporta"


@dataclass(frozen=True)
class Case:
    """``change`` is the state of the source before the measured run, ``mode`` how the run reads."""

    name: str
    title: str
    change: str | None
    mode: str
    rounds: int = 3


FULL = Case("full", "full load into nothing", None, "cursor")
LOADED = Case("noop", "nothing changed, by cursor", None, "cursor", 5)
CASES = (
    FULL,
    LOADED,
    Case("reread", "nothing changed, everything read again", None, "full"),
    Case("percent", "1 % changed, by cursor", "percent", "cursor", 5),
    Case("ten", "10 records changed, by cursor", "ten", "cursor", 5),
)


@dataclass(frozen=True)
class Result:
    """The medians of one case on one database, by contestant, and why the others are not among them."""

    case: Case
    kind: str
    rows: int
    medians: dict[str, Sample]
    rounds: dict[str, int]
    absent: Mapping[str, str]


@dataclass
class Field:
    """Who takes part on a database, and their loaded places."""

    database: Database
    names: Sequence[str]
    absent: dict[str, str]
    loaded: dict[str, Place] = field(default_factory=dict)

    def players(self, case: Case) -> list[Contestant]:
        """Return who takes part in a case."""
        known = (CONTESTANTS[name] for name in self.names if name not in self.absent)
        return [each for each in known if each.plays(self.database.kind, case.name)]

    @contextmanager
    def excused(self, one: Contestant) -> Iterator[None]:
        """Go on without a contestant that fails, and remember why; without us there is nothing to compare."""
        try:
            yield
        except WrongResultError as error:
            if one.name == OURS:
                raise
            first, *_, last = [line for line in str(error).splitlines() if line.strip()] * 2
            self.absent[one.name] = f"failed: {first[:150]} … {last[-300:]}"


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a folder for databases, and take it away again."""
    folder = Path(tempfile.mkdtemp(prefix="comporta-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def gather(database: Database, names: Sequence[str], *, is_quick: bool = False) -> Field:
    """Find out who can take part, making environments; a quick run goes without those that need one."""
    absent = {}
    for name in names:
        one = CONTESTANTS[name]
        if database.kind in one.absent:
            absent[name] = one.absent[database.kind]
        elif one.needs is not None:
            try:
                if is_quick:
                    absent[name] = "--quick goes without those that start slowly, unless --contestants names them"
                else:
                    provide(one.needs)
            except NotAvailableError as error:
                absent[name] = str(error)
    return Field(database, names, absent)


def measure(case: Case, team: Field, server: Server, *, rounds: int | None = None) -> Result:
    """Measure a case with every contestant."""
    samples: dict[str, list[Sample]] = {one.name: [] for one in team.players(case)}
    for _ in range(rounds or case.rounds):
        if case.change is not None:
            server.change(case.change)
        for one in team.players(case):
            taken = [sample.wall_s for sample in samples[one.name]]
            if sum(taken) + max(taken, default=0.0) <= BUDGET_S:
                with team.excused(one):
                    samples[one.name].append(_once(case, one, server, team))
    server.control("mode", mode="base")
    present = {name: taken for name, taken in samples.items() if taken and name not in team.absent}
    return Result(
        case,
        team.database.kind,
        server.rows,
        {name: median(taken) for name, taken in present.items()},
        {name: len(taken) for name, taken in present.items()},
        dict(team.absent),
    )


def load(team: Field, server: Server) -> None:
    """Bring everybody to where most cases begin: everything loaded by a first run."""
    for one in team.players(LOADED):
        with team.excused(one):
            place = team.database.fresh()
            settings(place, server)
            contestant_run(one, "cursor", server, team.database, place)
            team.loaded[one.name] = place


def warm(team: Field) -> None:
    """Let every contestant run twice on few rows, so that no measured run compiles byte code."""
    with Server(50) as small:
        for one in team.players(FULL):
            with team.excused(one):
                place = team.database.fresh()
                settings(place, small)
                contestant_run(one, "cursor", small, team.database, place)
                if one.plays(team.database.kind, LOADED.name):
                    contestant_run(one, "cursor", small, team.database, place)
                team.database.drop(place)


def _once(case: Case, one: Contestant, server: Server, team: Field) -> Sample:
    """Run one contestant in a copy of its loaded place, or in an empty one for a full load."""
    place = team.database.fresh() if case is FULL else team.database.copy(team.loaded[one.name])
    settings(place, server)
    sample = contestant_run(one, case.mode, server, team.database, place)
    team.database.drop(place)
    return sample
