"""How soon a notification is answered while a sync writes, and whether any that was answered is lost.

A server takes 200 notifications a second, each of a resource of its own, at instants that are fixed beforehand: one
that had to wait behind another is late by that too. Meanwhile other processes load account after account into the same
database. At the end the server is killed in the midst of it; then what was answered 200 is counted in the
database.
"""

import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from statistics import quantiles
from threading import Event, local
from urllib.parse import urlsplit

from bench.databases import Database, Place, WrongResultError
from bench.environments import python_of
from bench.measure import Server, environment, settings

RATE = 200
SECONDS = 15
ROWS = 20_000
SENDERS = 64
"""Many more than are ever under way, so that a late answer delays no other notification."""
GIVEN_UP_S = 0.5
"""So long Mercado Livre waits."""
ACCOUNTS = 200
"""More than are loaded in the time: each load is of an account of its own, so that all of its rows are inserted."""
HOOK = "/hooks/mercadolivre"


@dataclass
class Heard:
    """What became of the notifications: seconds from their instant to the answer, of those that were taken."""

    took_s: list[float] = field(default_factory=list)
    refused: int = 0
    cut: int = 0
    kept: int = 0
    syncs: int = 0

    @property
    def lost(self) -> int:
        """Return how many were answered 200 and are not in the database."""
        return max(0, len(self.took_s) - self.kept)

    @property
    def late(self) -> int:
        """Return how many were answered later than the sender waits."""
        return sum(each > GIVEN_UP_S for each in self.took_s)

    def quantile_ms(self, percent: int) -> float:
        """Return how long they took at most, so many of a hundred."""
        return quantiles(self.took_s, n=100, method="inclusive")[percent - 1] * 1000


def hooks(database: Database, *, seconds: float = SECONDS, rows: int = ROWS) -> Heard:
    """Send notifications to a server beside a sync that writes into its database; kill it, and count."""
    heard = Heard()
    with Server(rows) as source:
        place = database.fresh()
        settings(place, source, more='margin = "0s"')
        for number in range(ACCOUNTS):
            add_account(place, source, number)
        with serving(place) as (process, url), ThreadPoolExecutor(1) as aside:
            stopping = Event()
            syncing = aside.submit(_sync_until, stopping, place)
            _send(heard, url, seconds, process)
            stopping.set()
            heard.syncs = syncing.result()
        kept = database.ask(place, f"SELECT count(*) AS kept FROM {_table(database)}")
        heard.kept = int(str(kept["kept"]))
        database.drop(place)
    return heard


def hooks_table(found: Heard) -> str:
    """Return the figures as a table."""
    lines = [
        (
            f"**Notifications** ({RATE} a second, {found.syncs} full loads of {ROWS:,} rows by other processes"
            " meanwhile, then kill -9)\n"
        ),
        "| answered | ms: p50 | p99 | max | later than 500 ms | refused with 503 | answered and lost |",
        "|---" * 7 + "|",
    ]
    figures = [f"{found.quantile_ms(50):.1f}", f"{found.quantile_ms(99):.1f}", f"{max(found.took_s) * 1000:.0f}"]
    counts = [str(found.late), str(found.refused), str(found.lost)]
    return "\n".join((*lines, f"| {' | '.join([f'{len(found.took_s):,}', *figures, *counts])} |"))


def add_account(place: Place, source: Server, number: int, *more: str) -> None:
    """Add an account of the same source to the settings of a place."""
    told = (
        f'[accounts.a{number}]\nsource = "odoo"\nurl = "{source.url}"\ndatabase = "prod"\n'
        'login = "sync@example.com"\napi_key = "env:ODOO_API_KEY"\n'
    ) + "".join(f"{line}\n" for line in more)
    with (place.folder / "comporta.toml").open("a") as file:
        file.write(told)


def _table(database: Database) -> str:
    return "cmp_notification" if database.kind == "sqlite" else "comporta.cmp_notification"


@contextmanager
def serving(place: Place, *options: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    command = [python_of(None), "-m", "comporta", "serve", "--port", "0", "--json", "--no-scheduler", *options]
    log = place.folder / "serve.txt"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, cwd=place.folder, env=environment(place.folder), stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            if not said:
                raise WrongResultError(f"comporta serve ended:\n{log.read_text()[-3000:]}")
            yield process, json.loads(said)["server"]["url"]
        finally:
            process.kill()


def _sync_until(stopping: Event, place: Place) -> int:
    """Load one account after the other; return how many."""
    times = 0
    while not stopping.is_set():
        command = [python_of(None), "-m", "comporta", "sync", f"a{times}/sale.order", "--json"]
        ended = subprocess.run(
            command, cwd=place.folder, env=environment(place.folder), capture_output=True, text=True, check=False
        )
        if ended.returncode:
            raise WrongResultError(f"comporta sync ended with {ended.returncode}:\n{ended.stdout[-3000:]}")
        times += 1
    return times


def _send(heard: Heard, url: str, seconds: float, process: "subprocess.Popen[str]") -> None:
    """Send at fixed instants; kill the server when the last tenth of a second begins."""
    mine, opened = local(), list[HTTPConnection]()
    begun = time.perf_counter() + 0.1
    total = int(seconds * RATE)

    def one(number: int) -> None:
        due = begun + number / RATE
        time.sleep(max(0.0, due - time.perf_counter()))
        status = 0
        with suppress(OSError, HTTPException):
            status = _post(mine, opened, url, number)
        if status == 200:
            heard.took_s.append(time.perf_counter() - due)
        elif status:
            heard.refused += 1
        else:
            heard.cut += 1

    with ThreadPoolExecutor(SENDERS) as senders:
        sent = [senders.submit(one, number) for number in range(total)]
        time.sleep(max(0.0, begun + seconds - 0.1 - time.perf_counter()))
        process.kill()
        process.wait()
        for each in sent:
            each.result()
    for connection in opened:
        connection.close()


def _post(mine: local, opened: list[HTTPConnection], url: str, number: int) -> int:
    """Send one notification over a connection of this thread's own; return the status."""
    if getattr(mine, "connection", None) is None:
        mine.connection = HTTPConnection(urlsplit(url).netloc, timeout=30)
        opened.append(mine.connection)
    at = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
    told = {"resource": f"/orders/{number + 1}", "user_id": 7, "topic": "orders_v2", "sent": at, "received": at}
    try:
        mine.connection.request("POST", HOOK, json.dumps(told))
        answer = mine.connection.getresponse()
        answer.read()
    except (OSError, HTTPException):
        mine.connection.close()
        mine.connection = None
        raise
    status: int = answer.status
    return status
