"""Commands that read, where there is no database yet: they make none, and say what to do."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.cli.conftest import Command

from comporta.core.outcome import ExitCode

pytestmark = pytest.mark.timeout(60)
LISTS = {
    ("status",): "streams",
    ("runs",): "runs",
    ("accounts",): "accounts",
    ("leases",): "leases",
    ("quarantine",): "quarantined",
    ("quarantine", "list"): "quarantined",
    ("alerts",): "alerts",
    ("check",): "accounts",
}
ONES = (("coverage", "a/b"), ("run", "show", "x"), ("log", "x"), ("quarantine", "show", "a/b"))


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(folder: Path) -> list[str]:
    """Return what lies in a folder that was not put there by the test."""
    return sorted({each.name for each in folder.iterdir()} - {"comporta.toml", "key"})


@pytest.mark.parametrize("line", [*LISTS, *ONES], ids=" ".join)
def test_an_empty_folder_stays_empty(line: tuple[str, ...], nowhere: Path, comporta: Command) -> None:
    """Whoever forgot to change into the right one finds no database there later, and hears what to do."""
    said, told = comporta(*line), comporta(*line, "--json")

    assert made(nowhere) == []
    assert said.code == told.code == (ExitCode.DONE if line in LISTS else ExitCode.WRONG_USE)
    assert told.json.get(LISTS.get(line, ""), []) == []
    assert f"No database yet at {nowhere / 'comporta.db'}; none was made.\n  Next: `comporta init`" in said.err


def test_status_before_the_first_sync_makes_nothing(empty_folder: Path, comporta: Command) -> None:
    """The accounts of comporta.toml are shown all the same, each with its next step."""
    said, told = comporta("status"), comporta("status", "--json")

    assert made(empty_folder) == []
    assert {each["next_step"] for each in told.json["streams"]} >= {"comporta sync loja/sale.order"}
    assert "loja/sale.order" in said.out
    assert "Next: `comporta check`, then `comporta sync`." in said.err


def test_a_database_of_another_program_is_left_as_it_is(empty_folder: Path, comporta: Command) -> None:
    """`database` names the wrong file: whoever only looks there makes no tables in it."""
    path = empty_folder / "shop.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE notes (text)")
    before = path.read_bytes()
    said = comporta("status")

    assert "none was made" in said.err
    assert path.read_bytes() == before


def test_a_file_without_accounts_is_named(nowhere: Path, comporta: Command) -> None:
    """What init wrote has none yet."""
    comporta("init")
    said = comporta("status")

    assert made(nowhere) == []
    assert f"write an account into {nowhere / 'comporta.toml'}" in said.err


def test_a_monitor_in_the_wrong_folder_hears_where_it_looked(nowhere: Path, comporta: Command) -> None:
    """At the place that its settings name, not at what was read instead."""
    said = comporta("status", "--max-age", "45m")

    assert said.code == ExitCode.FAILED
    assert f"no comporta.toml in {nowhere} and {nowhere / 'comporta.db'}" in said.err
    assert made(nowhere) == []
