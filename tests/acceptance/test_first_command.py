"""The README's first command does, in an empty folder and a new venv, what README says."""

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from tests.acceptance.queries import ROOT, queries_of_the_readme

BIN = "Scripts" if sys.platform == "win32" else "bin"

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]


def run(*command: str | Path, cwd: Path) -> str:
    """Run one command and return what it printed; what it complained of is shown if it fails."""
    ended = subprocess.run(command, cwd=cwd, capture_output=True, text=True, encoding="utf-8", check=False)
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    return ended.stdout


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the product from the checkout, not editable, and play the demo once."""
    folder = tmp_path_factory.mktemp("fresh")
    run(sys.executable, "-m", "venv", ".venv", cwd=folder)
    run(folder / ".venv" / BIN / "pip", "install", "-q", "-c", ROOT / "constraints.txt", ROOT, cwd=folder)
    run(folder / ".venv" / BIN / "comporta", "demo", "--once", cwd=folder)
    return folder


def test_the_demo_leaves_a_database_that_answers_the_query_of_the_readme(demo: Path) -> None:
    """Whatever README shows in SQL runs on what its first command made, and finds something."""
    (database,) = [path for path in demo.rglob("*.db") if ".venv" not in path.parts]

    with closing(sqlite3.connect(database)) as connection:
        answers = [connection.execute(query).fetchall() for query in queries_of_the_readme()]

    assert [len(answer) for answer in answers] == [10]


def test_the_installed_command_knows_its_version(demo: Path) -> None:
    """`comporta --version` says the version that was installed."""
    said = run(demo / ".venv" / BIN / "comporta", "--version", cwd=demo)
    installed = run(demo / ".venv" / BIN / "pip", "show", "comporta", cwd=demo)

    assert said.split()[-1] == re.findall(r"^Version: (\S+)", installed, re.MULTILINE)[0]
