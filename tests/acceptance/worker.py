"""A process that syncs, once or until it is killed: what the crash tests kill, stop and wake.

``--mutant`` breaks the product on purpose inside this process alone, so that a test can show that it
would have noticed.
"""

import argparse
import random
import sys
import time
from pathlib import Path

import comporta
from comporta.core.run import RunState
from comporta.errors import Retryable
from comporta.ledger.statements import statements

ROOT = Path(__file__).parents[2]
MUTANTS = ("sound", "no-fence")
KINDS = ("incremental", "full")


def worker(config: Path, kind: str, *, once: bool = False, mutant: str = "sound", seed: int = 0) -> list[str]:
    """Return the command line of a worker."""
    line = [sys.executable, __file__, str(config), kind, "--mutant", mutant, "--seed", str(seed)]
    return [*line, "--once"] if once else line


def mutate(mutant: str) -> None:
    """Break the protocol: let every holder write and renew, whatever the epoch says."""
    if mutant == "no-fence":
        known = statements("sqlite")
        for name in ("fence", "fence_and_release", "renew"):
            head, _, _ = (
                known[name].partition(" WHERE ") if " WHERE " in known[name] else known[name].partition("\nWHERE ")
            )
            known[name] = f"{head} WHERE scope = :scope"


def work(config: Path, kind: str, dice: random.Random) -> None:
    """Sync everything once, waiting for whoever holds a stream."""
    is_full = kind == "full" or (kind == "mixed" and dice.random() < 0.2)
    runs = comporta.sync(config=config, full=is_full, wait=True)
    for run in runs:
        if run.state is not RunState.SUCCEEDED:
            sys.stderr.write(f"{run.scope} {run.id} {run.state} {run.error}\n")


def main() -> None:
    """Work as the arguments say."""
    parser = argparse.ArgumentParser()
    parser.add_argument("config", type=Path)
    parser.add_argument("kind", choices=(*KINDS, "mixed"))
    parser.add_argument("--mutant", choices=MUTANTS, default="sound")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--once", action="store_true")
    asked = parser.parse_args()
    mutate(asked.mutant)
    dice = random.Random(asked.seed)
    while True:
        try:
            work(asked.config, asked.kind, dice)
        except Retryable as error:
            # A process stopped inside a transaction keeps every writer of an SQLite file out.
            sys.stderr.write(f"{time.monotonic():.3f} {error}\n")
        if asked.once:
            return


if __name__ == "__main__":
    main()
