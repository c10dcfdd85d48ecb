"""Every command against a simulated company: exit code, and JSON that is one document."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from comporta.cli.console import BUSY, DONE, FAILED, PARTLY, WRONG
from comporta.cli.sync import changes_text, exit_code, summary
from comporta.core.counts import Counts
from comporta.core.run import Run, RunState, Trigger
from comporta.errors import Busy, SourceUnavailable
from comporta.ports.store import Change
from comporta.sandbox.odoo import OdooSandbox

# The first command in a process imports half of the product, on a shared machine a matter of seconds.
pytestmark = pytest.mark.timeout(60)

Command = Callable[..., Any]
STREAMS = ["sale.order", "sale.order.line", "res.partner", "product.product", "product.template"]


@pytest.fixture
def synced(folder: Path, comporta: Command) -> Path:
    """Sync everything once."""
    assert comporta("sync", "--json").code == DONE
    return folder


def test_sync_prints_its_runs(folder: Path, comporta: Command) -> None:
    """One document, and the counts add up."""
    said = comporta("sync", "--json")
    runs = said.json["runs"]

    assert (said.code, said.err) == (DONE, "")
    assert said.json["ok"] is True
    assert [run["stream"] for run in runs] == STREAMS
    assert all(
        run["counts"]["read"] == sum(run["counts"][name] for name in ("inserted", "updated", "unchanged", "rejected"))
        for run in runs
    )


def test_sync_says_what_it_did_in_plain_lines(folder: Path, comporta: Command) -> None:
    """Without a terminal: a line per event, then a line per stream."""
    first, second = comporta("sync", "loja/sale.order"), comporta("sync", "loja/sale.order")

    assert first.out.splitlines()[0] == "loja/sale.order: started (incremental)"
    assert first.out.splitlines()[-1] == "sale.order: 30 new"
    assert second.out.splitlines()[-1] == "sale.order: nothing new"


def test_a_dry_run_shows_fields_and_writes_nothing(synced: Path, odoo: OdooSandbox, comporta: Command) -> None:
    """Before and after, per row, in JSON and in words."""
    odoo.world.write("sale.order", 7, {"client_order_ref": "PC-DRY"})
    said = comporta("sync", "loja/sale.order", "--dry-run", "--full", "--json")
    words = comporta("sync", "loja/sale.order", "--dry-run", "--full").out
    change = next(each for each in said.json["changes"] if each["key"] == 7)
    with closing(sqlite3.connect(synced / "shop.db")) as connection:
        (stored,) = connection.execute("SELECT client_order_ref FROM odoo_sale_order WHERE id = 7").fetchone()

    assert said.code == DONE
    assert change["fields"]["client_order_ref"]["after"] == "PC-DRY"
    assert "loja/sale.order: +0 ~1 =29" in words
    assert "-> PC-DRY" in words
    assert stored != "PC-DRY"


def test_an_unreachable_source_fails_with_its_code(folder: Path, comporta: Command) -> None:
    """And the other account goes on: partly failed."""
    text = (folder / "comporta.toml").read_text(encoding="utf-8")
    account = text[text.index("[accounts.loja]") :].replace("loja", "outra").replace('"demo"', '"elsewhere"', 1)
    (folder / "comporta.toml").write_text(text + account, encoding="utf-8")
    said = comporta("sync", "loja/res.partner", "outra/res.partner", "--json")

    assert said.code == PARTLY
    assert said.json["ok"] is False
    assert {run["account"]: run["state"] for run in said.json["runs"]} == {"loja": "succeeded", "outra": "failed"}
    assert said.json["runs"][-1]["error"]["code"] == "CMP-AUTH-003"


def test_clear_first_asks_and_nobody_answers(folder: Path, comporta: Command) -> None:
    """Without a terminal and without --yes nothing is removed."""
    said = comporta("sync", "loja/sale.order", "--clear-first")

    assert said.code == WRONG
    assert "--yes is missing" in said.err


def test_nothing_to_sync_says_how_to_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comporta: Command) -> None:
    """A newcomer's first command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    said = comporta("sync")

    assert said.code == WRONG
    assert "comporta init" in said.err


