"""What databases tell a meter: how long writers waited, and who was turned away."""

import sqlite3
import threading
from collections import Counter
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from comporta.errors import DestinationBusy
from comporta.ledger.postgres import PoolLimits, PostgresDatabase
from comporta.ledger.postgres_address import Address
from comporta.ledger.session import Session
from comporta.ledger.sqlite import Pragmas, SqliteDatabase
from comporta.ports.system_clock import SystemClock

PATIENCE_S = 8.0
WAITED = "comporta_database_write_wait_seconds"


class Kept:
    """A meter that a test reads."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()
        self.observed: dict[str, list[float]] = {}

    def count(self, name: str, amount: float = 1, /, **_: str) -> None:
        self.counted[name] += int(amount)

    def observe(self, name: str, value: float, /, **_: str) -> None:
        self.observed.setdefault(name, []).append(value)


def nothing(_: Session) -> None:
    """Write nothing."""


def test_sqlite_tells_how_long_writers_waited_and_that_it_was_busy(tmp_path: Path) -> None:
    """One that is let in, one that another program keeps out."""
    kept = Kept()
    pragmas = Pragmas(busy_timeout_s=0.05)
    with closing(SqliteDatabase(tmp_path / "x.db", pragmas, SystemClock(), meter=kept)) as database:
        database.write(nothing).result(PATIENCE_S)
        with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(DestinationBusy):
                database.write(nothing).result(PATIENCE_S)
            other.execute("ROLLBACK")

    assert kept.counted == {"comporta_database_busy_total": 1}
    assert [0 <= waited < PATIENCE_S for waited in kept.observed[WAITED]] == [True]


@pytest.mark.full
def test_postgres_tells_of_its_pool(ledger_url: str) -> None:
    """How long a connection was waited for, and that one waited in vain."""
    kept = Kept()
    address = Address.parse(ledger_url)
    limits = PoolLimits(size=2, wait=timedelta(seconds=0.3))
    clock = {"comporta.now": "2026-03-01T08:00:00Z"}
    opened = PostgresDatabase(address, limits, SystemClock(), local=lambda: clock, meter=kept)
    with closing(opened) as database:
        entered, leave = threading.Event(), threading.Event()

        def long(_: Session) -> None:
            entered.set()
            assert leave.wait(PATIENCE_S)

        holding = database.write(long)
        assert entered.wait(PATIENCE_S)
        with pytest.raises(DestinationBusy):
            database.read(nothing)
        leave.set()
        holding.result(PATIENCE_S)

    assert kept.counted == {"comporta_database_pool_timeouts_total": 1}
    assert len(kept.observed[WAITED]) == 1
    assert len(kept.observed["comporta_database_pool_wait_seconds"]) >= 2


def test_of_many_that_wait_for_a_locked_file_none_waits_for_the_others(tmp_path: Path) -> None:
    """A click behind twenty heartbeats would wait twenty times as long as a lock is waited for."""
    meter, path = Kept(), tmp_path / "c.db"
    pragmas = Pragmas(busy_timeout_s=0.2)
    with closing(SqliteDatabase(path, pragmas, SystemClock(), meter=meter)) as database:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = [database.write(lambda _: None, is_brief=True) for _ in range(20)]
            errors = [each.exception(PATIENCE_S) for each in waiting]
        database.write(lambda _: None, is_brief=True).result(PATIENCE_S)

    assert {type(error) for error in errors} == {DestinationBusy}
    assert meter.counted["comporta_database_busy_total"] <= 3
