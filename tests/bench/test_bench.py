"""The harness runs, and refuses a wrong result. No figure is looked at: figures belong to a quiet machine."""

import json
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from bench.databases import Place, Postgres, Sqlite, WrongResultError, check, opened
from bench.measure import Sample, Server, contestant_run, settings
from bench.pace import LIMIT, Paced
from bench.registry import CONTESTANTS, ROOT
from bench.report import absent_list
from bench.world import World, record

from bench import cases, environments

FIELDS = [name for name, value in record(1).items() if value is not None]
NAIVE = CONTESTANTS["naive"]


def copied(scratch: Path, rows: int) -> tuple[Sqlite, Place]:
    """Return a database that holds the first rows of the world, as a contestant would write them."""
    database = Sqlite(scratch)
    place = database.fresh()
    connection = sqlite3.connect(place.folder / "copy.db")
    connection.execute(f"CREATE TABLE sale_order ({', '.join(FIELDS)})")
    values = [
        [None if value is False and name != "locked" else value for name, value in record(number).items()]
        for number in range(1, rows + 1)
    ]
    connection.executemany(f"INSERT INTO sale_order VALUES ({', '.join('?' * len(FIELDS))})", values)
    connection.commit()
    connection.close()
    return database, place


def test_a_right_copy_is_accepted(tmp_path: Path) -> None:
    """Row count and every sum agree."""
    check(*copied(tmp_path, 30), NAIVE, World(30, "base", "").truth)


@pytest.mark.parametrize(
    "spoil", ["DELETE FROM sale_order WHERE id = 7", "UPDATE sale_order SET amount_total = 0 WHERE id = 7"]
)
def test_a_wrong_copy_is_refused(tmp_path: Path, spoil: str) -> None:
    """A missing row or one wrong amount makes the figure void."""
    database, place = copied(tmp_path, 30)
    connection = sqlite3.connect(place.folder / "copy.db")
    connection.execute(spoil)
    connection.commit()
    connection.close()

    with pytest.raises(WrongResultError, match="the source to"):
        check(database, place, NAIVE, World(30, "base", "").truth)


def test_a_change_at_the_source_is_seen_in_its_truth() -> None:
    """Otherwise a contestant that misses changes would pass."""
    assert World(200, "ten", "2027-01-01 00:00:00").truth != World(200, "base", "").truth


def test_who_cannot_run_is_named_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a package that pip does not find nor one that was never there is left out silently."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(environments, "_refused", {"dlt": "dlt cannot be installed: no such package"})
    team = cases.gather(Sqlite(tmp_path), ("comporta", "dlt", "sling"))

    shown = absent_list([cases.Result(cases.FULL, "sqlite", 1, {}, {}, team.absent)])

    assert "dlt, on SQLite: dlt cannot be installed: no such package" in shown
    assert "sling, on SQLite: its package on PyPI holds no program" in shown
    assert [one.name for one in team.players(cases.FULL)] == ["comporta"]


def test_a_contestant_that_fails_is_excused_with_its_last_words_but_we_are_not(tmp_path: Path) -> None:
    """One rival's crash must not take everybody's figures; ours leaves nothing to compare with."""

    def fail() -> None:
        raise WrongResultError("python -m naive ended with 1:\nTraceback\nKeyError: 'id'")

    team = cases.Field(Sqlite(tmp_path), ("comporta", "naive"), {})
    with team.excused(NAIVE):
        fail()

    assert team.absent == {"naive": "failed: python -m naive ended with 1: … KeyError: 'id'"}
    with pytest.raises(WrongResultError), team.excused(CONTESTANTS["comporta"]):
        fail()


@pytest.fixture
def slow_server() -> Iterator[Server]:
    """Give a replay server that takes five requests a second and answers late."""
    with Server(20) as server:
        server.control("pace", limit=LIMIT, latency_s=0.1)
        yield server


def status(server: Server) -> int:
    """Ask for nothing much, and return the answer's status."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{server.url}/web/webclient/version_info", b"{}", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_the_replay_server_is_slow_and_refuses_what_exceeds_its_limit(slow_server: Server) -> None:
    """Latency and 429s are the server's doing, and it counts both kinds of answers."""
    begun = time.monotonic()
    seen = [status(slow_server)]
    elapsed = time.monotonic() - begun
    slow_server.control("pace", limit=LIMIT, latency_s=0.0)
    seen += [status(slow_server) for _ in range(LIMIT)]
    said = slow_server.control("stats")

    assert elapsed >= 0.1
    assert seen == [200] * LIMIT + [429]
    assert (said["requests"], said["throttled"]) == (LIMIT + 1, 1)


@pytest.mark.parametrize(
    ("requests", "refused", "span", "share"), [(30, 0, 5.0, 1.0), (32, 0, 6.0, 1.0), (35, 5, 10.0, 0.5)]
)
def test_the_share_of_a_limit_counts_only_what_was_answered(
    requests: int, refused: int, span: float, share: float
) -> None:
    """Thirty answers at five a second take five seconds at least: the first five come at once."""
    sample = Sample(9.0, 1.0, 50.0, requests, throttled=refused, span_s=span)

    assert Paced(sample).share(0.0) == pytest.approx(share)


@pytest.mark.full
@pytest.mark.timeout(60)
def test_a_server_s_work_and_log_are_measured_on_postgresql(tmp_path: Path) -> None:
    """A client that has left still counts; a copy is there without loading; the log about one table can be told."""
    with opened("postgresql", tmp_path) as database:
        place = database.fresh()
        before = database.spent()
        work = "CREATE SCHEMA bench; CREATE TABLE bench.sale_order AS SELECT g AS id FROM generate_series(1, 200000) g"
        script = f"import psycopg, sys; psycopg.connect(sys.argv[1], autocommit=True).execute({work!r})"
        subprocess.run([sys.executable, "-c", script, place.url], check=True)
        after = database.spent()
        assert isinstance(database, Postgres)
        found = database.wal_about(place, "bench.sale_order", before.wal, after.wal)
        other = database.copy(place)

        assert after.cpu_s - before.cpu_s >= 0.02
        assert after.wal - before.wal > 1_000_000
        assert database.ask(other, "SELECT count(*) AS rows FROM bench.sale_order") == {"rows": 200_000}
        assert 1_000_000 < found <= after.wal - before.wal


@pytest.mark.full
@pytest.mark.timeout(90)
def test_the_quick_form_runs() -> None:
    """One round on 200 rows, every case on both databases, within the promised ninety seconds."""
    command = [sys.executable, "-m", "bench", "--quick"]

    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "**SQLite: 10 records changed" in ended.stdout
    assert "**PostgreSQL: 10 records changed" in ended.stdout
    assert "- dlt, on SQLite and PostgreSQL: --quick goes without" in ended.stdout


@pytest.mark.full
@pytest.mark.timeout(60)
def test_the_profile_watches_functions_that_are_there(tmp_path: Path) -> None:
    """A renamed function would else look as if its work had become free."""
    for kind in ("sqlite", "postgresql"):
        with opened(kind, tmp_path) as database, Server(50) as server:
            place = database.fresh()
            settings(place, server)
            timed = replace(CONTESTANTS["comporta"], module="bench.contestants.comporta_parts")
            contestant_run(timed, "cursor", server, database, place)
            found = json.loads((place.folder / "parts.json").read_text())

        assert found["missing"] == []
        assert 0 < found["decode"] < found["whole"]
