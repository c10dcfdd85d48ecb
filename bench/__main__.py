"""``uv run --group bench python -m bench``: everything, in one run, as ratios; a quarter of an hour.

``--quick`` runs each case once on few rows, to see that the harness works; its figures mean nothing.
"""

import argparse
import os
import sys

from bench import cases, parts, report
from bench.cases import CASES, CONTESTANTS, Result
from bench.measure import WrongResultError

EXTRAS = ("memory", "shares", "pragmas", "startup", "server")


def main() -> int:
    """Measure what was asked, print it, and keep it in the docs with --write."""
    told = _arguments()
    print(f"{report.machine()}\n", flush=True)
    names = tuple(told.contestants.split(",")) if told.contestants else CONTESTANTS
    results: list[Result] = []
    texts: list[str] = []
    try:
        for case in CASES:
            if told.case and case.name not in told.case:
                continue
            results.append(cases.measure(case, told.rows, names=names, rounds=1 if told.quick else None))
            _say(texts, report.case_table(results[-1]))
        if told.large:
            results.append(cases.measure(CASES[0], told.rows * 5, names=names))
            _say(texts, report.case_table(results[-1]))
        reached = _extras(told, texts)
    except WrongResultError as error:
        print(f"void: {error}", file=sys.stderr)
        return 1
    _say(texts, report.targets(results, reached))
    if told.write:
        report.keep("\n\n".join((f"Measured on {report.machine()}.", *texts)))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rows", type=int, help="rows in the source (20000; 200 with --quick)")
    parser.add_argument("--case", action="append", choices=[*(case.name for case in CASES), *EXTRAS])
    parser.add_argument("--contestants", help=f"of {','.join(CONTESTANTS)}; comporta must be among them")
    parser.add_argument("--large", action="store_true", help="a full load of five times the rows too")
    parser.add_argument("--quick", action="store_true", help="one round on 200 rows, cases only")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/explanation/performance.md")
    told = parser.parse_args()
    told.rows = told.rows or (200 if told.quick else 20_000)
    return told


def _extras(told: argparse.Namespace, texts: list[str]) -> dict[str, str]:
    """Measure what is not a race, and return what it says of the targets."""

    def wanted(name: str) -> bool:
        return name in told.case if told.case else not told.quick

    reached = {}
    if wanted("memory"):
        peaks = parts.memory((told.rows, told.rows * 10))
        shown = ", ".join(f"{peak:.0f} MB at {rows:,}" for rows, peak in peaks.items())
        reached["peak memory, equal at every size | 120 MB | 80 MB"] = shown
        _say(texts, f"Peak memory of a full load: {shown} rows.")
    if wanted("shares"):
        found = parts.shares(told.rows * 5)
        share = found["full load"]["ledger"] / found["full load"]["whole"]
        reached["fence, counters, coverage, log: part of the CPU | 10 % | 5 %"] = f"{share:.1%}"
        _say(texts, report.shares_table(found))
    if wanted("pragmas"):
        _say(texts, report.pragmas_table(parts.pragmas(told.rows * 2, 3)))
    if wanted("startup"):
        walls = parts.startup(15)
        ratio = walls["comporta --version"] / walls["python -c pass"]
        reached["`comporta --version`: wall, of `python -c pass` | 4 x | 2 x"] = f"{ratio:.2f} x"
        _say(texts, "Start-up: " + ", ".join(f"`{name}` {wall:.0f} ms" for name, wall in walls.items()) + ".")
    if wanted("server"):
        _say(texts, f"The replay server answers {parts.replay_rate(told.rows):,.0f} pages of 100 rows a second.")
    return reached


def _say(texts: list[str], text: str) -> None:
    texts.append(text)
    print(f"{text}\n", flush=True)


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    raise SystemExit(main())
