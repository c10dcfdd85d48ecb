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
