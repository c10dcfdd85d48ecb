"""What Comporta's own promises cost: memory over size, CPU by part, PRAGMAs, start-up."""

import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.cases import scratch
from bench.measure import CONTESTANTS, ROOT, Sample, Server, check, contestant, environment, median, run, settings

PRAGMAS: Mapping[str, str] = {
    "as shipped (cache 16 MB, mmap 0, temp_store memory, synchronous normal)": "",
    "cache 2 MB (SQLite's default)": "cache_mb = 2",
    "cache 64 MB": "cache_mb = 64",
    "mmap 256 MB": "mmap_mb = 256",
    "temp_store default": 'temp_store = "default"',
    "synchronous full": 'synchronous = "full"',
}


def memory(rows: Sequence[int]) -> dict[int, float]:
    """Return Comporta's peak in MB at each size."""
    peaks = {}
    for count in rows:
        with scratch() as folder, Server(count) as server:
            place = folder / "one"
            place.mkdir()
            settings(place, server)
            peaks[count] = contestant("comporta", "cursor", server, place).peak_mb
    return peaks


def shares(rows: int) -> dict[str, dict[str, float]]:
    """Return CPU seconds by part, of a full load and of a run that reads everything again."""
    _, database, table = CONTESTANTS["comporta"]
    found = {}
    with scratch() as folder, Server(rows) as server:
        for number in ("warm", "one"):
            place = folder / number
            place.mkdir()
            settings(place, server)
            command = [sys.executable, "-m", "bench.contestants.comporta_parts", server.url, str(place)]
            if number == "warm":
                run([*command, "cursor"], server, place)
        for name, mode in (("full load", "cursor"), ("everything read again", "full")):
            run([*command, mode], server, place)
            check(place / database, table, server.control("stats")["truth"])
            found[name] = json.loads((place / "parts.json").read_text())
    return found


def pragmas(rows: int, rounds: int) -> dict[str, tuple[Sample, Sample]]:
    """Return a full load and a reading again under each setting; settings take turns in each round."""
    full: dict[str, list[Sample]] = {name: [] for name in PRAGMAS}
    again: dict[str, list[Sample]] = {name: [] for name in PRAGMAS}
    with scratch() as folder, Server(rows) as server:
        for number in range(rounds):
            for place_number, (name, text) in enumerate(PRAGMAS.items()):
                place = folder / f"{number}-{place_number}"
                place.mkdir()
                settings(place, server, f"[sqlite]\n{text}")
                full[name].append(contestant("comporta", "cursor", server, place))
                again[name].append(contestant("comporta", "full", server, place))
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


def startup(rounds: int) -> dict[str, float]:
    """Return median wall milliseconds from a wheel installed, and byte-compiled, in a venv of its own."""
    with scratch() as folder:
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        kept.pop("VIRTUAL_ENV", None)
        _quietly(kept, "uv", "build", "--wheel", "--out-dir", str(folder), str(ROOT))
        _quietly(kept, "uv", "venv", "--python", sys.executable, str(folder / "venv"))
        python, wheel = str(folder / "venv" / "bin" / "python"), str(next(folder.glob("*.whl")))
        _quietly(kept, "uv", "pip", "install", "--compile-bytecode", "--python", python, wheel)
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
