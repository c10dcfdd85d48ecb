"""One story of chaos from the empty database to the verdict: hire, strike, bring to rest, judge, tell."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.chaos.checker import begin_history, broken_claims, differences, unkept
from tests.chaos.crew import Crew
from tests.chaos.mutants import MUTANTS, SOUND
from tests.chaos.nemesis import EVERY_S, MENU, Nemesis
from tests.chaos.report import Verdict, figures
from tests.chaos.worker import Orders
from tests.servers.postgres import OwnPostgres

from comporta.ledger.postgres_address import Address
from comporta.ledger.postgres_schema import connect, migrate

LOOK_EVERY_S = 0.5
"""How often the claims are checked while the chaos goes on, where that is asked for."""
QUIET_S = 3.0
"""So long after the last change at the source every window that is planned holds it."""
SHOWN = 5


@dataclass(frozen=True)
class Plan:
    """What a story is: its seed, its length, who plays and what may happen."""

    seed: int
    seconds: float
    workers: int = 5
    mutant: str = SOUND
    menu: Mapping[str, float] = field(default_factory=lambda: MENU)
    every_s: float = EVERY_S
    stop_odds: float = 0.002
    die_odds: float = 0.001
    slow_odds: float = 0.002
    slow_s: float = 1.5
    sought: str = ""
    """The claim that is checked all the time: the story ends when it is broken, whatever else breaks before."""


def provoking(mutant: str, *, seed: int, seconds: float, workers: int) -> Plan:
    """Return the story in which a mutant must give itself away: what it is weak against, and nothing else."""
    weak = MUTANTS[mutant]
    odds = {"stop_odds": weak.odds, "die_odds": 0.0, "slow_odds": 2 * weak.odds}
    return Plan(seed, seconds, workers, mutant, weak.menu, weak.every_s, sought=weak.claim, **odds)


class Story:
    """A plan being played on a server of its own."""

    def __init__(
        self, plan: Plan, server: OwnPostgres, folder: Path, tell: Callable[[str], None] = lambda _: None
    ) -> None:
        self.plan, self.server, self.folder, self.tell = plan, server, folder, tell
        self.dice = Random(plan.seed)
        self.database = server.create()
        self.url = server.url(self.database)
        address = Address.parse(self.url)
        with connect(address) as connection:
            migrate(connection, address)
        begin_history(self.url)
        now = time.time()
        self.orders = Orders(
            config="", diary="", seed=0, source_seed=plan.seed, begins=now, until=now + plan.seconds,
            stop_odds=plan.stop_odds, die_odds=plan.die_odds, slow_odds=plan.slow_odds, slow_s=plan.slow_s,
            mutant=plan.mutant,
        )  # fmt: skip

    def play(self) -> Verdict:
        """Play the story to its end."""
        with Crew(self.folder, self.server, self.database, self.orders, self.dice) as crew:
            began = time.monotonic()
            crew.hire(self.plan.workers)
            nemesis = Nemesis(crew, self.dice, self.plan.menu, self.plan.every_s, self.tell)
            looking = _Looking(self.plan.sought, lambda: broken_claims(self.url, self._diaries(crew)))
            nemesis.play(self.plan.seconds, looking if self.plan.sought else lambda: bool(nemesis.faults))
            took = time.monotonic() - began
            crew.dismiss()
            found = [*looking.found, *nemesis.faults] or self._judge(crew)
            return Verdict(found, took, figures(self.url, nemesis, self._diaries(crew)), nemesis.log)

    def _judge(self, crew: Crew) -> list[str]:
        """Bring everything to rest and check every claim, and every field of every row."""
        source = self.orders.source()
        claimed = unkept(self.url, source)
        time.sleep(max(0.0, self.orders.until + QUIET_S - time.time()))
        crew.at_rest("sync")
        late, _ = differences(self.url, source)
        crew.at_rest("repair")
        wrong, gone = differences(self.url, source)
        found = broken_claims(self.url, self._diaries(crew), is_at_rest=True)
        found += [f"NOT here although coverage claims it: {each}" for each in claimed[:SHOWN]]
        found += [f"NOT here after a window that ended well: {each}" for each in late[:SHOWN]]
        return found + [f"NOT as at the source after a repair: {each}" for each in (*wrong, *gone)[:SHOWN]]

    def _diaries(self, crew: Crew) -> list[Path]:
        return [worker.diary for worker in crew.workers if worker.diary.exists()]


class _Looking:
    """Checks the claims again and again; true once the one that is sought is broken.

    Another may break before it: two workers that were both granted a run, of which a server forgot one, are within
    their rights by all that each of them sees.
    """

    def __init__(self, sought: str, check: Callable[[], list[str]]) -> None:
        self.sought, self.check = sought, check
        self.found: list[str] = []
        self._next = time.monotonic() + LOOK_EVERY_S

    def __call__(self) -> bool:
        if time.monotonic() >= self._next:
            self.found = self.check()
            self._next = time.monotonic() + LOOK_EVERY_S
        return any(each.startswith(f"NOT {self.sought}:") for each in self.found)
