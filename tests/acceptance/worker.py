"""A process that syncs, once or until it is killed: what the crash tests kill, stop and wake.

``--mutant`` breaks the product on purpose inside this process alone, so that a test can show that it
would have noticed. ``--stop-at`` stops the process itself where no signal from outside would hit. On PostgreSQL
the server ends a transaction whose process is stopped; here it waits for that only a moment.
"""

import argparse
import os
import random
import re
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import comporta
from comporta.bootstrap import databases, workspaces
from comporta.core.run import RunState
from comporta.errors import Retryable
from comporta.ledger.session import Database
from comporta.ledger.statements import statements
from comporta.ledger.store import LedgerStore
from comporta.settings.tree import Settings

if TYPE_CHECKING:
    from tests.acceptance.project import Project

MUTANTS = ("sound", "no-fence")
KINDS = ("incremental", "full")
STOPPED_S = 2
"""For how long a stopped worker may keep what it locked in PostgreSQL; the product's own patience is 10 s."""
COPY_S = 5
"""The same in the middle of a COPY, in which the former is not counted; the product's is 100 s."""


def worker(project: "Project", kind: str, *names: str, once: bool = False, **options: str | int) -> list[str]:
    """Return the command line of a worker of everything, or of some streams; options are its own."""
    line = [sys.executable, __file__, str(project.config), kind, *names, "--database", project.database.dialect]
    line += [f"--{option.replace('_', '-')}={value}" for option, value in options.items()]
    return [*line, "--once"] if once else line


def mutate(mutant: str) -> None:
    """Break the protocol: let every holder write and renew, whatever the epoch says."""
    if mutant == "no-fence":
        for known, scope in ((statements("sqlite"), ":scope"), (statements("postgres"), "%(scope)s")):
            for name in ("fence", "fence_and_release", "renew"):
                head, _, _ = re.split(r"(\sWHERE\s)", known[name], maxsplit=1)
                known[name] = f"{head} WHERE scope = {scope}"


def be_impatient() -> None:
    """Let the server wait for a stopped process only a moment."""
    from comporta.ledger import postgres_schema

    patience = {"idle_in_transaction_session_timeout": f"{STOPPED_S}s", "statement_timeout": f"{COPY_S}s"}
    postgres_schema.LOCALS = {**postgres_schema.LOCALS, **patience}


def stop_once(place: str) -> None:
    """Stop this process at a checkpoint of the store, the first time that it comes there."""
    passed: set[str] = set()

    def checkpoint(name: str) -> None:
        if name == place and name not in passed:
            passed.add(name)
            os.kill(os.getpid(), signal.SIGSTOP)

    def open_store(database: Database, settings: Settings) -> LedgerStore:
        usual = databases.open_store(database, settings)
        return LedgerStore(database, usual._destination, ttl=settings.lease, checkpoint=checkpoint)

    workspaces.open_store = open_store  # type: ignore[attr-defined]  # taken where it is used


def work(config: Path, kind: str, names: Sequence[str], dice: random.Random) -> None:
    """Sync once, waiting for whoever holds a stream."""
    is_full = kind == "full" or (kind == "mixed" and dice.random() < 0.2)
    runs = comporta.sync(*names, config=config, full=is_full, wait=True)
    for run in runs:
        if run.state is not RunState.SUCCEEDED:
            sys.stderr.write(f"{run.scope} {run.id} {run.state} {run.error}\n")


def main() -> None:
    """Work as the arguments say."""
    parser = argparse.ArgumentParser()
    parser.add_argument("config", type=Path)
    parser.add_argument("kind", choices=(*KINDS, "mixed"))
    parser.add_argument("names", nargs="*")
    parser.add_argument("--mutant", choices=MUTANTS, default="sound")
    parser.add_argument("--stop-at", default="")
    parser.add_argument("--database", choices=("sqlite", "postgres"), required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--once", action="store_true")
    asked = parser.parse_args()
    mutate(asked.mutant)
    stop_once(asked.stop_at)
    if asked.database == "postgres":
        be_impatient()
    dice = random.Random(asked.seed)
    while True:
        try:
            work(asked.config, asked.kind, asked.names, dice)
        except Retryable as error:
            # A process stopped inside a transaction keeps every writer of an SQLite file out.
            sys.stderr.write(f"{time.monotonic():.3f} {error}\n")
        if asked.once:
            return


if __name__ == "__main__":
    main()
