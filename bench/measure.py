"""One measurement: a contestant in a process of its own, timed from outside, its result checked.

Wall is from start to exit, so interpreter and imports count; CPU is user and system time of that process and
of those it waited for, as the kernel reports it; the peak is its resident set. What the database's server
spends meanwhile is told beside it.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

from bench.databases import Database, Place, WrongResultError, check
from bench.environments import python_of
from bench.registry import ROOT, Contestant

BYTECODE = Path(tempfile.gettempdir()) / "comporta-bench-bytecode"
"""Kept between measurements, and from one command to the next: Python sees by itself what changed."""
TIMEOUT_S = 600
"""No contestant takes so long; one that hangs must not take the whole evening."""


@dataclass(frozen=True)
class Sample:
    """What one run took; ``server_cpu_s`` and ``wal_mb`` are the database server's."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    requests: float
    throttled: float = 0
    span_s: float = 0.0
    server_cpu_s: float = 0.0
    wal_mb: float = 0.0


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
        if self._process.stdout is not None:
            self._process.stdout.close()

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


def environment(folder: Path, page: int = 1000) -> dict[str, str]:
    """Return what contestants run in: byte code is kept, so that no run pays for compiling."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COMPORTA_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    quiet = {
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "ERROR",
        "AIRBYTE_OFFLINE_MODE": "1",
        "DO_NOT_TRACK": "1",
        "ODOO_API_KEY": "key",
        "BENCH_PAGE": str(page),
    }
    path = os.pathsep.join((str(ROOT), kept.get("PYTHONPATH", ""))).rstrip(os.pathsep)
    cache = {"PYTHONPYCACHEPREFIX": str(BYTECODE), "PYTHONPATH": path}
    return {**kept, **quiet, **cache, "DLT_DATA_DIR": str(folder / "dlt-home"), "HOME": str(folder)}


def settings(place: Place, server: Server, *, more: str = "", account: str = "") -> None:
    """Write the comporta.toml of a place."""
    text = (
        f'database = "{place.url}"\nstate_dir = "{place.folder}"\n{more}\n'
        f'[accounts.matriz]\nsource = "odoo"\nurl = "{server.url}"\ndatabase = "prod"\n'
        f'login = "sync@example.com"\napi_key = "env:ODOO_API_KEY"\n{account}\n'
    )
    (place.folder / "comporta.toml").write_text(text)


def command_of(contestant: Contestant, mode: str, server: Server, place: Place) -> list[str]:
    """Return the command that runs a contestant."""
    script = [python_of(contestant.needs), "-m", contestant.module]
    return [*script, server.url, str(place.folder), mode, place.url]


def run(command: Sequence[str], server: Server, folder: Path, page: int = 1000) -> Sample:
    """Run a command to its end and return what it took."""
    server.control("reset")
    log, peaks = folder / "output.txt", folder / "peak.json"
    peaks.unlink(missing_ok=True)
    with log.open("w") as output:
        begun = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment(folder, page), stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise WrongResultError(f"{' '.join(command)} ended with {process.returncode}:\n{log.read_text()[-3000:]}")
    peak = json.loads(peaks.read_text()) if peaks.exists() else usage.ru_maxrss / 1024
    said = {name: float(str(server.control("stats")[name])) for name in ("requests", "throttled", "span_s")}
    return Sample(wall, usage.ru_utime + usage.ru_stime, peak, **said)


def contestant_run(
    contestant: Contestant, mode: str, server: Server, database: Database, place: Place, *, page: int = 1000
) -> Sample:
    """Run one contestant, refuse what it made if that is wrong, and add what the database's server spent."""
    before = database.spent()
    sample = run(command_of(contestant, mode, server, place), server, place.folder, page)
    after = database.spent()
    if contestant.tables[database.kind]:
        check(database, place, contestant, server.control("stats")["truth"])
    spent = {"server_cpu_s": after.cpu_s - before.cpu_s, "wal_mb": (after.wal - before.wal) / 1e6}
    return Sample(**{**_values(sample), **spent})


def median(samples: Sequence[Sample]) -> Sample:
    """Return the median of each figure."""
    return Sample(**{name: statistics.median(_values(one)[name] for one in samples) for name in _values(samples[0])})


def _values(sample: Sample) -> dict[str, float]:
    return {each.name: getattr(sample, each.name) for each in fields(sample)}
