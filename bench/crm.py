"""How much of ActiveCampaign's limit is used: five requests in any second, judged by its simulator.

A full load of the deals by everybody who can read them, one after the other, each from a simulator in a process of
its own: where the server has to wait for its turn, requests arrive closer together than they were sent. The share is
the least time in which so many could be let in, over the time from the first request to the last as the simulator
saw them.
"""

import json
import sqlite3
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.environments import NotAvailableError, provide, python_of
from bench.measure import environment
from bench.pace import least_s

LATENCIES_MS = (0, 200, 800)
DEALS = 3_000
TIMEOUT_S = 300
NEEDS: Mapping[str, Sequence[str]] = {
    "comporta": (),
    "naive": ("dlt",),  # for requests, which our own environment has no need of
    "dlt": ("dlt",),
    "tap-activecampaign": ("tap", "singer"),
}
TABLES = {"comporta": "activecampaign_deals"}


@dataclass(frozen=True)
class Used:
    """What one contestant made of the limit."""

    share: float
    requests: int
    refused: int
    seconds: float


Found = dict[int, dict[str, Used | str]]


def crm(*, latencies_ms: Sequence[int] = LATENCIES_MS, deals: int = DEALS) -> Found:
    """Return, by latency and contestant, what it made of the limit, or why it could not."""
    reasons = _reasons()
    return {
        latency: {name: reasons.get(name) or _one(name, latency, deals) for name in NEEDS} for latency in latencies_ms
    }


def _reasons() -> dict[str, str]:
    """Make the environments, and return who has none, and why."""
    reasons = {}
    for name, needs in NEEDS.items():
        try:
            for needed in needs:
                provide(needed)
        except NotAvailableError as error:
            reasons[name] = str(error)
    return reasons


def _one(name: str, latency_ms: int, deals: int) -> Used | str:
    with tempfile.TemporaryDirectory() as place, _simulator(latency_ms, deals) as url:
        ended = subprocess.run(
            _command(name, url, place),
            cwd=place,
            env=environment(Path(place)),
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        if ended.returncode:
            return f"failed: {' '.join(ended.stderr.split())[-300:]}"
        with closing(sqlite3.connect(f"{place}/copy.db")) as database:
            counted = f"SELECT count(*), count(DISTINCT id) FROM {TABLES.get(name, 'deals')}"
            rows, ids = database.execute(counted).fetchone()
        if (rows, ids) != (deals, deals):
            return f"has {rows} rows with {ids} ids, the source {deals}"
        with urllib.request.urlopen(f"{url}/_stats", timeout=30) as answer:
            limit = json.load(answer)["limit"]
    share = least_s(limit["allowed"], limit["limit"]) / limit["seconds"] if limit["seconds"] else 0.0
    return Used(share, limit["arrivals"], limit["refused"], limit["seconds"])


@contextmanager
def _simulator(latency_ms: int, deals: int) -> Iterator[str]:
    """Give the address of a simulator in a process of its own."""
    line = [sys.executable, "-m", "comporta", "sandbox", "activecampaign", "--json", "--port", "0"]
    line += ["--records", str(deals), *(["--fault", f"latency={latency_ms}"] if latency_ms else [])]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["sandbox"]["url"]
        finally:
            process.terminate()


def _command(name: str, url: str, place: str) -> list[str]:
    module = "tap" if name == "tap-activecampaign" else name
    python = python_of(NEEDS[name][0] if NEEDS[name] else None)
    more = [python_of("singer")] if module == "tap" else []
    return [python, "-m", f"bench.contestants.crm_{module}", url, place, *more]


def crm_table(found: Found) -> str:
    """Return shares and refusals, a row for each contestant, and under it who could not be measured."""
    titles = [f"{latency} ms: share | requests | 429s | s" for latency in found]
    lines = [
        f"**ActiveCampaign: share of 5 requests/s** (a full load of {DEALS:,} deals, by the latency of each answer)\n",
        f"| | {' | '.join(titles)} |",
        "|---" * (1 + 4 * len(found)) + "|",
    ]
    reasons: dict[str, str] = {}
    for name in NEEDS:
        cells = []
        for by_name in found.values():
            one = by_name[name]
            if isinstance(one, str):
                reasons[name] = one
                cells.append("- | - | - | -")
            else:
                cells.append(f"{one.share:.0%} | {one.requests} | {one.refused} | {one.seconds:.1f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join((*lines, *(f"\n{name}: not measured: {why}" for name, why in reasons.items())))
