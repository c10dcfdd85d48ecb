"""`comporta demo --once` on a database of the person's own, again and again."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.acceptance.company import STREAMS, table_of
from tests.acceptance.databases import Database, PostgresPlace, SqliteFile
from tests.acceptance.project import COMMAND, Told, told
from tests.acceptance.queries import queries_of_the_readme

pytestmark = [pytest.mark.full, pytest.mark.timeout(120)]  # processes start, and the machine may be busy

Demo = Callable[..., Told]


@pytest.fixture
def empty(request: pytest.FixtureRequest, way: str, tmp_path: Path) -> Database:
    """A database without anything in it."""
    if way == "sqlite":
        return SqliteFile(tmp_path / "mine.db")
    direct = request.getfixturevalue("postgres_url")
    return PostgresPlace(direct if way == "postgres" else request.getfixturevalue("pgbouncer_url"), direct)


@pytest.fixture
def demo(empty: Database, tmp_path: Path) -> Demo:
    """Play the demo once on that database."""

    def play(*arguments: str) -> Told:
        setting = empty.setting.replace("sqlite:///", f"sqlite:///{tmp_path}/")
        line = [*COMMAND, "demo", "--once", "--json", "--dir", "demo", "--database", setting, *arguments]
        with subprocess.Popen(
            line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
        ) as process:
            return told(process, patience_s=60)

    return play


def living(database: Database) -> dict[str, int]:
    """Return how many rows of each stream are not marked deleted."""
    query = "SELECT count(*) FROM {} WHERE _cmp_deleted_at IS NULL"
    return {stream: database.ask(query.format(table_of(stream)))[0][0] for stream in STREAMS}


def test_the_demo_fills_a_database_of_ones_own_and_the_query_of_the_readme_runs_there(
    demo: Demo, empty: Database
) -> None:
    """An empty database is all it needs: schemas, ledger, tables and views come by themselves."""
    played = demo()

    assert (played.code, played.document["ok"]) == (0, True)
    assert played.run("sale.order")["counts"]["inserted"] == 1_000
    assert [len(empty.ask(query)) for query in queries_of_the_readme()] == [10]


def test_a_demo_is_played_in_no_database_that_real_accounts_work_with(demo: Demo, empty: Database) -> None:
    """The accounts of a demo have names that people give theirs: its rows would take the place of theirs."""
    demo()
    empty.run("INSERT INTO cmp_scope(scope, epoch, commits) VALUES ('matriz/sale.order', 1, 1)")
    before = empty.ask(f"SELECT id, _cmp_hash FROM {table_of('sale.order')} ORDER BY id")
    refused = demo("--seed", "7")

    assert (refused.code, refused.document["ok"]) == (2, False)
    assert "holds accounts that no demo made: matriz" in refused.document["error"]["message"]
    assert empty.ask(f"SELECT id, _cmp_hash FROM {table_of('sale.order')} ORDER BY id") == before


def test_a_later_demo_leaves_what_its_own_company_has(demo: Demo, empty: Database) -> None:
    """The company of the earlier one is gone; its rows are overwritten, and those too many marked deleted."""
    many = demo("--records", "300")
    first = living(empty)
    fewer = demo("--records", "100")
    second = living(empty)
    stranger = demo("--records", "100", "--seed", "7")

    assert [played.code for played in (many, fewer, stranger)] == [0, 0, 0]
    assert first == {run["stream"]: run["counts"]["inserted"] for run in many.runs() if run["account"] == "demo"}
    assert {run["state"] for run in many.runs() if run["account"] == "crm"} == {"succeeded"}
    assert second["sale.order"] == living(empty)["sale.order"] == 100
    assert second["res.partner"] < first["res.partner"]
    assert fewer.runs("sale.order")[0]["counts"]["deleted"] == 200
    assert stranger.runs("sale.order")[0]["counts"]["updated"] == 100
