"""`comporta status --max-age`: what cron and monitors call to hear whether everything is fresh."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.cli.conftest import Command

from comporta.core.instant import instant_text
from comporta.core.outcome import ExitCode

# The first command in a process imports half of the product, on a shared machine a matter of seconds.
pytestmark = pytest.mark.timeout(60)


@pytest.mark.parametrize(
    ("schedule", "age", "bound"),
    [
        ('every = "30m"', "1ms", "1ms"),
        ('every = "1h"', "2h", "2h"),
        ('every = "6h"', "45m", "12h, which its schedule allows"),
        ('cron = "0 */6 * * *"', "45m", "12h, which its schedule allows"),
        ('every = "6h"', "13h", "13h"),
    ],
)
def test_a_stream_that_runs_seldom_is_judged_by_its_own_schedule(
    schedule: str, age: str, bound: str, folder: Path, comporta: Command
) -> None:
    """By as much as its alert allows; whoever asks for less than the usual schedule brings, means it."""
    with (folder / "comporta.toml").open("a", encoding="utf-8") as file:
        file.write(f'[accounts.loja.streams."sale.order"]\n{schedule}\n')
    assert comporta("sync", "loja/sale.order").code == ExitCode.DONE
    found = {hours: stale_line(folder, comporta, age, hours) for hours in (11, 14)}

    assert bool(found[11]) is (bound in {"1ms", "2h"})
    assert found[14].endswith(f" old, more than {bound}")


def stale_line(folder: Path, comporta: Command, age: str, hours: int) -> str:
    """Return what is said of the orders when their coverage ends so many hours ago."""
    until = instant_text(datetime.now(UTC) - timedelta(hours=hours))
    with closing(sqlite3.connect(folder / "shop.db")) as database, database:
        database.execute("UPDATE cmp_coverage SET until = ?", (until,))
    said = comporta("status", "--max-age", age).err.splitlines()
    return next((line for line in said if line.startswith("loja/sale.order:")), "")


def test_where_there_is_nothing_to_look_at_nothing_is_fresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comporta: Command
) -> None:
    """A line of cron that lost its `cd` would be green for ever; without an age nobody asked whether all is well."""
    monkeypatch.chdir(tmp_path)
    asked, shown = comporta("status", "--max-age", "45m"), comporta("status")
    told = comporta("status", "--max-age", "45m", "--json")

    assert (asked.code, told.code, shown.code) == (ExitCode.FAILED, ExitCode.FAILED, ExitCode.DONE)
    assert f"no comporta.toml in {tmp_path}" in asked.err
    assert "Next: call it in the folder of comporta.toml" in asked.err
    assert (told.json["ok"], told.json["streams"]) == (False, [])


def test_what_is_paused_is_not_looked_at_and_no_fault(folder: Path, comporta: Command) -> None:
    """Somebody paused it, and knows."""
    assert comporta("account", "pause", "loja").code == ExitCode.DONE

    assert comporta("status", "--max-age", "45m").code == ExitCode.DONE
