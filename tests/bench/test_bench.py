"""The harness runs, and refuses a wrong result. No figure is looked at: figures belong to a quiet machine."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from bench.measure import ROOT, WrongResultError, check
from bench.world import World, record

FIELDS = [name for name, value in record(1).items() if value is not None]


def copied(folder: Path, rows: int) -> Path:
    """Return a database that holds the first rows of the world, as a contestant would write them."""
    path = folder / "copy.db"
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE TABLE orders ({', '.join(FIELDS)})")
    values = [
        [None if value is False and name != "locked" else value for name, value in record(number).items()]
        for number in range(1, rows + 1)
    ]
    connection.executemany(f"INSERT INTO orders VALUES ({', '.join('?' * len(FIELDS))})", values)
    connection.commit()
    connection.close()
    return path


def test_a_right_copy_is_accepted(tmp_path: Path) -> None:
    """Row count and every sum agree."""
    check(copied(tmp_path, 30), "orders", World(30, "base", "").truth)


@pytest.mark.parametrize(
    "spoil", ["DELETE FROM orders WHERE id = 7", "UPDATE orders SET amount_total = 0 WHERE id = 7"]
)
def test_a_wrong_copy_is_refused(tmp_path: Path, spoil: str) -> None:
    """A missing row or one wrong amount makes the figure void."""
    path = copied(tmp_path, 30)
    connection = sqlite3.connect(path)
    connection.execute(spoil)
    connection.commit()
    connection.close()

    with pytest.raises(WrongResultError, match="the source to"):
        check(path, "orders", World(30, "base", "").truth)


def test_a_change_at_the_source_is_seen_in_its_truth() -> None:
    """Otherwise a contestant that misses changes would pass."""
    assert World(200, "ten", "2027-01-01 00:00:00").truth != World(200, "base", "").truth


@pytest.mark.full
@pytest.mark.timeout(120)
def test_the_quick_form_runs() -> None:
    """One round of Comporta against the bare loop on 200 rows, every case."""
    command = [sys.executable, "-m", "bench", "--quick", "--rows", "200", "--contestants", "comporta,bare"]

    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "10 Records Changed" in ended.stdout.title()
