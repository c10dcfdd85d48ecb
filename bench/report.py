"""From results to the tables that are printed and kept in docs/explanation/performance.md."""

import os
import platform
import re
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.cases import Result
from bench.measure import ROOT, Sample

PAGE = ROOT / "docs/explanation/performance.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


def case_table(result: Result) -> str:
    """Return one case as a table, Comporta first; ratios are the other's wall over Comporta's."""
    ours = result.medians["comporta"]
    lines = [
        f"**{result.case.title.capitalize()}** ({result.rows:,} rows in the source)\n",
        "| | wall s | CPU s | rows/s | peak MB | requests | wall, of Comporta's | rounds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, one in result.medians.items():
        rate = f"{result.rows / one.wall_s:,.0f}" if result.case.name in {"full", "reread"} else ""
        lines.append(
            f"| {name} | {one.wall_s:.2f} | {one.cpu_s:.2f} | {rate} | {one.peak_mb:.0f} | {one.requests} |"
            f" {one.wall_s / ours.wall_s:.2f} x | {result.rounds[name]} |"
        )
    return "\n".join(lines)


def targets(results: Sequence[Result], extra: Mapping[str, str]) -> str:
    """Return the targets that concern SQLite, with what was reached."""
    by_name = {result.case.name: result for result in results}
    lines = ["| target | at least | aim | reached |", "|---|---|---|---|"]
    for case, text in (("full", "full load"), ("noop", "no-op by cursor"), ("ten", "10-record sync")):
        if case not in by_name:
            continue
        medians = by_name[case].medians
        if case == "full":
            lines += _full_targets(medians)
        elif "naive" in medians:
            share = medians["comporta"].wall_s / medians["naive"].wall_s
            lines.append(f"| {text}: wall, of the naive script's | 3 x | 1.5 x | {share:.2f} x |")
    lines += [f"| {name} | {reached} |" for name, reached in extra.items()]
    return "\n".join(lines)


def _full_targets(medians: Mapping[str, Sample]) -> list[str]:
    ours = medians["comporta"]
    lines = []
    if "dlt" in medians:
        lines.append(f"| full load: rows/s, of dlt's | 10 x | 14 x | {medians['dlt'].wall_s / ours.wall_s:.1f} x |")
    if "naive" in medians:
        ratio = medians["naive"].wall_s / ours.wall_s
        lines.append(f"| full load: rows/s, of the naive script's | 1.6 x | 2.2 x | {ratio:.2f} x |")
    if "bare" in medians:
        share = medians["bare"].cpu_s / ours.cpu_s
        lines.append(f"| full load: CPU per row of the bare loop, of ours | 60 % | 80 % | {share:.0%} |")
    return lines


def shares_table(found: Mapping[str, Mapping[str, float]]) -> str:
    """Return CPU by part as shares of the process."""
    lines = [
        "| | whole s | JSON | conversion | compare and write | COMMIT | fence, counts, coverage, log | the rest |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, spent in found.items():
        whole = spent["whole"]
        commit = spent["group"] - spent["transaction"]
        known = (spent["decode"], spent["convert"], spent["rows"], commit, spent["ledger"])
        cells = " | ".join(f"{part / whole:.1%}" for part in (*known, whole - sum(known)))
        lines.append(f"| {name} | {whole:.2f} | {cells} |")
    return "\n".join(lines)


def pragmas_table(found: Mapping[str, tuple[Sample, Sample]]) -> str:
    """Return each setting of SQLite beside the shipped ones."""
    lines = ["| | full load, wall s | CPU s | read again, wall s | CPU s |", "|---|---|---|---|---|"]
    for name, (full, again) in found.items():
        lines.append(f"| {name} | {full.wall_s:.2f} | {full.cpu_s:.2f} | {again.wall_s:.2f} | {again.cpu_s:.2f} |")
    return "\n".join(lines)


def machine() -> str:
    """Say what was measured on."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()) if os.name == "posix" else None
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores ({model[1] if model else platform.processor()}), {platform.system()},"
        f" Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}; load average {load:.1f}"
    )


def keep(figures: str) -> None:
    """Put the figures into the page, between its marks."""
    text = PAGE.read_text("utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(f"{head}{BEGIN}\n\n{figures}\n\n{END}{tail}", "utf-8")
