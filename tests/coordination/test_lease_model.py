"""The lease protocol under every order of events that hypothesis thinks of, and its mutants.

A mutant is the protocol with one thing left out. The same model that finds nothing wrong with the
protocol must find something wrong with each of them, or it proves nothing.
"""

import sqlite3
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random, sample

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.coordination.lease_invariants import Broken
from tests.coordination.lease_machine import LeaseMachine
from tests.coordination.lease_player import play
from tests.coordination.lease_template import make_template
from tests.coordination.lease_world import Engine, Worker, World

from comporta.core.coverage import Interval
from comporta.core.instant import parse_instant
from comporta.core.window import Window
from comporta.ledger.batches import _cover
from comporta.ledger.statements import statements

HISTORIES = settings(max_examples=60, stateful_step_count=30, deadline=None, database=None)
HUNT = settings(
    HISTORIES, max_examples=2_000, stateful_step_count=40, derandomize=True, phases=[Phase.generate], print_blob=False
)
SEEDS = range(400)
"""A mutant is caught among so many histories; each needs fewer than a hundred today."""
MANY_SEEDS = range(400, 3_400)
"""Twice as many as the prototype of the protocol was proven by; 8,400 were played when it was built.

Every fourth without ``--deep``, each time others.
"""
BROKEN = (Broken, sqlite3.IntegrityError)
"""The unique indexes are invariants too: the database refuses what breaks them."""


class FurthestPage(Engine):
    """The resume point is the furthest page that was written."""

    def position(self, worker: Worker, page: int) -> int:
        return max([*worker.written, page]) + 1


class GreatestStamp(Engine):
    """A window ends at the greatest stamp that was seen."""

    def covered(self, worker: Worker, window: Window) -> Interval | None:
        if not worker.greatest:
            return window.interval
        end = parse_instant(worker.greatest) + timedelta(microseconds=1)
        return Interval(window.since, end) if window.since < end else None


class CoverageFirst(Engine):
    """Coverage closes when the pass begins."""

    def on_planned(self, world: World, worker: Worker) -> None:
        assert worker.plan is not None
        if worker.plan.window.interval is not None:
            scope, claim = worker.lease.scope, worker.plan.window.interval
            world.wire.write(lambda c: _cover(c, scope, claim, "fingerprint", replaces=False)).result()


@dataclass(frozen=True)
class Mutant:
    """What is left out: by statement, the text and what stands in its place; or an engine that is wrong."""

    caught_by: str
    replaced: dict[str, tuple[str, str]] = field(default_factory=dict)
    engine: type[Engine] = Engine


OURS = "WHERE scope = :scope AND epoch = :epoch AND holder = :run"
ANYBODY = "WHERE scope = :scope AND :epoch AND :run <> ''"
MUTANTS = {
    "fence without epoch and holder": Mutant(
        "I3 nobody commits under an epoch that has ended", {"fence": (OURS, ANYBODY)}
    ),
    "fence ignores the holder": Mutant(
        "I2 a run has read what its batches held", {"fence": (" AND holder = :run", " AND :run <> ''")}
    ),
    "commits not looked at": Mutant(
        "I1 every committed batch is applied once", {"fence": (" AND commits = :commits", " AND :commits >= 0")}
    ),
    "acquire ignores the holder": Mutant(
        "a lease is taken only when it is free or has run out",
        {"take_lease": ("WHERE s.holder IS NULL OR s.expires_at <= :now", "WHERE true")},
    ),
    "epoch not raised by acquire": Mutant(
        "I3 every run has an epoch of its own", {"take_lease": ("epoch = s.epoch + 1", "epoch = s.epoch")}
    ),
    "unconditional release": Mutant(
        "I4 a running run is the holder of its scope",
        {"release": (OURS, ANYBODY), "end_run": (" AND state = 'running' AND epoch = :epoch", " AND :epoch")},
    ),
    "unconditional renewal": Mutant("I4 nobody keeps another's lease alive", {"renew": (OURS, ANYBODY)}),
    "reaper only marks": Mutant(
        "I4 a holder is a running run",
        {"seize_expired": ("SET epoch = epoch + 1, holder = NULL, expires_at = NULL", "SET epoch = epoch")},
    ),
    "coverage closed before the rows": Mutant("I6 coverage claims nothing that is not committed", engine=CoverageFirst),
    "window ends at the greatest stamp": Mutant("the end of a window is a clock, never a stamp", engine=GreatestStamp),
    "resume point beyond a missing page": Mutant(
        "a resume point never lies beyond a missing page", engine=FurthestPage
    ),
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the database each history begins with."""
    return make_template(tmp_path_factory.mktemp("lease"))


@pytest.mark.timeout(60)
def test_no_history_breaks_an_invariant(template: bytes) -> None:
    """Whatever dies, sleeps, wakes, jumps or arrives late; hypothesis shows the shortest history that does."""

    class Machine(LeaseMachine):
        def __init__(self) -> None:
            super().__init__(template, Engine())

    run_state_machine_as_test(Machine, settings=HISTORIES)


@pytest.mark.full
@pytest.mark.timeout(60)
def test_no_history_of_a_fixed_hundred_breaks_an_invariant(template: bytes) -> None:
    """The same ones that mutants fall in, so that a mutant falls for what it lacks."""
    play_all(template, Engine(), range(100))


@pytest.mark.full
@pytest.mark.timeout(900)
def test_no_history_among_thousands_breaks_an_invariant(template: bytes, *, is_deep: bool) -> None:
    """As above, for minutes."""
    play_all(template, Engine(), MANY_SEEDS if is_deep else MANY_SEEDS[Random().randrange(4) :: 4])


@pytest.mark.full
@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_caught(name: str, template: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The protocol without one of its parts breaks the invariant which that part is there for."""
    mutant = MUTANTS[name]
    leave_out(mutant, monkeypatch)

    with pytest.raises(BROKEN) as caught:
        play_all(template, mutant.engine(), SEEDS)

    assert str(caught.value).partition(":")[0] == mutant.caught_by


@pytest.mark.full
@pytest.mark.timeout(300)
def test_hypothesis_catches_mutants_too(template: bytes, monkeypatch: pytest.MonkeyPatch, *, is_deep: bool) -> None:
    """The machine that finds nothing wrong with the protocol can find what is wrong: each time in two others."""
    for name in MUTANTS if is_deep else sample(sorted(MUTANTS), 2):
        mutant = MUTANTS[name]

        class Machine(LeaseMachine):
            def __init__(self, mutant: Mutant = mutant) -> None:
                super().__init__(template, mutant.engine())

        with monkeypatch.context() as patched:
            leave_out(mutant, patched)
            with pytest.raises(BROKEN):
                run_state_machine_as_test(Machine, settings=HUNT)


def play_all(template: bytes, engine: Engine, seeds: range) -> None:
    """Play the histories of those seeds, until one breaks something."""
    for seed in seeds:
        play(LeaseMachine(template, engine), seed)


def leave_out(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take out of the statements what the mutant lacks."""
    sql = statements("sqlite")
    for statement, (text, instead) in mutant.replaced.items():
        assert sql[statement].count(text) == 1, f"{statement} has changed: say anew what to leave out"
        monkeypatch.setitem(sql, statement, sql[statement].replace(text, instead))
