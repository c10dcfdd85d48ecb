"""A process that asks for its login again and again until it is killed: what the process-level test kills.

Everything is the product's own, but for its patience: leases and pauses are as short as the life of the simulator's
tokens. It notes each step in its diary before the next, which a kill leaves whole. ``--dies-at`` is a checkpoint at
which it kills itself, or ``sent``: with its request at the server.
"""

import argparse
import asyncio
import os
import signal
import sys
import threading
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from comporta.coordination import logins
from comporta.coordination.budgets import SharedBudgets
from comporta.coordination.logins import SharedLogin
from comporta.core import login as rules
from comporta.errors import LoginNeeded, Retryable
from comporta.ledger.logins import LedgerLogins
from comporta.ledger.session import Database
from comporta.ports.progress import Progress
from comporta.ports.system_clock import SystemClock
from comporta.sources.connections import Connections
from comporta.sources.mercadolivre_config import MercadoLivreConfig, terms
from comporta.sources.mercadolivre_oauth import MercadoLivreOAuth
from comporta.testing import MemoryLog

ACCOUNT = "loja1"
KEY = bytes(range(32))
POINTS = ("login_leased", "login_written", "login_checked", "sent", "login_answered", "login_kept")
TTL = timedelta(seconds=0.6)
SENT_S = 0.02
"""How long after its last look a process dies that dies with its request at the server, which takes longer."""
ROUND = timedelta(seconds=0.01)


def line(address: str, market: str, folder: Path, name: str, dies_at: str = "") -> list[str]:
    """Return the command line of a worker."""
    return [sys.executable, __file__, address, market, str(folder), name, f"--dies-at={dies_at}"]


def open_database(address: str) -> Database:
    """Open a file's or a server's database."""
    if address.startswith("postgres"):
        from comporta.ledger.postgres import PoolLimits, PostgresDatabase
        from comporta.ledger.postgres_address import Address

        return PostgresDatabase(Address.parse(address), PoolLimits(size=4), SystemClock())
    from comporta.ledger.sqlite import Pragmas, SqliteDatabase

    return SqliteDatabase(Path(address), Pragmas(), SystemClock())


def die() -> None:
    """Be killed."""
    os.kill(os.getpid(), signal.SIGKILL)


class Diary:
    """What a process did, a line at once; the checkpoint of the login."""

    def __init__(self, path: Path, dies_at: str) -> None:
        self._file = path.open("a", buffering=1, encoding="utf-8")
        self._dies_at = dies_at

    def __call__(self, point: str) -> None:
        self._file.write(f"{point}\n")
        if point == self._dies_at:
            die()
        if point == "login_checked" and self._dies_at == "sent":
            threading.Timer(SENT_S, die).start()


async def work(database: Database, market: str, folder: Path, name: str, diary: Diary) -> None:
    """Ask for the login until killed."""
    clock = SystemClock()
    config = MercadoLivreConfig("demo", "demo", url=market, timeout=timedelta(seconds=5))
    budget = SharedBudgets(MemoryLog(clock), clock).of(terms(market, None))
    oauth = MercadoLivreOAuth(config, account=ACCOUNT, clock=clock, budget=budget, connections=Connections())
    login = SharedLogin(
        ACCOUNT,
        store=LedgerLogins(database, lambda _: KEY),
        renew=oauth.renew,
        clock=clock,
        first=lambda: (folder / "first").read_text("utf-8"),
        instance=name,
        command="comporta connect mercadolivre loja1",
        checkpoint=diary,
    )
    diary("begun")
    while True:
        try:
            pair = await login.tokens(Progress(clock))
            diary(f"used {rules.token_fingerprint(pair.refresh)}")
        except LoginNeeded:
            diary("needs_login")
        except Retryable as error:
            diary(f"trouble {error.message}")
        await clock.sleep(ROUND)


def main() -> None:
    """Work until killed."""
    parser = argparse.ArgumentParser()
    for argument in ("address", "market", "folder", "name", "--dies-at"):
        parser.add_argument(argument)
    told = parser.parse_args()
    logins.TTL = TTL
    logins.LOOK_EVERY = timedelta(seconds=0.03)
    logins.REST_S = 0.05
    rules.FIRST_PAUSE = timedelta(seconds=0.05)
    folder = Path(told.folder)
    diary = Diary(folder / f"{told.name}.diary", told.dies_at)
    with closing(open_database(told.address)) as database:
        asyncio.run(work(database, told.market, folder, told.name, diary))


if __name__ == "__main__":
    main()
