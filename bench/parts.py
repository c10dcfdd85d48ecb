"""What Comporta's own promises cost: memory over size, WAL of a run that finds nothing, PRAGMAs, start-up."""

import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.databases import Database, Postgres
from bench.measure import Sample, Server, contestant_run, environment, median, settings
from bench.registry import CONTESTANTS, ROOT

PRAGMAS: Mapping[str, str] = {
    "as shipped (cache 16 MB, mmap 0, temp_store memory, synchronous normal)": "",
    "cache 2 MB (SQLite's default)": "cache_mb = 2",
    "cache 64 MB": "cache_mb = 64",
    "mmap 256 MB": "mmap_mb = 256",
    "temp_store default": 'temp_store = "default"',
    "synchronous full": 'synchronous = "full"',
}
OURS = CONTESTANTS["comporta"]


def loaded_once(database: Database, server: Server) -> Sample:
    """Return what Comporta takes to load all that the server has."""
    place = database.fresh()
    settings(place, server)
    sample = contestant_run(OURS, "cursor", server, database, place)
    database.drop(place)
    return sample


def untouched(database: Postgres, server: Server) -> tuple[int, int]:
    """Return bytes of WAL about the mirrored table, and of all, that reading everything again wrote."""
    loaded = database.fresh()
    settings(loaded, server)
    contestant_run(OURS, "cursor", server, database, loaded)
    place = database.copy(loaded)
    settings(place, server)
    before = database.spent().wal
    contestant_run(OURS, "full", server, database, place)
    after = database.spent().wal
    found = database.wal_about(place, OURS.tables["postgresql"], before, after)
    for each in (place, loaded):
        database.drop(each)
    return found, after - before


def pragmas(database: Database, rows: int, rounds: int) -> dict[str, tuple[Sample, Sample]]:
    """Return a full load and a reading again under each setting of SQLite; settings take turns in each round."""
    full: dict[str, list[Sample]] = {name: [] for name in PRAGMAS}
    again: dict[str, list[Sample]] = {name: [] for name in PRAGMAS}
    with Server(rows) as server:
        for _ in range(rounds):
            for name, text in PRAGMAS.items():
                place = database.fresh()
                settings(place, server, more=f"[sqlite]\n{text}")
                full[name].append(contestant_run(OURS, "cursor", server, database, place))
                again[name].append(contestant_run(OURS, "full", server, database, place))
                database.drop(place)
    return {name: (median(full[name]), median(again[name])) for name in PRAGMAS}


def replay_rate(rows: int, size: int = 100) -> float:
    """Return pages of ``size`` rows a second that the server answers to one client that reads and forgets them."""
    with Server(rows) as server:
        address = server.url.removeprefix("http://")
        client = http.client.HTTPConnection(address)
        domain = [["id", ">", 0]]
        args = ["prod", 7, "key", "sale.order", "search_read", [domain], {"limit": size}]
        params = {"service": "object", "method": "execute_kw", "args": args}
        body = json.dumps({"jsonrpc": "2.0", "method": "call", "params": params, "id": 1})
        pages, begun = 0, time.perf_counter()
        while (spent := time.perf_counter() - begun) < 2.0:
            client.request("POST", "/jsonrpc", body)
            client.getresponse().read()
            pages += 1
    return pages / spent


def startup(folder: Path, rounds: int) -> dict[str, float]:
    """Return median wall milliseconds from a wheel installed, and byte-compiled, in a venv of its own."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    _quietly(kept, sys.executable, "-m", "venv", str(folder / "venv"))
    python = str(folder / "venv" / "bin" / "python")
    _quietly(kept, python, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    _quietly(kept, python, "-m", "pip", "install", "--compile", str(next(folder.glob("comporta-*.whl"))))
    commands = {
        "python -c pass": [python, "-c", "pass"],
        "comporta --version": [str(folder / "venv" / "bin" / "comporta"), "--version"],
        "comporta --help": [str(folder / "venv" / "bin" / "comporta"), "--help"],
    }
    return _timed(commands, folder, rounds)


def _quietly(env: Mapping[str, str], *command: str) -> None:
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _timed(commands: Mapping[str, Sequence[str]], folder: Path, rounds: int) -> dict[str, float]:
    walls: dict[str, list[float]] = {name: [] for name in commands}
    env = environment(folder)
    env.pop("PYTHONPATH")
    env.pop("PYTHONPYCACHEPREFIX")
    for _ in range(rounds):
        for name, command in commands.items():
            begun = time.perf_counter()
            subprocess.run(command, env=env, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            walls[name].append((time.perf_counter() - begun) * 1000)
    return {name: statistics.median(taken) for name, taken in walls.items()}
