"""One measurement: a contestant in a process of its own, timed from outside, its result checked.

Wall is from start to exit, so interpreter and imports count; CPU is user and system time of that process
as the kernel reports it; the peak is its resident set. A result that does not add up to the server's truth raises
``WrongResultError``: a wrong copy has no speed.
"""

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench.world import TRUTH

ROOT = Path(__file__).parent.parent
BYTECODE = Path(tempfile.gettempdir()) / "comporta-bench-bytecode"
"""Kept between measurements, and from one command to the next: Python sees by itself what changed."""
CONTESTANTS: Mapping[str, tuple[str, str, str]] = {
    "comporta": ("bench.contestants.comporta_sync", "comporta.db", "odoo_sale_order"),
    "naive": ("bench.contestants.naive", "naive.db", "sale_order"),
    "dlt": ("bench.contestants.dlt_pipeline", "dlt.db", "sale_order"),
    "bare": ("bench.contestants.bare", "bare.db", "sale_order"),
}
"""Module, database and table of each contestant."""


class WrongResultError(Exception):
    """A contestant's copy differs from what the server has."""


@dataclass(frozen=True)
class Sample:
    """What one process took."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    requests: int


class Server:
    """The replay server in its own process."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        command = [sys.executable, "-m", "bench.replay", "--rows", str(rows)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def control(self, what: str, **body: object) -> dict[str, object]:
        """Change or ask the server's state."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(f"{self.url}/bench/{what}", json.dumps(body).encode())
        with opener.open(request, timeout=60) as answer:
            seen: dict[str, object] = json.load(answer)
        return seen

    def change(self, mode: str) -> None:
        """Change the rows of a mode, stamped now."""
        self.control("mode", mode=mode, changed_at=time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()))


def environment(folder: Path) -> dict[str, str]:
    """Return what contestants run in: byte code is kept, so that no run pays for compiling."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COMPORTA_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    quiet = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR", "ODOO_API_KEY": "key"}
    path = os.pathsep.join((str(ROOT), kept.get("PYTHONPATH", ""))).rstrip(os.pathsep)
    cache = {"PYTHONPYCACHEPREFIX": str(BYTECODE), "PYTHONPATH": path}
    return {**kept, **quiet, **cache, "DLT_DATA_DIR": str(folder / "dlt-home"), "HOME": str(folder)}


def settings(folder: Path, server: Server, more: str = "") -> None:
    """Write the comporta.toml of a folder."""
    text = (
        f'database = "sqlite:///comporta.db"\nstate_dir = "{folder}"\n{more}\n'
        f'[accounts.matriz]\nsource = "odoo"\nurl = "{server.url}"\ndatabase = "prod"\n'
        'login = "sync@example.com"\napi_key = "env:ODOO_API_KEY"\n'
    )
    (folder / "comporta.toml").write_text(text)


def run(command: Sequence[str], server: Server, folder: Path) -> Sample:
    """Run a command to its end and return what it took."""
    server.control("reset")
    log = folder / "output.txt"
    with log.open("w") as output:
        begun = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment(folder), stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise WrongResultError(f"{' '.join(command)} ended with {process.returncode}:\n{log.read_text()[-3000:]}")
    requests = int(str(server.control("stats")["requests"]))
    return Sample(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, requests)


def contestant(name: str, mode: str, server: Server, folder: Path) -> Sample:
    """Run one contestant, and refuse what it made if that is wrong."""
    module, database, table = CONTESTANTS[name]
    sample = run([sys.executable, "-m", module, server.url, str(folder), mode], server, folder)
    check(folder / database, table, server.control("stats")["truth"])
    return sample


def check(path: Path, table: str, truth: object) -> None:
    """Raise unless the table's row count and sums are the server's."""
    sums = ", ".join(f"{expression} AS {name}" for name, expression in TRUTH.items())
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    seen = dict(connection.execute(f"SELECT {sums}, max(write_date) AS latest FROM {table}").fetchone())
    connection.close()
    seen["latest"] = str(seen["latest"])[:19].replace("T", " ")
    if seen != truth:
        raise WrongResultError(f"{path.name}: the copy adds up to {seen}, the source to {truth}")


def median(samples: Sequence[Sample]) -> Sample:
    """Return the median of each figure."""
    wall, cpu, peak = (
        statistics.median(getattr(one, name) for one in samples) for name in ("wall_s", "cpu_s", "peak_mb")
    )
    return Sample(wall, cpu, peak, max(one.requests for one in samples))
