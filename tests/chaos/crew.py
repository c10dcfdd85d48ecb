"""The workers as processes, each behind a proxy of its own: hired, struck, woken, hired again."""

import os
import signal
import subprocess
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Self

from tests.chaos.worker import ACCOUNT, Orders
from tests.servers.postgres import OwnPostgres
from tests.servers.proxy import Proxy

ROOT = Path(__file__).parents[2]
PATIENCE_S = 20.0
LEASE_S = 1.0
CONFIG = """\
database = "{url}"
lease = "{lease}s"
margin = "1s"
reconcile = "20s"
deleted_share = 1.0
[postgres]
pool_size = 6
pool_wait = "3s"
[accounts.{account}]
source = "odoo"
url = "http://127.0.0.1:9"
database = "demo"
login = "demo"
api_key = "file:key"
[accounts.{account}.streams]
"sale.order" = {{ overlap = "5s" }}
"sale.order.line" = {{ overlap = "5s" }}
"res.partner" = {{ overlap = "5s" }}
"""


@dataclass
class Worker:
    """One place in the crew: the process that fills it now, its proxy, its diary."""

    name: str
    proxy: Proxy
    orders: Orders
    process: "subprocess.Popen[bytes]"

    @property
    def diary(self) -> Path:
        return Path(self.orders.diary)

    @property
    def is_stopped(self) -> bool:
        """Tell whether a signal stopped the process, its own included."""
        with suppress(FileNotFoundError):
            return Path(f"/proc/{self.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] == "T"
        return False


@dataclass
class Crew:
    """Workers on one database; use it as a context manager, at whose end nobody is left."""

    folder: Path
    server: OwnPostgres
    database: str
    orders: Orders
    dice: Random
    workers: list[Worker] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.dismiss()
        self._stack.close()

    def hire(self, many: int) -> None:
        """Put so many workers to work."""
        for place in range(many):
            proxy = self._stack.enter_context(Proxy(self.server.url(self.database)))
            name = f"worker{place}"
            orders = self._orders(name, proxy.url)
            Path(orders.diary).unlink(missing_ok=True)  # of another story, in a folder that was kept
            self.workers.append(Worker(name, proxy, orders, self._start(orders)))

    def rehire(self, worker: Worker) -> None:
        """Put a new process in the place of one that has ended."""
        worker.orders = replace(worker.orders, seed=self.dice.randrange(2**32))
        worker.process = self._start(worker.orders)

    def kill(self, worker: Worker) -> None:
        """End a process as a machine that fails would, stopped or not."""
        worker.process.kill()
        worker.process.wait(PATIENCE_S)

    def dismiss(self) -> None:
        """Kill whoever still works."""
        for worker in self.workers:
            self.kill(worker)

    def at_rest(self, task: str) -> None:
        """Do a task without any fault, past the proxies, and wait for its end."""
        quiet = replace(self._orders("rest", self.server.url(self.database)), task=task, stop_odds=0, die_odds=0)
        quiet = replace(quiet, slow_odds=0, mutant="sound")
        done = subprocess.run(quiet.line, cwd=ROOT, capture_output=True, check=False, timeout=3 * PATIENCE_S)
        assert done.returncode == 0, f"{task} failed:\n{done.stderr.decode()}"

    def errors(self, worker: Worker) -> str:
        """Return the last that the processes of a place said."""
        return worker.diary.with_suffix(".err").read_text(encoding="utf-8", errors="replace")[-4000:]

    def _orders(self, name: str, url: str) -> Orders:
        config = self.folder / f"{name}.toml"
        config.write_text(CONFIG.format(url=url, lease=LEASE_S, account=ACCOUNT), encoding="utf-8")
        (self.folder / "key").write_text("demo", encoding="utf-8")
        diary = self.folder / f"{name}.diary"
        return replace(self.orders, config=str(config), diary=str(diary), seed=self.dice.randrange(2**32))

    def _start(self, orders: Orders) -> "subprocess.Popen[bytes]":
        errors = Path(orders.diary).with_suffix(".err")
        with errors.open("ab") as said:
            return subprocess.Popen(orders.line, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=said, stderr=said)


def send(worker: Worker, number: int) -> None:
    """Send a signal to a process that may have ended."""
    with suppress(ProcessLookupError):
        os.kill(worker.process.pid, number)


def wake(worker: Worker) -> None:
    """Let a stopped process go on."""
    send(worker, signal.SIGCONT)
