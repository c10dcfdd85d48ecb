"""What came of a story, and what happened in it: read back from the database, the diaries and the proxies."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from tests.chaos.nemesis import Nemesis

NUMBERS = {
    "commits": "SELECT coalesce(sum(commits), 0) FROM comporta.cmp_scope",
    "rows written": "SELECT count(*) FROM chaos.row",
    "takeovers": "SELECT count(*) FROM chaos.scope WHERE epoch > epoch_before AND holder_before IS NOT NULL",
}
TABLES = {
    "runs": "SELECT state, count(*) FROM comporta.cmp_run GROUP BY 1 ORDER BY 2 DESC",
    "kinds that ended well": """
        SELECT split_part(request, ' ', 1), count(*) FROM comporta.cmp_run WHERE state = 'succeeded' GROUP BY 1""",
    "errors": "SELECT error::jsonb ->> 'code', count(*) FROM comporta.cmp_run WHERE error IS NOT NULL GROUP BY 1",
}
PROXIED = ("cut", "swallowed", "dropped_before", "delayed", "half_closed", "silenced")
POINTED = ("stops_itself", "kills_itself", "slow")


@dataclass
class Verdict:
    """What came of a story."""

    violations: list[str]
    seconds: float
    figures: dict[str, Any]
    log: list[str]

    def __str__(self) -> str:
        told = [f"{name}: {_said(value)}" for name, value in self.figures.items()]
        return "\n".join([*told, f"{len(self.violations)} violations in {self.seconds:.1f} s", *self.violations])


def figures(url: str, nemesis: Nemesis, diaries: Iterable[Path]) -> dict[str, Any]:
    """Return what happened, each number under its name."""
    diary = Counter(
        tuple(line.split(" ")[:3]) for path in diaries for line in path.read_text(encoding="utf-8").splitlines()
    )
    told = Counter[str]()
    for words, many in diary.items():
        told[" ".join(words) if words[0] == "looked" else " ".join(words[:2])] += many
    proxied = Counter[str]()
    for worker in nemesis.crew.workers:
        proxied += worker.proxy.counts
    with psycopg.connect(url, autocommit=True) as connection:
        numbers = {name: int(_rows(connection, query)[0][0]) for name, query in NUMBERS.items()}
        tables = {name: dict(_rows(connection, query)) for name, query in TABLES.items()}
    return {
        **numbers,
        "strikes": dict(nemesis.done),
        "connections": {name: proxied[name] for name in PROXIED},
        "inside a transaction": _begun(told, *POINTED),
        "unknown batches settled": _begun(told, "settled"),
        "unknown others settled": _begun(told, "looked"),
        **tables,
    }


def _begun(told: Counter[str], *words: str) -> dict[str, int]:
    """Return what begins with one of the words, by what follows it where there is only one."""
    found = {kind: many for kind, many in sorted(told.items()) if kind.split(" ")[0] in words}
    return {kind.partition(" ")[2]: many for kind, many in found.items()} if len(words) == 1 else found


def _rows(connection: "psycopg.Connection[tuple[Any, ...]]", query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode()).fetchall()


def _said(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {many}" for name, many in value.items()) or "none"
    return json.dumps(value)