def test_status_fails_when_a_stream_is_too_old(synced: Path, comporta: Command) -> None:
    """For cron and monitors; a stream that was never covered is too old."""
    fresh, stale = comporta("status", "--max-age", "45m", "--json"), comporta("status", "--max-age", "1ms", "--json")

    assert (fresh.code, stale.code) == (DONE, FAILED)
    assert (fresh.json["ok"], stale.json["ok"]) == (True, False)
    assert [each["stream"] for each in fresh.json["streams"]] == STREAMS
    assert all(0 <= each["freshness_s"] < 60 for each in fresh.json["streams"])


def test_status_before_the_first_sync_says_what_to_do(folder: Path, comporta: Command) -> None:
    """Never covered is not zero seconds old."""
    first = comporta("status", "--json").json["streams"][0]

    assert (first["state"], first["freshness_s"]) == ("never", None)
    assert first["next_step"] == "comporta sync loja/sale.order"


def test_history_is_found_again(synced: Path, comporta: Command) -> None:
    """Runs, one run by the beginning of its id, and its log."""
    runs = comporta("runs", "--json").json["runs"]
    shown = comporta("run", "show", runs[0]["id"][:-1], "--json").json["run"]
    log = comporta("log", runs[0]["id"], "--json").json

    assert len(runs) == len(STREAMS)
    assert shown == runs[0]
    assert [line["seq"] for line in log["lines"]] == list(range(1, len(log["lines"]) + 1))
    assert {line["step"] for line in log["lines"]} >= {"lease_acquired", "window_closed"}


def test_an_ended_run_cannot_be_cancelled(synced: Path, comporta: Command) -> None:
    """It is said, not ignored."""
    run_id = comporta("runs", "--json").json["runs"][0]["id"]
    said = comporta("run", "cancel", run_id)

    assert said.code == WRONG
    assert "has ended already" in said.err


def test_coverage_is_one_interval_without_holes(synced: Path, comporta: Command) -> None:
    """From the beginning, which is null."""
    said = comporta("coverage", "loja/sale.order", "--json").json["coverage"]

    assert [each["since"] for each in said["intervals"]] == [None]
    assert said["holes"] == []
    assert (said["origin"], said["end"]) == (None, said["intervals"][0]["until"])


def test_leases_are_free_after_a_sync(synced: Path, comporta: Command) -> None:
    """With the epoch they ended at."""
    found = comporta("leases", "--json").json["leases"]

    assert {each["scope"] for each in found} == {f"loja/{stream}" for stream in STREAMS}
    assert all(each["holder"] is None and each["epoch"] == 1 and not each["alive"] for each in found)


def test_unlock_of_a_free_stream_says_so(synced: Path, comporta: Command) -> None:
    """It is no error: what was wanted is the case."""
    said = comporta("unlock", "loja/sale.order", "--json")

    assert said.code == DONE
    assert said.json["unlocked"] is False


def test_reconcile_finds_and_repairs(synced: Path, comporta: Command) -> None:
    """What was changed behind our back is different, and then it is not."""
    with closing(sqlite3.connect(synced / "shop.db")) as connection, connection:
        connection.execute("DELETE FROM odoo_res_partner WHERE id = (SELECT max(id) FROM odoo_res_partner)")
    found, repaired, again = (
        comporta("reconcile", "loja/res.partner", *more, "--json") for more in ([], ["--repair"], [])
    )

    assert [said.json["reconcile"]["missing"] for said in (found, repaired, again)] == [1, 1, 0]
    assert [said.json["reconcile"]["repaired"] for said in (found, repaired, again)] == [False, True, False]


def test_an_empty_quarantine_says_so(synced: Path, comporta: Command) -> None:
    """In words and in JSON."""
    assert comporta("quarantine").out == "Nothing waits in quarantine.\n"
    assert comporta("quarantine", "list", "--json").json == {"ok": True, "quarantined": []}


