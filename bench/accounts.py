"""Many accounts in one process: what each costs in memory, and whether they keep one another waiting.

A thousand accounts, each with a first load of a few rows, are synced at once with the usual ten workers. What an
account costs is the difference to a process that does the same for one. The delays are those of the process itself:
how late its event loop wakes, and how long a place stands free between two runs (with the start of the next one's
transaction in it).
"""

import json
from dataclasses import dataclass
from typing import Any

from bench.databases import Database
from bench.environments import python_of
from bench.measure import Sample, Server, run

MANY = 1_000
ROWS = 50


@dataclass(frozen=True)
class Crowd:
    """What so many accounts took."""

    accounts: int
    sample: Sample
    said: dict[str, Any]

    @property
    def took_s(self) -> float:
        """Return the seconds from the first run's queueing to the last one's end."""
        return float(self.said["took_s"])


def crowd(database: Database, accounts: int) -> Crowd:
    """Sync so many accounts in one process."""
    with Server(ROWS) as server:
        place = database.fresh()
        told = "".join(
            f'[accounts.a{number}]\nsource = "odoo"\nurl = "{server.url}"\ndatabase = "prod"\n'
            'login = "sync@example.com"\napi_key = "env:ODOO_API_KEY"\n'
            for number in range(accounts)
        )
        head = f'database = "{place.url}"\nstate_dir = "{place.folder}"\n'
        (place.folder / "comporta.toml").write_text(head + told)
        script = [python_of(None), "-m", "bench.contestants.comporta_accounts"]
        sample = run([*script, server.url, str(place.folder), "cursor", place.url], server, place.folder)
        said = json.loads((place.folder / "accounts.json").read_text())
        database.drop(place)
    return Crowd(accounts, sample, said)


def per_account_kb(one: Crowd, many: Crowd) -> float:
    """Return what an account more costs in memory."""
    return (many.sample.peak_mb - one.sample.peak_mb) * 1024 / (many.accounts - one.accounts)


def accounts_table(one: Crowd, many: Crowd) -> str:
    """Return both as a table."""
    lines = [
        f"**Many accounts in one process** (a first load of {ROWS} rows each, ten workers)\n",
        (
            "| accounts | wall s | CPU s | runs/s | peak MB |"
            " loop wakes late, ms: p50 | p99 | max | place free, ms: p50 | p99 | max |"
        ),
        "|---" * 11 + "|",
    ]
    for each in (one, many):
        lag, delay = each.said["lag_ms"], each.said["delay_ms"]
        figures = [f"{each.sample.wall_s:.2f}", f"{each.sample.cpu_s:.2f}", f"{each.accounts / each.took_s:.0f}"]
        figures += [f"{each.sample.peak_mb:.0f}"]
        figures += [f"{part[name]:.1f}" for part in (lag, delay) for name in ("p50", "p99", "max")]
        lines.append(f"| {each.accounts:,} | {' | '.join(figures)} |")
    return "\n".join((*lines, f"\nAn account more costs {per_account_kb(one, many):.0f} kB of memory."))
