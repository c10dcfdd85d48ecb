"""`comporta coverage`: each part that is missing has its reason, in the table and as a stable code."""

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Command

from comporta.core.instant import instant_text
from comporta.core.outcome import ExitCode

pytestmark = pytest.mark.timeout(60)
ORDERS = "loja/sale.order"
Change = Callable[..., None]


@pytest.fixture
def change(folder: Path) -> Change:
    """Return a way to let the ledger say something else."""

    def execute(statement: str, *values: object) -> None:
        with closing(sqlite3.connect(folder / "shop.db")) as database, database:
            database.execute(statement, values)

    return execute


@pytest.fixture
def holed(folder: Path, comporta: Command, change: Change) -> Path:
    """Read the orders, and let an hour of yesterday be missing."""
    assert comporta("sync", ORDERS).code == ExitCode.DONE
    since, until = (instant_text(datetime.now(UTC) - timedelta(hours=hours)) for hours in (30, 29))
    change("INSERT INTO cmp_coverage SELECT scope, ?, until, query_fingerprint FROM cmp_coverage", until)
    change("UPDATE cmp_coverage SET until = ? WHERE since < ?", since, since)
    return folder


def missing(comporta: Command) -> tuple[Any, Any]:
    """Return the hole of the orders, if there is one, and what follows the end of their coverage."""
    said = comporta("coverage", ORDERS, "--json").json["coverage"]
    return (said["holes"] or [None])[0], said["open"]


def words(comporta: Command, *more: str) -> str:
    """Return what people read."""
    return str(comporta("coverage", ORDERS, *more).out)


def test_nothing_was_asked_for_yet_and_nobody_schedules(folder: Path, comporta: Command) -> None:
    """A fresh account, and no server at work."""
    _, rest = missing(comporta)

    assert (rest["since"], rest["until"], rest["why_code"], rest["run"]) == (None, None, "unscheduled", None)
    assert f"`comporta sync {ORDERS}` reads it now" in rest["why"]
    assert f"`comporta sync {ORDERS}` lê agora" in words(comporta, "--language", "pt-BR")
    assert f"Nada está coberto ainda: `comporta sync {ORDERS}`." in words(comporta, "--language", "pt-BR")


def test_the_whole_table_is_told_in_portuguese(holed: Path, comporta: Command) -> None:
    """Its heads and words, not the reasons alone."""
    told = words(comporta, "--language", "pt-BR")

    assert {"de", "até", "por quê", "coberto", "LACUNA", "em aberto", "o início"} <= set(re.split(r"\s{2,}|\n", told))
    assert "Não está coberto desde o início" in told or " atrás da fonte; horas em " in told


def test_a_first_load_says_how_far_it_is(folder: Path, comporta: Command, change: Change) -> None:
    """Under way, or handed over: records read, of how many by the source's count."""
    assert comporta("sync", ORDERS).code == ExitCode.DONE
    change("DELETE FROM cmp_coverage")
    change("UPDATE cmp_run SET state = 'running', finished_at = NULL")
    until = "strftime('%Y-%m-%dT%H:%M:%S.000000Z', 'now', '+1 hour')"
    change(f"UPDATE cmp_scope SET holder = (SELECT id FROM cmp_run), expires_at = {until}")
    change(
        "INSERT INTO cmp_pass(id, scope, request, kind, since, until, position, read, query_fingerprint, started_at)"
        " SELECT 'p', scope, request, window_kind, window_since, window_until, '20', 20, '', started_at FROM cmp_run"
    )
    _, rest = missing(comporta)

    assert rest["why_code"] == "reading"
    assert rest["why"].startswith("first load: it is being read by run ")
    assert rest["why"].endswith(", 20 of about 30 records read")
    assert "primeira carga: está sendo lido" in words(comporta, "--language", "pt-BR")


def test_the_last_run_failed(holed: Path, comporta: Command) -> None:
    """Its error, its id, and when it is tried again."""
    (holed / "key").write_text("wrong", encoding="utf-8")
    run = comporta("sync", ORDERS, "--json").json["runs"][-1]
    found, rest = missing(comporta)

    assert [(each["why_code"], each["run"], each["error"]) for each in (found, rest)] == [
        ("failed", run["id"], run["error"])
    ] * 2
    assert f"run {run['id']} failed: {run['error']['code']} {run['error']['message']}; nobody schedules" in rest["why"]
    assert found["next_try_at"] is None
    assert run["error"]["code"] in words(comporta)