def test_check_says_what_to_fix(folder: Path, comporta: Command) -> None:
    """A right key, then a wrong one."""
    right = comporta("check", "--json")
    (folder / "key").write_text("wrong", encoding="utf-8")
    wrong = comporta("check", "--json")

    assert (right.code, wrong.code) == (DONE, FAILED)
    assert [account["ok"] for account in right.json["accounts"]] == [True]
    assert wrong.json["accounts"][0]["findings"][0]["next_step"]


def test_init_writes_settings_that_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comporta: Command
) -> None:
    """And never over a file that is there, unless told to."""
    monkeypatch.chdir(tmp_path)
    codes = [comporta(*arguments).code for arguments in (["init"], ["init"], ["init", "--force"], ["settings"])]
    commented = (tmp_path / "comporta.toml").read_text(encoding="utf-8").replace("\n# [", "\n[")
    (tmp_path / "comporta.toml").write_text(
        "\n".join(line.removeprefix("# ") if " = " in line else line for line in commented.splitlines()),
        encoding="utf-8",
    )

    assert codes == [DONE, WRONG, DONE, DONE]
    assert "matriz" in comporta("settings", "--json").json["settings"]["accounts"]


def test_connect_keeps_what_works(folder: Path, odoo: OdooSandbox, comporta: Command) -> None:
    """Tried first; the key is not in the file, and a sync uses it."""
    place = ["--url", odoo.url, "--database", "demo", "--login", "demo", "--api-key", "file:key"]
    said = comporta("connect", "odoo", "filial", *place, "--json")
    synced = comporta("sync", "filial/res.partner", "--json")

    assert (said.code, synced.code) == (DONE, DONE)
    assert "filial" in comporta("settings", "--json").json["settings"]["accounts"]
    assert b"demo\n" not in (folder / "shop.db").read_bytes()


def test_connect_keeps_nothing_that_fails(folder: Path, odoo: OdooSandbox, comporta: Command) -> None:
    """A wrong key is said, not stored."""
    (folder / "bad").write_text("wrong", encoding="utf-8")
    place = ["--url", odoo.url, "--database", "demo", "--login", "demo", "--api-key", "file:bad"]
    said = comporta("connect", "odoo", "filial", *place, "--json")

    assert said.code == FAILED
    assert "filial" not in comporta("settings", "--json").json["settings"]["accounts"]


def test_a_key_on_the_command_line_is_refused(folder: Path, odoo: OdooSandbox, comporta: Command) -> None:
    """It would stand in the shell's history and in the list of processes; nor is it repeated."""
    place = ["--url", odoo.url, "--database", "demo", "--login", "demo", "--api-key", "s3cret"]
    said = comporta("connect", "odoo", "filial", *place)

    assert said.code == WRONG
    assert "s3cret" not in said.err


def test_doctor_tells_what_a_report_needs(synced: Path, comporta: Command) -> None:
    """Versions, settings of SQLite in force, sizes, schema, keys."""
    said = comporta("doctor", "--json")

    assert said.code == DONE
    assert said.json["problems"] == []
    assert said.json["doctor"]["pragma_journal_mode"] == "wal"
    assert said.json["doctor"]["database_mb"] > 0


def test_doctor_finds_a_missing_key(synced: Path, comporta: Command) -> None:
    """Before the next run does."""
    (synced / "key").unlink()
    said = comporta("doctor", "--json")

    assert said.code == FAILED
    assert "account loja" in said.json["problems"][0]


def test_migrate_makes_the_ledger_once(empty_folder: Path, comporta: Command) -> None:
    """--check says 1 until it is done, and makes nothing."""
    codes = [comporta("migrate", *more).code for more in (["--check"], [], ["--check"], [])]

    assert codes == [FAILED, DONE, DONE, DONE]


def test_migrate_check_makes_no_file(empty_folder: Path, comporta: Command) -> None:
    """Looking changes nothing."""
    comporta("migrate", "--check")
    comporta("doctor")

    assert not (empty_folder / "shop.db").exists()


