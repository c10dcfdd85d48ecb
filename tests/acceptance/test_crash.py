"""Promises 1 to 5 together, under crashes: workers are killed and stopped at random moments, for many rounds.

Then everything comes to rest, and the mirrored rows must be the source's, the counts must add up, and the
history that triggers kept inside every transaction must hold no write of a run that had lost its lease.
"""

import json
import random
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from subprocess import Popen
from threading import Event

import pytest
from tests.acceptance.audit import begin_audit, broken_claims
from tests.acceptance.company import STREAMS, Company, all_differences, mirror
from tests.acceptance.conftest import Open
from tests.acceptance.databases import PATIENCE_S, Database, SqliteFile
from tests.acceptance.project import Project, running, until, with_cont
from tests.acceptance.worker import worker

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGSTOP"),
]

LEASE_S = 2.0
MOMENT_MAX_S = 0.6
"""A worker is struck so long after it took a lease, at most: a few pages and commits."""
SETTINGS = {
    "lease": f"{LEASE_S:g}s",
    "margin": "1s",
    "reconcile": "5s",
    "deleted_share": 1.0,
}
OVERLAP = "3s"
"""Much shorter than the late commits of the people at work, so that reconciliation has something to find."""


class Crew:
    """Two workers that sync without end, one of which is killed or stopped in every round."""

    def __init__(self, project: Project, dice: random.Random, stack: ExitStack) -> None:
        self.project = project
        self.dice = dice
        self.seen: Counter[str] = Counter()
        self.woken: list[int] = []
        self._stack = stack
        self._workers = [self._hire(), self._hire()]

    def round(self, place: int) -> None:
        """Strike one worker while it holds a lease, at a random moment; the first is killed, the second stopped."""
        victim = self.dice.randrange(2)
        self._wait_for_a_lease(self._workers[victim])
        # Not a wait for something: the random moment of the crash itself.
        Event().wait(self.dice.uniform(0, MOMENT_MAX_S))
        if self.dice.random() < 0.5 if place > 1 else place == 0:
            self._kill(victim)
        else:
            self._stop_and_wake(victim)

    def dismiss(self) -> None:
        """Kill whoever still works."""
        for process in self._workers:
            process.kill()
            process.communicate(timeout=PATIENCE_S)

    def _kill(self, victim: int) -> None:
        self._workers[victim].kill()
        self._workers[victim].communicate(timeout=PATIENCE_S)
        self._workers[victim] = self._hire()
        self.seen["killed"] += 1

    def _stop_and_wake(self, victim: int) -> None:
        """Stop a worker for longer than its lease, let the other take over if it can, and wake it."""
        process = self._workers[victim]
        process.send_signal(signal.SIGSTOP)
        held = self._held_by(process)
        self.seen["stopped"] += 1
        if self._is_writing_blocked():
            # SQLite's limit: who is stopped inside its transaction keeps every other writer out.
            self.seen["stopped inside a transaction"] += 1
            Event().wait(LEASE_S)
        elif held:
            until(lambda: self._is_taken_over(held), f"the other takes over from {held}", patience_s=PATIENCE_S)
            self.seen["taken over"] += 1
            self.woken.append(process.pid)
        with_cont(process)

    def _hire(self) -> "Popen[str]":
        line = worker(self.project, "mixed", seed=self.dice.randrange(2**32))
        return self._stack.enter_context(running(line, self.project.folder))

    def _wait_for_a_lease(self, process: "Popen[str]") -> None:
        def look() -> bool:
            assert process.poll() is None, f"a worker ended by itself: {process.communicate()[1]}"
            return bool(self._held_by(process))

        until(look, f"worker {process.pid} takes a lease", patience_s=2 * PATIENCE_S)

    def _held_by(self, process: "Popen[str]") -> list[tuple[str, int]]:
        query = "SELECT s.scope, s.epoch FROM cmp_scope s JOIN cmp_run r ON r.id = s.holder WHERE r.instance LIKE ?"
        return self.project.ask(query, f"%:{process.pid}")

    def _is_taken_over(self, held: list[tuple[str, int]]) -> bool:
        now: dict[str, int] = dict(self.project.ask("SELECT scope, epoch FROM cmp_scope"))
        return all(now[scope] > epoch for scope, epoch in held)

    def _is_writing_blocked(self) -> bool:
        """Tell whether a whole lease passes without a moment in which somebody may write."""
        database = self.project.database
        if not isinstance(database, SqliteFile):
            return False  # only one row is locked, and not for long: see docs/explanation/dialects.md
        with closing(sqlite3.connect(database.path, timeout=LEASE_S, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            connection.execute("ROLLBACK")
            return False


@pytest.fixture
def busy_company(open_company: Open) -> Company:
    """A company whose people change something twenty times a second, some of it committed late."""
    company = open_company(records=150, activity=20, late_share=0.2)
    company.fault("latency", 5)
    return company


@pytest.fixture
def crew(new_project: Project, busy_company: Company, chaos_seed: int) -> Iterator[Crew]:
    """Workers on a project that was loaded once and is audited since."""
    streams = {stream: {"overlap": OVERLAP} for stream in STREAMS}
    account = {"url": busy_company.url, "page_size": 25, "streams": streams}
    new_project.configure({"matriz": account}, **SETTINGS)
    new_project.bring()
    begin_audit(new_project.database)
    with ExitStack() as stack:
        yield Crew(new_project, random.Random(chaos_seed), stack)


@pytest.mark.timeout(3600)
def test_after_any_number_of_crashes_every_row_is_the_sources_and_every_count_adds_up(
    crew: Crew, busy_company: Company, chaos_rounds: int, chaos_seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kills and stops at random moments lose nothing, double nothing, and leave nothing running."""
    for place in range(chaos_rounds):
        crew.round(place)
    crew.dismiss()
    project = crew.project
    busy_company.act("stop_activity")
    busy_company.heal()
    busy_company.act("clock", advance_s=60)
    final = project.command("sync", "--wait")
    late = all_differences(busy_company, project.database)
    repaired = [project.command("reconcile", f"matriz/{stream}", "--repair", "--exact", "--yes") for stream in STREAMS]
    unseen = all_differences(busy_company, project.database)
    whole = project.command("sync", "--full")
    with capsys.disabled():
        told = f"--chaos-seed {chaos_seed}, {chaos_rounds} rounds: {dict(crew.seen)}, {_figures(project.database)}"
        sys.stdout.write(f"\n{told}; {len(late)} fields late, {len(unseen)} in one second\n")

    assert (final.code, whole.code, [each.code for each in repaired]) == (0, 0, [0] * len(STREAMS))
    assert _with_another_stamp(busy_company, project.database, unseen) == []
    assert all_differences(busy_company, project.database) == []
    assert broken_claims(project.database, is_at_rest=True) == []
    assert _writes_after_waking(project, crew.woken) == []
    assert crew.seen["killed"] > 0
    assert crew.seen["stopped"] > 0


def _with_another_stamp(company: Company, database: Database, found: list[str]) -> list[str]:
    """Return the differences that a comparison of stamps should have shown.

    Odoo shows whole seconds: of two versions stamped in one second, the later committed too late for the
    overlap, no comparison of stamps can tell. Reading everything (``--full``) does.
    """
    known = {(each.split()[0], int(each.split()[1].rstrip(":"))) for each in found}
    return [
        f"{stream} {key}"
        for stream, key in known
        if company.truth(stream).get(key, {}).get("write_date")
        != mirror(database, stream).get(key, {}).get("write_date")
    ]


def _writes_after_waking(project: Project, woken: list[int]) -> list[tuple[object, ...]]:
    """Return the writes of runs that were taken over while stopped, after their successor's first commit."""
    query = """
        SELECT a.* FROM cmp_run r JOIN audit_row a ON a.run = r.id JOIN audit_scope s ON s.scope = r.scope
        WHERE r.state = 'lost' AND r.instance LIKE ? AND s.epoch > r.epoch AND s.commits > s.commits_before
        AND a.at > s.at"""
    return [row for pid in woken for row in project.ask(query, f"%:{pid}")]


def _figures(database: Database) -> str:
    """Say what happened, for whoever reads the run: runs by state, batches, writes."""
    states: dict[str, int] = dict(database.ask("SELECT state, count(*) FROM cmp_run GROUP BY 1 ORDER BY 2 DESC"))
    reasons = Counter(json.loads(error)["code"] for (error,) in database.ask("SELECT error FROM cmp_run") if error)
    ((writes,),) = database.ask("SELECT count(*) FROM audit_row")
    ((commits,),) = database.ask("SELECT sum(commits) FROM cmp_scope")
    return f"{states} runs {dict(reasons)}, {commits} commits, {writes} rows written"
