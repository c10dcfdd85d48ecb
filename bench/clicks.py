"""How soon a click is answered, and how soon its run begins, while ten accounts are being loaded by the same server.

One server does everything: it answers, executes ten full loads at once, and executes what is clicked. A click asks for
a few records of an account of its own, one after the other at fixed instants, so that none waits for the run of
an earlier one. From the moment a click is due until its answer is there, and until the run has its lease.
"""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPConnection
from statistics import quantiles
from threading import Event
from typing import Any
from urllib.parse import urlsplit

from bench.databases import Database, WrongResultError
from bench.hooks import add_account, serving
from bench.measure import Server, settings

BUSY = 10
CLICKED = 20
RATE = 5
SECONDS = 15
ROWS = 20_000
WORKERS = 40
"""The ten are asked for as clicks are, and take places of those: with ten, a click would wait for the settings."""
ORDERS = "sale.order"
PACED = (f'limit = "{5 * BUSY}/1s"', "page_size = 100")
"""The accounts name one server, so they share its budget."""


@dataclass
class Clicked:
    """Seconds from the click to the answer and to the lease, and how many ran beside it each time."""

    answered_s: list[float] = field(default_factory=list)
    began_s: list[float] = field(default_factory=list)
    running: list[int] = field(default_factory=list)


def clicks(database: Database, *, paced: bool, seconds: float = SECONDS, rows: int = ROWS) -> Clicked:
    """Click, while ten accounts are loaded: each at five pages of a hundred a second, or as fast as they can be."""
    found = Clicked()
    with Server(rows) as source:
        place = database.fresh()
        settings(place, source, more=f'margin = "0s"\nworkers = {WORKERS}')
        for number in range(BUSY + CLICKED):
            add_account(place, source, number, *(PACED if paced else ()))
        with serving(place, "--no-scheduler") as (_, url), ThreadPoolExecutor(1) as aside:
            stopping = Event()
            keeping = aside.submit(_keep_busy, stopping, url, found)
            try:
                _click(found, url, seconds)
            finally:
                stopping.set()
            keeping.result()
        database.drop(place)
    return found


def clicks_table(found: dict[str, Clicked]) -> str:
    """Return the figures as a table."""
    lines = [
        f"**Clicks** ({RATE} a second, while the same process loads {BUSY} accounts of {ROWS:,} rows)\n",
        "| sources | clicks | answered, ms: p50 | p99 | max | running, ms: p50 | p99 | max | runs beside it |",
        "|---" * 9 + "|",
    ]
    for name, each in found.items():
        told = [*figures(each.answered_s), *figures(each.began_s)]
        beside = f"{sum(each.running) / len(each.running):.1f}"
        lines.append(f"| {' | '.join([name, str(len(each.answered_s)), *told, beside])} |")
    return "\n".join(lines)


def figures(seconds: list[float]) -> list[str]:
    """Return median, 99th percentile and maximum in milliseconds."""
    hundredths = quantiles(seconds, n=100, method="inclusive")
    return [f"{each * 1000:.0f}" for each in (hundredths[49], hundredths[98], max(seconds))]


def _keep_busy(stopping: Event, url: str, found: Clicked) -> None:
    """Ask for a full load of each of the ten again as soon as its last one has ended."""
    with _asking(url) as ask:
        while not stopping.is_set():
            runs = [
                run for state in ("running", "queued") for run in ask("GET", f"/runs?state={state}&limit=500")["runs"]
            ]
            busy = {run["account"] for run in runs}
            found.running.append(sum(run["state"] == "running" for run in runs))
            for number in range(BUSY):
                if f"a{number}" not in busy:
                    ask("POST", "/runs", {"account": f"a{number}", "stream": ORDERS, "full": True})
            stopping.wait(0.2)


def _click(found: Clicked, url: str, seconds: float) -> None:
    asked: list[tuple[str, float]] = []
    with _asking(url) as ask:
        ask("GET", "/runs")
        time.sleep(1.0)  # until the ten have begun
        found.running.clear()
        begun = time.time() + 0.1
        for number in range(int(seconds * RATE)):
            due = begun + number / RATE
            time.sleep(max(0.0, due - time.time()))
            body = {"account": f"a{BUSY + number % CLICKED}", "stream": ORDERS, "max_records": 20}
            (run,) = ask("POST", "/runs", body)["runs"]
            found.answered_s.append(time.time() - due)
            asked.append((run["id"], due))
        for run_id, due in asked:
            found.began_s.append(_began(ask, run_id) - due)


def _began(ask: Any, run_id: str) -> float:  # noqa: ANN401  a function
    for _ in range(100):
        run = ask("GET", f"/runs/{run_id}")["run"]
        if run["started_at"] is not None:
            return datetime.fromisoformat(run["started_at"]).timestamp()
        time.sleep(0.1)
    raise WrongResultError(f"run {run_id} did not begin: {run}")


@contextmanager
def _asking(url: str) -> Iterator[Any]:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=30)

    def ask(method: str, path: str, body: object = None) -> Any:  # noqa: ANN401  JSON
        sent = None if body is None else json.dumps(body)
        connection.request(method, f"/api/v1{path}", sent, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        told = json.loads(answer.read())
        if answer.status >= 300:
            raise WrongResultError(f"{method} {path}: {answer.status} {told}")
        return told

    yield ask
    connection.close()