def test_demo_leaves_a_folder_to_work_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comporta: Command
) -> None:
    """Runs, rows, and where everything is."""
    monkeypatch.chdir(tmp_path)
    said = comporta("demo", "--once", "--records", "5")
    runs = comporta("runs", "--config", "comporta-demo/comporta.toml", "--json").json["runs"]

    assert said.code == DONE
    assert "comporta-demo.db" in said.out
    assert "S00005" in said.out
    assert {run["stream"] for run in runs} == set(STREAMS)


def test_a_second_demo_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comporta: Command) -> None:
    """Another company is not mixed into the first one's tables."""
    monkeypatch.chdir(tmp_path)
    codes = [comporta("demo", "--once", "--records", number, "--seed", number).code for number in ("6", "4")]
    with closing(sqlite3.connect("comporta-demo/comporta-demo.db")) as connection:
        (orders,) = connection.execute("SELECT count(*) FROM orders").fetchone()

    assert codes == [DONE, DONE]
    assert orders == 4


def test_a_demo_leaves_other_peoples_files_alone(folder: Path, comporta: Command) -> None:
    """Where a real project lies, no demo is played."""
    said = comporta("demo", "--once", "--records", "5", "--dir", ".")

    assert said.code == WRONG
    assert "was not made by a demo" in said.err
    assert (folder / "shop.db").exists()


def test_a_demo_in_json_is_one_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comporta: Command) -> None:
    """As everywhere."""
    monkeypatch.chdir(tmp_path)

    assert comporta("demo", "--once", "--records", "5", "--json").json["ok"] is True


def ended(state: RunState, request: str = "incremental", **more: object) -> Run:
    """Return a run that ended."""
    return Run("r", f"a/{request}", "a", "s", state, Trigger.MANUAL, request, **more)  # type: ignore[arg-type]


HELD = Busy("held").as_json()


@pytest.mark.parametrize(
    ("runs", "code"),
    [
        ([], DONE),
        ([ended(RunState.SUCCEEDED)], DONE),
        ([ended(RunState.FAILED), ended(RunState.SUCCEEDED)], DONE),
        ([ended(RunState.FAILED)], FAILED),
        ([ended(RunState.INTERRUPTED)], FAILED),
        ([ended(RunState.FAILED), ended(RunState.SUCCEEDED, "full")], PARTLY),
        ([ended(RunState.SKIPPED, error=HELD)], BUSY),
        ([ended(RunState.SKIPPED, error=HELD), ended(RunState.SUCCEEDED, "full")], PARTLY),
        ([ended(RunState.SKIPPED, error=HELD), ended(RunState.FAILED, "full")], FAILED),
        ([ended(RunState.SKIPPED)], DONE),
    ],
)
def test_the_exit_code_is_that_of_the_last_attempts(runs: list[Run], code: int) -> None:
    """A run that failed and succeeded when it was tried again did not fail."""
    assert exit_code(runs) == code


def test_a_summary_says_the_next_step_of_what_failed() -> None:
    """Right under it."""
    failed = ended(RunState.FAILED, error=SourceUnavailable("no answer").as_json(), counts=Counts(read=3, inserted=3))

    assert summary([failed]) == [
        "s: failed (3 new): CMP-NET-001 no answer",
        f"  Next: {SourceUnavailable.next_step}",
    ]


def test_a_long_list_of_changes_is_cut() -> None:
    """A person reads fifty lines; the rest is in the JSON."""
    run = ended(RunState.SUCCEEDED, counts=Counts(read=60, updated=60))
    lines = changes_text([run], [(run, Change(key, "updated", {"a": (1, 2)})) for key in range(60)])

    assert len(lines) == 52
    assert lines[1] == "  ~ 0  a: 1 -> 2"
    assert lines[-1] == "  … and 10 more; --json shows them all"


def test_json_is_plain_ascii(folder: Path, comporta: Command) -> None:
    """Whatever the pipe's encoding, it can be read."""
    (folder / "ç").mkdir()
    said = comporta("init", "ç", "--json")

    assert said.out.isascii()
    assert json.loads(said.out)["path"].endswith("ç/comporta.toml")
