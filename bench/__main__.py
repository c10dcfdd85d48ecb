"""``uv run --group bench python -m bench``: everything, in one run, as ratios; some twenty minutes.

``--only`` and ``--database`` run a part. ``--quick`` runs each case once on few rows, to see that the harness
works; its figures mean nothing.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench import accounts, cases, clicks, crm, hooks, pace, parts, profile, report
from bench.cases import CASES, Field, Result, scratch
from bench.databases import KINDS, Database, NoServerError, Postgres, WrongResultError, opened
from bench.environments import version
from bench.measure import Server
from bench.registry import CONTESTANTS

EXTRAS = ("pace", "crm", "accounts", "hooks", "clicks", "memory", "untouched", "shares", "pragmas", "startup", "server")
LARGE, HUGE = 100_000, 1_000_000
Targets = dict[tuple[str, str, str], dict[str, str]]


class Bench:
    """One run of the bench: what was asked, what was found."""

    def __init__(self, told: argparse.Namespace, folder: Path) -> None:
        self.told = told
        self.folder = folder
        self.names: Sequence[str] = told.contestants.split(",") if told.contestants else tuple(CONTESTANTS)
        self.texts: list[str] = []
        self.results: list[Result] = []
        self.reached: Targets = {}

    def wants(self, name: str) -> bool:
        """Say whether a case or an extra was asked for."""
        return name in self.told.only if self.told.only else not (self.told.quick and name in EXTRAS)

    def say(self, text: str) -> None:
        """Print a part of the report, and keep it."""
        self.texts.append(text)
        print(f"{text}\n", flush=True)

    def race(self, team: Field) -> None:
        """Run every case on one database."""
        wanted = [case for case in CASES if self.wants(case.name)]
        rounds = 1 if self.told.quick else None
        if wanted:
            cases.warm(team)
            with Server(self.told.rows) as server:
                if any(case is not cases.FULL for case in wanted):
                    cases.load(team, server)
                for case in wanted:
                    self.show(cases.measure(case, team, server, rounds=rounds))
        if cases.FULL in wanted and not self.told.quick:
            with Server(LARGE) as server:
                self.show(cases.measure(cases.FULL, team, server))
        if self.wants("pace") and team.database.kind == "sqlite":
            self.paced(team)
        if self.wants("crm") and team.database.kind == "sqlite":
            self.limited()

    def show(self, result: Result) -> None:
        """Keep one result and print its table."""
        self.results.append(result)
        self.say(report.case_table(result))

    def paced(self, team: Field) -> None:
        """Measure how limits are used; the database has no part in that."""
        found = pace.pace(team)
        self.say(pace.pace_table(found, team.absent))
        for latency, paced in found.items():
            ours = paced["comporta"]
            target = (
                f"share of a limit of {pace.LIMIT}/s at {latency * 1000:.0f} ms; 429s caused",
                "97 %; 0",
                "99 %; 0",
            )
            self.reached[target] = {"sqlite": f"{ours.share(latency):.0%}; {ours.sample.throttled:.0f}"}

    def limited(self) -> None:
        """Measure how ActiveCampaign's limit is used; the database has no part in that either."""
        found = crm.crm()
        self.say(crm.crm_table(found))
        for latency, by_name in found.items():
            ours = by_name["comporta"]
            if isinstance(ours, str):
                raise WrongResultError(f"comporta: {ours}")
            target = (f"share of ActiveCampaign's limit at {latency} ms; 429s caused", "97 %; 0", "99 %; 0")
            self.reached[target] = {"sqlite": f"{ours.share:.0%}; {ours.refused}"}

    def extras(self, database: Database) -> None:
        """Measure what is not a race, on one database."""
        kind, told = database.kind, self.told
        if self.wants("memory"):
            self.sized(database)
        if self.wants("accounts"):
            self.crowded(database)
        if self.wants("hooks"):
            self.heard(database)
        if self.wants("clicks"):
            self.clicked(database)
        if self.wants("untouched") and isinstance(database, Postgres):
            with Server(told.rows) as server:
                about, whole = parts.untouched(database, server)
            target = ("everything read again, nothing changed: WAL for mirrored rows", "0", "0")
            self.reached[target] = {kind: f"{about} bytes ({whole:,} for the ledger)"}
        if self.wants("shares"):
            found = {
                f"{report.NAMES[kind]}, {name}": profile.profile(database, case, LARGE, 3)
                for name, case in (("full load", "full"), ("read again", "reread"))
            }
            first = next(iter(found.values()))
            target = ("fence, counters, coverage, log: part of our CPU", "10 %", "5 %")
            self.reached.setdefault(target, {})[kind] = f"{first['ledger'] / first['whole']:.1%}"
            self.say(report.shares_table(found))
        if self.wants("pragmas") and kind == "sqlite":
            self.say(report.pragmas_table(parts.pragmas(database, told.rows * 2, 3)))

    def crowded(self, database: Database) -> None:
        """Sync one account and a thousand, each in one process."""
        one, many = accounts.crowd(database, 1), accounts.crowd(database, accounts.MANY)
        target = (f"{accounts.MANY:,} accounts in one process: memory of one more; place free p99", "", "")
        cost = f"{accounts.per_account_kb(one, many):.0f} kB; {many.said['delay_ms']['p99']:.0f} ms"
        self.reached.setdefault(target, {})[database.kind] = cost
        self.say(accounts.accounts_table(one, many))

    def heard(self, database: Database) -> None:
        """Send notifications while a sync writes."""
        found = hooks.hooks(database)
        target = (
            f"notification of {hooks.RATE}/s answered while a sync writes: p99; lost over kill -9",
            "500 ms; 0",
            "",
        )
        self.reached.setdefault(target, {})[database.kind] = f"{found.quantile_ms(99):.0f} ms; {found.lost}"
        self.say(hooks.hooks_table(found))

    def clicked(self, database: Database) -> None:
        """Click while ten accounts are loaded."""
        found = {
            "five pages a second": clicks.clicks(database, paced=True),
            "as fast as they can": clicks.clicks(database, paced=False),
        }
        paced = found["five pages a second"]
        target = (f"POST answered, and its run running, while {clicks.BUSY} syncs run: p99", "50 ms; 100 ms", "")
        figures = f"{clicks.figures(paced.answered_s)[1]} ms; {clicks.figures(paced.began_s)[1]} ms"
        self.reached.setdefault(target, {})[database.kind] = figures
        self.say(clicks.clicks_table(found))

    def sized(self, database: Database) -> None:
        """Load much and ten times as much: neither memory nor the CPU of a row may grow."""
        found = {}
        for rows in (LARGE, HUGE):
            with Server(rows) as server:
                found[rows] = parts.loaded_once(database, server)
        peaks = ", ".join(f"{one.peak_mb:.0f} MB at {rows:,}" for rows, one in found.items())
        client = ", ".join(f"{one.cpu_s / rows * 1e6:.1f} at {rows:,}" for rows, one in found.items())
        server_s = ", ".join(f"{one.server_cpu_s / rows * 1e6:.1f}" for rows, one in found.items())
        kind = database.kind
        self.reached.setdefault(("peak memory, equal at every size", "120 MB", "80 MB"), {})[kind] = peaks
        target = ("CPU of a row in µs, the server's in brackets, equal at every size", "", "")
        self.reached.setdefault(target, {})[kind] = f"{client} ({server_s})"
        self.say(f"A full load, {report.NAMES[kind]}: peak {peaks} rows; CPU of a row in µs {client} ({server_s}).")

    def alone(self) -> None:
        """Measure what needs no database."""
        if self.wants("startup"):
            walls = parts.startup(self.folder, 15)
            ratio = f"{walls['comporta --version'] / walls['python -c pass']:.2f} x"
            self.reached["`comporta --version`: wall, of `python -c pass`", "4 x", "2 x"] = {"sqlite": ratio}
            self.say("Start-up: " + ", ".join(f"`{name}` {wall:.0f} ms" for name, wall in walls.items()) + ".")
        if self.wants("server"):
            rate = parts.replay_rate(self.told.rows)
            self.say(f"The replay server answers {rate:,.0f} pages of 100 rows a second.")


