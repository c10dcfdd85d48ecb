"""From results to the tables that are printed and kept in docs/explanation/performance.md."""

import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bench.cases import Result
from bench.measure import Sample
from bench.registry import CONTESTANTS, ROOT

PAGE = ROOT / "docs/explanation/performance.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
HEAVY = {"full", "reread"}
"""Cases that handle every row, so that rows a second mean something."""


def case_table(result: Result) -> str:
    """Return one case as a table, Comporta first; ratios are the other's figure over Comporta's."""
    ours = result.medians["comporta"]
    has_server = result.kind == "postgresql"
    titles = ["wall s", "CPU s", *(["server's CPU s", "WAL MB"] if has_server else []), "rows/s", "peak MB", "requests"]
    titles += ["wall, of Comporta's", "CPU, of Comporta's", "rounds"]
    lines = [
        f"**{NAMES[result.kind]}: {result.case.title}** ({result.rows:,} rows in the source)\n",
        f"| | {' | '.join(titles)} |",
        "|---" * (1 + len(titles)) + "|",
    ]
    for name, one in result.medians.items():
        server = [f"{one.server_cpu_s:.2f}", f"{one.wal_mb:.2f}"] if has_server else []
        rate = f"{result.rows / one.wall_s:,.0f}" if result.case.name in HEAVY else ""
        ratios = [f"{one.wall_s / ours.wall_s:.2f} x", f"{_cpu(one) / _cpu(ours):.2f} x"]
        shown = f"*{name}*" if CONTESTANTS[name].is_limit else name
        figures = [f"{one.wall_s:.2f}", f"{one.cpu_s:.2f}", *server, rate, f"{one.peak_mb:.0f}", f"{one.requests:.0f}"]
        lines.append(f"| {shown} | {' | '.join((*figures, *ratios, str(result.rounds[name])))} |")
    return "\n".join(lines)


def absent_list(results: Iterable[Result]) -> str:
    """Return who could not be measured where, and why."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for result in results:
        for name, why in result.absent.items():
            kinds = reasons.setdefault((name, why), [])
            kinds += [NAMES[result.kind]] * (NAMES[result.kind] not in kinds)
    lines = [f"- {name}, on {' and '.join(kinds)}: {why}" for (name, why), kinds in reasons.items()]
    return "Not measured:\n\n" + "\n".join(lines) if lines else "Everybody could be measured."


def targets(results: Sequence[Result], extra: Mapping[tuple[str, str, str], Mapping[str, str]]) -> str:
    """Return the ratios to reach, with what was reached on each database."""
    rows: dict[tuple[str, str, str], dict[str, str]] = {}
    for result in sorted(results, key=lambda each: each.rows):  # of two full loads the larger one counts
        for target, reached in _reached(result).items():
            rows.setdefault(target, {})[result.kind] = reached
    for target, by_kind in extra.items():
        rows.setdefault(target, {}).update(by_kind)
    lines = ["| target | at least | aim | SQLite | PostgreSQL |", "|---|---|---|---|---|"]
    for target, by_kind in rows.items():
        lines.append(f"| {' | '.join(target)} | {by_kind.get('sqlite', '')} | {by_kind.get('postgresql', '')} |")
    return "\n".join(lines)


def _reached(result: Result) -> dict[tuple[str, str, str], str]:
    medians, ours = result.medians, result.medians["comporta"]
    naive = medians.get("naive")
    found: dict[tuple[str, str, str], str] = {}
    if result.case.name == "full":
        found |= _reached_by_load(medians, ours)
    if result.case.name in {"noop", "ten"} and naive:
        text = "no-op by cursor" if result.case.name == "noop" else "10-record sync"
        found[f"{text}: wall, of the naive script's", "3 x", "1.5 x"] = f"{ours.wall_s / naive.wall_s:.2f} x"
    return found


def _reached_by_load(medians: Mapping[str, Sample], ours: Sample) -> dict[tuple[str, str, str], str]:
    found = {}
    if "dlt" in medians:
        found["full load: rows/s, of dlt's (CPU)", "10 x", "14 x"] = _ratios(medians["dlt"], ours)
    if "naive" in medians:
        target = ("full load: rows/s, of the naive script's (CPU)", "1.6 x; PostgreSQL 4 x", "2.2 x; PostgreSQL 6 x")
        found[target] = _ratios(medians["naive"], ours)
    if "bare" in medians:
        share = _cpu(medians["bare"]) / _cpu(ours)
        found["full load: CPU per row of the bare loop, of ours", "60 %", "80 %"] = f"{share:.0%}"
    return found


def _ratios(other: Sample, ours: Sample) -> str:
    return f"{other.wall_s / ours.wall_s:.2f} x ({_cpu(other) / _cpu(ours):.2f} x)"


def _cpu(sample: Sample) -> float:
    return sample.cpu_s + sample.server_cpu_s


def shares_table(found: Mapping[str, Mapping[str, float]]) -> str:
    """Return CPU by part as shares of the process."""
    parts = ("start", "HTTP", "decode", "convert", "hash", "compare", "write", "commit", "ledger")
    lines = [f"| | whole s | {' | '.join(parts)} | the rest |", "|---|---|" + "---|" * (len(parts) + 1)]
    for name, spent in found.items():
        known = [spent[part] for part in parts]
        cells = " | ".join(f"{part / spent['whole']:.1%}" for part in (*known, spent["whole"] - sum(known)))
        lines.append(f"| {name} | {spent['whole']:.2f} | {cells} |")
    return "\n".join(lines)


def pragmas_table(found: Mapping[str, tuple[Sample, Sample]]) -> str:
    """Return each setting of SQLite beside the shipped ones."""
    lines = ["| SQLite's settings | full load, wall s | CPU s | read again, wall s | CPU s |", "|---|---|---|---|---|"]
    for name, (full, again) in found.items():
        lines.append(f"| {name} | {full.wall_s:.2f} | {full.cpu_s:.2f} | {again.wall_s:.2f} | {again.cpu_s:.2f} |")
    return "\n".join(lines)


def machine(databases: Sequence[str] = ()) -> str:
    """Say what was measured on."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()) if os.name == "posix" else None
    load = os.getloadavg()[0]
    shown = "".join(f"{title}, " for title in databases)
    return (
        f"{os.cpu_count()} cores ({model[1] if model else platform.processor()}), {platform.system()},"
        f" Python {platform.python_version()}, {shown}load average {load:.1f} at the beginning"
    )


def keep(figures: str) -> None:
    """Put the figures into the page, between its marks."""
    text = PAGE.read_text("utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{BEGIN}\n\n{figures}\n\n{END}{tail}", "utf-8")
