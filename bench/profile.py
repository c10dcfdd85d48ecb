"""Where the CPU of our own run goes, part by part: ``python -m bench --profile full|reread|noop``.

It is our process that is looked at; what the database's server does is not in it.
"""

import json
import statistics
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from bench.databases import Database
from bench.measure import Server, contestant_run, settings
from bench.registry import CONTESTANTS

PARTS: Mapping[str, str] = {
    "start": "start-up: the interpreter and imports",
    "HTTP": "HTTP: sending, receiving, the library's threads",
    "decode": "decode JSON into typed records",
    "convert": "convert to canonical rows",
    "check": "check order, stamps, clocks",
    "hash": "hash each row",
    "compare": "read stored hashes, decide",
    "write": "write rows",
    "commit": "COMMIT",
    "ledger": "fence, counts, coverage, log, reading back",
    "prepare": "make the table",
}
PROFILED: Mapping[str, tuple[str, ...]] = {
    "full": ("cursor",),
    "noop": ("cursor", "cursor"),
    "reread": ("cursor", "full"),
}
"""The runs of a case; the last one is looked at."""


def profile(database: Database, case: str, rows: int, rounds: int) -> dict[str, float]:
    """Return the median CPU seconds of each part; the first run, which may compile byte code, is not counted."""
    timed = replace(CONTESTANTS["comporta"], module="bench.contestants.comporta_parts")
    taken: dict[str, list[float]] = defaultdict(list)
    with Server(rows) as server:
        for number in range(rounds + 1):
            place = database.fresh()
            settings(place, server)
            for mode in PROFILED[case]:
                contestant_run(timed, mode, server, database, place)
            found = json.loads((place.folder / "parts.json").read_text())
            if missing := found.pop("missing"):
                raise LookupError(f"the profile watches what is not there any more: {', '.join(missing)}")
            for part in (*PARTS, "garbage", "whole") if number else ():
                taken[part].append(found.get(part, 0.0))
            database.drop(place)
    return {part: statistics.median(spent) for part, spent in taken.items()}


def profile_table(title: str, rows: int, spent: Mapping[str, float]) -> str:
    """Return the parts by size, with what they take of a row."""
    whole = spent["whole"]
    rest = whole - sum(spent[part] for part in PARTS)
    shown = {PARTS[part]: spent[part] for part in PARTS} | {"the rest: event loop, threads, closing": rest}
    garbage = spent["garbage"]
    lines = [
        f"**Where our CPU goes: {title}, {rows:,} rows**\n",
        "| part | CPU s | µs a row | share |",
        "|---|---|---|---|",
        *(
            f"| {name} | {one:.3f} | {one / rows * 1e6:.2f} | {one / whole:.1%} |"
            for name, one in sorted(shown.items(), key=lambda each: -each[1])
        ),
        f"| whole | {whole:.3f} | {whole / rows * 1e6:.2f} | 100 % |",
        f"| in the parts, collecting garbage | {garbage:.3f} | {garbage / rows * 1e6:.2f} | {garbage / whole:.1%} |",
    ]
    return "\n".join(lines)