def main() -> int:
    """Measure what was asked, print it, and keep it in the docs with --write."""
    told = _arguments()
    with scratch() as folder, ExitStack() as stack:
        bench = Bench(told, folder)
        try:
            databases = [stack.enter_context(opened(kind, folder)) for kind in told.database]
            named = report.machine([each.title for each in databases])
            print(f"{named}\n", flush=True)
            if told.profile:
                return _profiled(told, databases)
            _measured(bench, databases)
        except (WrongResultError, NoServerError) as error:
            print(f"void: {error}", file=sys.stderr)
            return 1
    if told.write:
        report.keep("\n\n".join((f"Measured on {named}.", *bench.texts)))
    return 0


def _measured(bench: Bench, databases: Sequence[Database]) -> None:
    for database in databases:
        team = cases.gather(database, bench.names, is_quick=bench.told.quick and not bench.told.contestants)
        bench.race(team)
        bench.extras(database)
    bench.alone()
    if bench.results:
        bench.say(report.absent_list(bench.results))
    packages = {
        CONTESTANTS[name].package: CONTESTANTS[name].needs
        for result in bench.results
        for name in result.medians
        if CONTESTANTS[name].needs
    }
    if packages:
        shown = ", ".join(f"{package} {version(needs or '', package)}" for package, needs in packages.items())
        bench.say(f"Versions: {shown}.")
    bench.say(report.targets(bench.results, bench.reached))


def _profiled(told: argparse.Namespace, databases: Sequence[Database]) -> int:
    for database in databases:
        spent = profile.profile(database, told.profile, told.rows, 1 if told.quick else 5)
        print(profile.profile_table(f"{told.profile}, {database.title}", told.rows, spent), flush=True)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--database", action="append", choices=KINDS, help="only this one; may be given twice")
    parser.add_argument("--only", action="append", choices=[*(case.name for case in CASES), *EXTRAS])
    parser.add_argument("--contestants", help=f"of {','.join(CONTESTANTS)}; comporta must be among them")
    parser.add_argument("--rows", type=int, help="rows in the source (20000; 200 with --quick)")
    parser.add_argument("--quick", action="store_true", help="one round on 200 rows, cases only")
    parser.add_argument("--profile", choices=profile.PROFILED, help="only say where the CPU of our own run goes")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/explanation/performance.md")
    told = parser.parse_args()
    if told.write and (told.only or told.database or told.contestants or told.quick):
        parser.error("--write is for a whole run: the page would lose what was left out")
    unknown = set((told.contestants or "comporta").split(",")).difference(CONTESTANTS)
    if unknown or "comporta" not in (told.contestants or "comporta"):
        parser.error(f"--contestants: of {','.join(CONTESTANTS)}, comporta among them")
    told.database = told.database or list(KINDS)
    told.rows = told.rows or (200 if told.quick else 20_000)
    return told


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    raise SystemExit(main())
