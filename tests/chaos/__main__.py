"""Play chaos by hand, with its progress: ``python -m tests.chaos --seconds 90 --seed 7``."""

import argparse
import sys
import tempfile
from pathlib import Path
from random import SystemRandom

from tests.chaos.mutants import MUTANTS, SOUND
from tests.chaos.play import Plan, Story, provoking
from tests.servers.builds import first_build
from tests.servers.home import claim
from tests.servers.postgres import make_postgres


def main() -> int:
    """Play one story and say what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(2**32))
    parser.add_argument("--workers", type=int, default=5)
    parser.add_argument("--mutant", choices=(SOUND, *MUTANTS), default=SOUND)
    parser.add_argument("--keep", type=Path, help="keep diaries and log in this folder")
    asked = parser.parse_args()
    if asked.mutant == SOUND:
        plan = Plan(asked.seed, asked.seconds, asked.workers)
    else:
        plan = provoking(asked.mutant, seed=asked.seed, seconds=asked.seconds, workers=asked.workers)
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        home = claim(Path(temporary))
        server = make_postgres(home, first_build(lambda build: build.is_ours), "chaos", is_hasty=False)
        server.start()
        try:
            verdict = Story(plan, server, folder, _tell).play()
        finally:
            server.remove()
            home.leave()
    _tell(f"--seed {plan.seed} --seconds {plan.seconds:g} --workers {plan.workers}\n{verdict}")
    return bool(verdict.violations)


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