def test_it_is_tried_again_at_its_hour(holed: Path, comporta: Command, change: Change) -> None:
    """The run that waits says when."""
    at = "2999-01-01T00:00:00"
    request = "hole " + "/".join(f"{part}.000000Z" for part in ("1999-01-01T00:00:00", at))
    row = f"'x', '{ORDERS}', 'loja', 'sale.order', 'queued', 'retry', '{request}', '{at}.000000Z'"
    change(
        "INSERT INTO cmp_run(id, scope, account, stream, state, trigger, request, not_before, priority, attempt,"
        f" dry_run, partial, queued_at) VALUES ({row}, 0, 2, 0, 0, '2999-01-01T00:00:00.000000Z')"
    )
    found, _ = missing(comporta)

    assert (found["why_code"], found["run"], found["next_try_at"]) == ("queued", "x", f"{at}Z")


def test_too_many_records_wait_in_quarantine(holed: Path, comporta: Command, change: Change) -> None:
    """The run that rejected them failed, and what could be written is kept."""
    change("UPDATE cmp_run SET state = 'failed', error = ?", '{"code": "CMP-ROW-002", "message": "3 of 4 rejected"}')
    values = "'9', 'CMP-ROW-001', 'odd', '{}', 'r', '2026-01-01T00:00:00.000000Z', '2026-01-01T00:00:00.000000Z', 1"
    columns = "scope, key, code, reason, payload, run, first_seen, last_seen, times"
    change(f"INSERT INTO cmp_quarantine({columns}) VALUES ('{ORDERS}', {values})")
    found, _ = missing(comporta)

    assert found["why_code"] == "quarantine"
    assert "CMP-ROW-002 3 of 4 rejected; 1 records wait in quarantine" in found["why"]


def test_the_account_is_paused(holed: Path, comporta: Command) -> None:
    """Since when, and by whom it is resumed."""
    comporta("account", "pause", "loja")
    found, rest = missing(comporta)

    assert (found["why_code"], rest["why_code"]) == ("paused", "paused")
    assert found["why"].startswith("it is paused since 20")


def test_the_account_needs_login(holed: Path, comporta: Command, change: Change) -> None:
    """A person must grant access again."""
    change(
        "INSERT INTO cmp_login(account, state, reason, updated_at)"
        " VALUES ('loja', 'needs_login', 'it was revoked', '2026-01-01T00:00:00.000000Z')"
    )
    found, _ = missing(comporta)

    assert (found["why_code"], found["why"]) == ("needs_login", "loja needs login: it was revoked")


def test_what_was_read_was_taken_back(holed: Path, comporta: Command) -> None:
    """By a run whose query was another: by its id, what it said and what kind of run it was."""
    alone, _ = missing(comporta)
    with (holed / "comporta.toml").open("a", encoding="utf-8") as file:
        file.write('[accounts.loja.streams."sale.order"]\nfields = ["name"]\n')
    comporta("sync", ORDERS, "--json")
    full = missing(comporta)[1]
    with closing(sqlite3.connect(holed / "shop.db")) as database, database:
        database.execute("DELETE FROM cmp_coverage")
        (run,) = database.execute("SELECT id FROM cmp_run ORDER BY queued_at DESC LIMIT 1").fetchone()
        database.execute("UPDATE cmp_run SET state = 'failed' WHERE id = ?", (run,))
    _, rest = missing(comporta)

    assert alone["why_code"] == "voided"
    assert (full["why_code"], full["voided_by"]) == ("unscheduled", None)
    assert (rest["why_code"], rest["voided_by"]) == ("failed", run)
    assert f"run {run} (incremental) took it back: source, fields" in rest["why"]


def test_the_schedule_runs_and_the_next_run_reads_it(holed: Path, comporta: Command, change: Change) -> None:
    """A server at work that has offered the stream's last tick."""
    now = instant_text(datetime.now(UTC))
    change("UPDATE cmp_run SET scheduled_for = ?, window_since = ?", now, "2026-01-01T00:00:00.000000Z")
    change("UPDATE cmp_run SET window_until = (SELECT max(until) FROM cmp_coverage)")
    change("INSERT INTO cmp_instance VALUES ('box:7', 'scheduler', '1', ?, ?, NULL)", now, now)
    _, rest = missing(comporta)
    change("UPDATE cmp_run SET scheduled_for = NULL")
    _, unknown = missing(comporta)

    assert rest["why_code"] == "due"
    assert rest["why"] == f"it is read next; next try {rest['next_try_at']}"
    assert (unknown["why_code"], unknown["next_try_at"]) == ("unscheduled", None)
