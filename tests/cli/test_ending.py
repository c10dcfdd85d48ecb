"""A process that was told to end ends in a bounded time, whatever it waits for."""

import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest
from tests.acceptance.databases import SqliteFile
from tests.acceptance.project import COMMAND, Project, running, until

from comporta.cli.ending import DEADLINE_S, Deadline
from comporta.ledger.sqlite_schema import migrate

SLACK_S = 2.0


def deadline(is_needed: Callable[[], bool] = lambda: False, **spans: float) -> tuple[Deadline, Event]:
    """Return a deadline that is near, and what is set when it ends the process."""
    ended = Event()
    return Deadline(is_needed=is_needed, end=ended.set, **{"after_s": 0.01, **spans}), ended


def test_whoever_does_not_end_is_ended() -> None:
    """And nobody before being told to."""
    near, ended = deadline()
    assert not ended.wait(0.03)
    near.begin()

    assert ended.wait(5)


def test_whoever_ended_by_itself_is_left_alone() -> None:
    """Also when it did so in the last moment."""
    near, ended = deadline(after_s=0.05)
    near.begin()
    near.call_off()

    assert not ended.wait(0.1)


def test_a_pair_of_tokens_that_is_being_bought_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It exists once; but it is not waited for without end."""
    monkeypatch.setattr("comporta.cli.ending.LOOK_S", 0.01)
    bought = Event()
    near, ended = deadline(lambda: not bought.is_set())
    near.begin()
    endless, given_up = deadline(lambda: True, most_s=0.05)
    endless.begin()

    assert given_up.wait(5)
    assert not ended.is_set()
    bought.set()
    assert ended.wait(5)


@pytest.mark.full
@pytest.mark.timeout(60)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM that a process can answer")
def test_a_database_that_stays_locked_holds_up_no_shutdown(tmp_path: Path) -> None:
    """Three runs cannot be ended: the server says so and goes, and tells no end that is not written."""
    migrate(tmp_path / "comporta.db")
    project = Project(tmp_path, SqliteFile(tmp_path / "comporta.db"))
    with closing(socket.create_server(("127.0.0.1", 0), backlog=64)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        project.configure(dict.fromkeys(("a", "b", "c"), url))
        with running([*COMMAND, "serve", "--no-web", "--run-now"], tmp_path) as process:
            until(lambda: project.value("SELECT count(*) FROM cmp_run WHERE state = 'running'") >= 3, "three run")
            with closing(sqlite3.connect(tmp_path / "comporta.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                began = time.monotonic()
                process.send_signal(signal.SIGTERM)
                _, said = process.communicate(timeout=30)
                took_s = time.monotonic() - began

    assert took_s < DEADLINE_S + SLACK_S
    assert process.returncode == 1
    assert "before all was handed over" in said
    assert "lease_released" not in said
    assert project.value("SELECT count(*) FROM cmp_run WHERE state = 'running'") >= 3
