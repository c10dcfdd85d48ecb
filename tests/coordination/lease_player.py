"""The same steps as the machine's, chosen by a seeded random generator.

hypothesis finds the shortest history that breaks something; this finds one fast, and the same one with
every version of hypothesis. So mutants are hunted with it, and the long runs go further.
"""

from collections.abc import Callable
from random import Random

from tests.coordination.lease_invariants import check
from tests.coordination.lease_machine import HOLDER_ENDINGS, KEYS, LeaseMachine
from tests.coordination.lease_world import PAGES, STREAMS, TTL, Fate

from comporta.core.window import Kind

STEPS = 40
Step = Callable[[LeaseMachine, Random], None]


def play(machine: LeaseMachine, seed: int) -> None:
    """Play one history and look at every invariant after each step."""
    chance = Random(seed)
    try:
        for _ in range(STEPS):
            (step,) = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))
            step(machine, chance)
            check(machine.world)
    finally:
        machine.teardown()


def _source(machine: LeaseMachine, chance: Random) -> None:
    changed = chance.choices(range(KEYS), k=chance.randint(1, 3))
    machine.the_source_is_written_to(_stream(chance), changed, chance.choice([0, 0, 0, 5, 3600]))


def _time(machine: LeaseMachine, chance: Random) -> None:
    here = chance.choice([1, 5, TTL.seconds + 1, TTL.seconds + 1, -10, -3600, 3600])
    machine.time_passes(chance.choice([0, 1, 5, 60]), here)


def _start(machine: LeaseMachine, chance: Random) -> None:
    machine.a_run_is_started(_stream(chance), _kind(chance), chance.randint(0, 30), chance.randint(1, 60))


def _advance(machine: LeaseMachine, chance: Random) -> None:
    many = chance.randint(1, PAGES)
    machine.a_run_is_on_its_way(_stream(chance), _kind(chance), _order(chance), many, _fate(chance))


def _read(machine: LeaseMachine, chance: Random) -> None:
    if any(worker.sent is None for worker in machine.world.workers):
        machine.a_page_is_read(chance.randrange(12), chance.randrange(PAGES))


def _write(machine: LeaseMachine, chance: Random) -> None:
    many = chance.randint(1, PAGES)
    machine.some_pages_are_written(chance.randrange(12), _order(chance), many, _fate(chance))


def _settle(machine: LeaseMachine, chance: Random) -> None:
    if any(worker.sent is not None for worker in machine.world.workers):
        gives_up = chance.random() < 0.5
        machine.an_unanswered_commit_is_settled_or_given_up(chance.randrange(12), _fate(chance), gives_up)


def _deliver(machine: LeaseMachine, chance: Random) -> None:
    if machine.world.wire.in_flight:
        machine.a_late_commit_arrives(chance.randrange(12))


def _beat(machine: LeaseMachine, chance: Random) -> None:
    if machine.world.workers:
        machine.a_heart_beats(chance.randrange(12))


def _end(machine: LeaseMachine, chance: Random) -> None:
    if machine.world.workers:
        machine.a_run_ends_or_dies(chance.randrange(12), chance.choice([None, *HOLDER_ENDINGS]))


def _free(machine: LeaseMachine, chance: Random) -> None:
    machine.the_reaper_or_a_person_comes(chance.choice([None, None, _stream(chance)]))


WEIGHTS: dict[Step, int] = {
    _source: 3,
    _time: 3,
    _start: 3,
    _advance: 3,
    _read: 1,
    _write: 4,
    _settle: 2,
    _deliver: 2,
    _beat: 1,
    _end: 1,
    _free: 1,
}


def _stream(chance: Random) -> str:
    return STREAMS[chance.random() < 0.25]


def _kind(chance: Random) -> Kind:
    return chance.choice([Kind.INCREMENTAL] * 4 + [Kind.FULL, Kind.MANUAL, Kind.HOLE])


def _order(chance: Random) -> list[int]:
    return chance.sample(range(PAGES), PAGES)


def _fate(chance: Random) -> Fate:
    return chance.choice([Fate.ANSWERED] * 4 + [Fate.ANSWER_LOST, Fate.DELAYED, Fate.DELAYED, Fate.NEVER_ARRIVED])
