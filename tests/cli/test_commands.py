"""Every command against a simulated company: exit code, and JSON that is one document."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.cli.conftest import STREAMS, Command

from comporta.cli import demo
from comporta.cli.sync import summary
from comporta.core.counts import Counts
from comporta.core.outcome import ExitCode, exit_code
from comporta.core.run import Run, RunState, Trigger
from comporta.errors import Busy, SourceUnavailable
from comporta.sandbox.activecampaign_world import STREAMS as DEAL_STREAMS
from comporta.sandbox.odoo import OdooSandbox

# The first command in a process imports half of the product, on a shared machine a matter of seconds.
pytestmark = pytest.mark.timeout(60)


def test_sync_prints_its_runs(folder: Path, comporta: Command) -> None:
    """One document, and the counts add up."""
    said = comporta("sync", "--json")
    runs = said.json["runs"]

    assert (said.code, said.err) == (ExitCode.DONE, "")
    assert said.json["ok"] is True
    assert [run["stream"] for run in runs] == STREAMS
    assert all(
        run["counts"]["read"] == sum(run["counts"][name] for name in ("inserted", "updated", "unchanged", "rejected"))
        for run in runs
    )


def test_sync_says_what_it_did_in_plain_lines(folder: Path, comporta: Command) -> None:
    """Without a terminal: a line per event, then a line per stream."""
    first, second = comporta("sync", "loja/sale.order"), comporta("sync", "loja/sale.order")

    assert first.out.splitlines()[0] == "loja/sale.order: started"
    assert first.out.splitlines()[-1] == "sale.order: 30 new"
    assert second.out.splitlines()[-1] == "sale.order: nothing new"


def test_a_sync_says_how_much_in_what_time(folder: Path, comporta: Command) -> None:
    """Totals over the runs, for whoever compares one sync with another; --concurrency as it was asked."""
    said = comporta("sync", "loja/sale.order", "--concurrency", "1", "--json").json
    words = comporta("sync", "loja/sale.order", "--full", "--dry-run", "--max-records", "10").out

    (run,) = said["runs"]
    total = said["totals"]
    assert (total["records"], total["custom_field_entries"], total["concurrency"]) == (run["counts"]["read"], 0, 1)
    assert total["duration_s"] == run["duration_s"]
    assert (total["limit"], total["failures"], total["deals_per_s"]) == (None, {}, None)
    assert "records/s" in words
    assert "all: 10 records, in " in words


@pytest.mark.full
def test_a_dry_run_shows_fields_and_writes_nothing(synced: Path, odoo: OdooSandbox, comporta: Command) -> None:
    """Before and after, per row, in JSON and in words."""
    odoo.world.write("sale.order", 7, {"client_order_ref": "PC-DRY"})
    said = comporta("sync", "loja/sale.order", "--dry-run", "--full", "--json")
    words = comporta("sync", "loja/sale.order", "--dry-run", "--full").out
    change = next(each for each in said.json["changes"] if each["key"] == 7)
    with closing(sqlite3.connect(synced / "shop.db")) as connection:
        (stored,) = connection.execute("SELECT client_order_ref FROM odoo_sale_order WHERE id = 7").fetchone()

    assert said.code == ExitCode.DONE
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

    assert said.code == ExitCode.PARTLY_FAILED
    assert said.json["ok"] is False
    assert {run["account"]: run["state"] for run in said.json["runs"]} == {"loja": "succeeded", "outra": "failed"}
    assert said.json["runs"][-1]["error"]["code"] == "CMP-AUTH-003"


def test_clear_first_asks_and_nobody_answers(folder: Path, comporta: Command) -> None:
    """Without a terminal and without --yes nothing is removed."""
    said = comporta("sync", "loja/sale.order", "--clear-first")

    assert said.code == ExitCode.WRONG_USE
    assert "--yes is missing" in said.err


def test_nothing_to_sync_says_how_to_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comporta: Command) -> None:
    """A newcomer's first command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    said = comporta("sync")

    assert said.code == ExitCode.WRONG_USE
    assert "comporta init" in said.err


@pytest.mark.full
def test_a_stream_that_is_named_twice_runs_once(folder: Path, comporta: Command) -> None:
    """As an account and as a stream of it."""
    runs = comporta("sync", "loja/sale.order", "loja", "--json").json["runs"]

    assert [run["stream"] for run in runs] == STREAMS


def test_a_page_has_its_line_for_who_asks(folder: Path, comporta: Command) -> None:
    """The log of a night's cron stays short."""
    short, long = comporta("sync", "loja/sale.order"), comporta("sync", "loja/sale.order", "--full", "--verbose")

    assert "30 new, 0 changed" not in short.out
    assert "loja/sale.order: written: 0 new, 0 changed, 30 unchanged, 0 rejected\n" in long.out


@pytest.mark.full
def test_an_ended_run_cannot_be_cancelled(synced: Path, comporta: Command) -> None:
    """It is said, not ignored."""
    run_id = comporta("runs", "--json").json["runs"][0]["id"]
    said = comporta("run", "cancel", run_id)

    assert said.code == ExitCode.WRONG_USE
    assert "has ended already" in said.err


def test_unlock_of_a_free_stream_says_so(synced: Path, comporta: Command) -> None:
    """It is no error: what was wanted is the case."""
    said = comporta("unlock", "loja/sale.order", "--json")

    assert said.code == ExitCode.DONE
    assert said.json["unlocked"] is False


def test_unlock_tells_which_run_is_lost_by_it(synced: Path, comporta: Command) -> None:
    """Nobody else may be left to tell."""
    with closing(sqlite3.connect(synced / "shop.db")) as database, database:
        database.execute("UPDATE cmp_run SET state = 'running', finished_at = NULL WHERE scope = 'loja/sale.order'")
        until = "strftime('%Y-%m-%dT%H:%M:%S.000000Z', 'now', '+1 hour')"
        held = f"UPDATE cmp_scope SET expires_at = {until}, holder = (SELECT id FROM cmp_run r"
        database.execute(f"{held} WHERE r.scope = cmp_scope.scope) WHERE scope = 'loja/sale.order'")
    said = comporta("unlock", "loja/sale.order", "--yes", "--verbose")

    assert said.out == "loja/sale.order: free\n"
    assert "lease_lost" in said.err


@pytest.mark.full
def test_reconcile_finds_and_repairs(synced: Path, comporta: Command) -> None:
    """What was changed behind our back is different, and then it is not."""
    with closing(sqlite3.connect(synced / "shop.db")) as connection, connection:
        connection.execute("DELETE FROM odoo_res_partner WHERE id = (SELECT max(id) FROM odoo_res_partner)")
    found, repaired, again = (
        comporta("reconcile", "loja/res.partner", *more, "--json") for more in ([], ["--repair"], ["--wait"])
    )

    assert [said.code for said in (found, repaired, again)] == [ExitCode.FAILED, ExitCode.DONE, ExitCode.DONE]
    assert [said.json["ok"] for said in (found, repaired, again)] == [False, True, True]
    assert [said.json["reconcile"]["missing"] for said in (found, repaired, again)] == [1, 1, 0]
    assert [said.json["reconcile"]["repaired"] for said in (found, repaired, again)] == [False, True, False]


@pytest.mark.full
def test_an_empty_quarantine_says_so(synced: Path, comporta: Command) -> None:
    """In words and in JSON."""
    assert comporta("quarantine").out == "Nothing waits in quarantine.\n"
    assert comporta("quarantine", "list", "--json").json == {"ok": True, "quarantined": []}


def test_check_says_what_to_fix(folder: Path, comporta: Command) -> None:
    """A right key, then a wrong one."""
    right = comporta("check", "--json")
    (folder / "key").write_text("wrong", encoding="utf-8")
    wrong = comporta("check", "--json")

    assert (right.code, wrong.code) == (ExitCode.DONE, ExitCode.FAILED)
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

    assert codes == [ExitCode.DONE, ExitCode.WRONG_USE, ExitCode.DONE, ExitCode.DONE]
    assert "matriz" in comporta("settings", "--json").json["settings"]["accounts"]


def test_connect_keeps_what_works(folder: Path, odoo: OdooSandbox, comporta: Command) -> None:
    """Tried first; the key is not in the file, and a sync uses it."""
    place = ["--url", odoo.url, "--database", "demo", "--login", "demo", "--api-key", "file:key"]
    said = comporta("connect", "odoo", "filial", *place, "--json")
    synced = comporta("sync", "filial/res.partner", "--json")

    assert (said.code, synced.code) == (ExitCode.DONE, ExitCode.DONE)
    assert "filial" in comporta("settings", "--json").json["settings"]["accounts"]
    with closing(sqlite3.connect(folder / "shop.db")) as connection:
        ((stored,),) = connection.execute("SELECT ciphertext FROM cmp_secret")
    assert b"demo" not in bytes(stored)


def test_connect_keeps_nothing_that_fails(folder: Path, odoo: OdooSandbox, comporta: Command) -> None:
    """A wrong key is said, not stored."""
    (folder / "bad").write_text("wrong", encoding="utf-8")
    place = ["--url", odoo.url, "--database", "demo", "--login", "demo", "--api-key", "file:bad"]
    said = comporta("connect", "odoo", "filial", *place, "--json")

    assert said.code == ExitCode.FAILED
    assert "filial" not in comporta("settings", "--json").json["settings"]["accounts"]


def test_a_key_on_the_command_line_is_refused(folder: Path, odoo: OdooSandbox, comporta: Command) -> None:
    """It would stand in the shell's history and in the list of processes; nor is it repeated."""
    place = ["--url", odoo.url, "--database", "demo", "--login", "demo", "--api-key", "s3cret"]
    said = comporta("connect", "odoo", "filial", *place)

    assert said.code == ExitCode.WRONG_USE
    assert "s3cret" not in said.err


def test_doctor_tells_what_a_report_needs(synced: Path, comporta: Command) -> None:
    """Versions, settings of SQLite in force, sizes, schema, keys."""
    said = comporta("doctor", "--json")

    assert said.code == ExitCode.DONE
    assert said.json["problems"] == []
    assert said.json["doctor"]["pragma_journal_mode"] == "wal"
    assert said.json["doctor"]["database_mb"] > 0


@pytest.mark.full
def test_doctor_finds_a_missing_key(synced: Path, comporta: Command) -> None:
    """Before the next run does."""
    (synced / "key").unlink()
    said = comporta("doctor", "--json")

    assert said.code == ExitCode.FAILED
    assert "account loja" in said.json["problems"][0]


def test_check_leaves_a_stream_alone_that_is_paused(folder: Path, comporta: Command, odoo: OdooSandbox) -> None:
    """It was paused because it may not be read; of an account that rests as a whole all is looked at."""
    odoo.faults.add("access_error=res.partner")
    settings = folder / "comporta.toml"
    text = settings.read_text("utf-8") + '[accounts.loja.streams."res.partner"]\npaused = true\n'
    settings.write_text(text, encoding="utf-8")
    one = comporta("check", "--json")
    settings.write_text(text.replace("api_key", "paused = true\napi_key"), encoding="utf-8")
    whole = comporta("check", "--json")

    assert (one.code, whole.code) == (ExitCode.DONE, ExitCode.FAILED)
    assert "res.partner" not in {each["subject"] for each in one.json["accounts"][0]["findings"]}


def test_migrate_makes_the_ledger_once(empty_folder: Path, comporta: Command) -> None:
    """--check says 1 until it is done, and makes nothing."""
    codes = [comporta("migrate", *more).code for more in (["--check"], [], ["--check"], [])]

    assert codes == [ExitCode.FAILED, ExitCode.DONE, ExitCode.DONE, ExitCode.DONE]


def test_a_newer_schema_is_not_called_behind(folder: Path, comporta: Command) -> None:
    """Migrating would not help: this version is the older one."""
    with closing(sqlite3.connect(folder / "shop.db")) as connection, connection:
        connection.execute("UPDATE cmp_schema_version SET version_num = '9999'")
    checked, done, doctor = (comporta(*line, "--json") for line in (["migrate", "--check"], ["migrate"], ["doctor"]))

    assert [said.code for said in (checked, done, doctor)] == [ExitCode.FAILED] * 3
    assert {said.json["error"]["code"] for said in (checked, done)} == {"CMP-DB-003"}
    assert "schema '9999'" in doctor.json["problems"][0]


def test_migrate_check_makes_no_file(empty_folder: Path, comporta: Command) -> None:
    """Looking changes nothing."""
    comporta("migrate", "--check")
    comporta("doctor")

    assert not (empty_folder / "shop.db").exists()


@pytest.fixture
def empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in an empty folder; a demo there has few deals, and a limit nobody waits for."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "DEALS", 5)
    monkeypatch.setattr(demo, "LIMIT", 1_000)


@pytest.mark.full
@pytest.mark.usefixtures("empty_place")
def test_demo_leaves_a_folder_to_work_on_with(comporta: Command) -> None:
    """Runs of both accounts, rows of theirs, and where everything is."""
    said = comporta("demo", "--once", "--records", "5")
    runs = comporta("runs", "--limit", "200", "--config", "comporta-demo/comporta.toml", "--json").json["runs"]

    assert said.code == ExitCode.DONE
    assert "comporta-demo.db" in said.out
    assert "mercadolivre" in said.out
    assert "S00005" in said.out
    assert "Proposta" in said.out
    assert {run["stream"] for run in runs if run["account"] == "demo"} == set(STREAMS)
    assert {run["stream"] for run in runs if run["account"] == "crm"} == set(DEAL_STREAMS)
    assert {run["stream"] for run in runs if run["account"] == "loja1"} == {"orders", "shipments", "packs", "items"}


@pytest.mark.full
@pytest.mark.usefixtures("empty_place")
def test_a_second_demo_begins_anew(comporta: Command) -> None:
    """Another company is not mixed into the first one's tables."""
    codes = [comporta("demo", "--once", "--records", number, "--seed", number).code for number in ("6", "4")]
    with closing(sqlite3.connect("comporta-demo/comporta-demo.db")) as connection:
        (orders,) = connection.execute("SELECT count(*) FROM orders WHERE source = 'odoo'").fetchone()

    assert codes == [ExitCode.DONE, ExitCode.DONE]
    assert orders == 4


def test_a_demo_leaves_other_peoples_files_alone(folder: Path, comporta: Command) -> None:
    """Where a real project lies, no demo is played."""
    said = comporta("demo", "--once", "--records", "5", "--dir", ".")

    assert said.code == ExitCode.WRONG_USE
    assert "was not made by a demo" in said.err
    assert (folder / "shop.db").exists()


@pytest.mark.full
@pytest.mark.usefixtures("empty_place")
def test_a_demo_in_json_is_one_document(comporta: Command) -> None:
    """As everywhere."""
    assert comporta("demo", "--once", "--records", "5", "--json").json["ok"] is True


def ended(state: RunState, request: str = "incremental", **more: object) -> Run:
    """Return a run that ended."""
    return Run("r", f"a/{request}", "a", "s", state, Trigger.MANUAL, request, **more)  # type: ignore[arg-type]  # as the caller says


HELD = Busy("held").as_json()


@pytest.mark.parametrize(
    ("runs", "code"),
    [
        ([], ExitCode.DONE),
        ([ended(RunState.SUCCEEDED)], ExitCode.DONE),
        ([ended(RunState.FAILED), ended(RunState.SUCCEEDED)], ExitCode.DONE),
        ([ended(RunState.FAILED)], ExitCode.FAILED),
        ([ended(RunState.INTERRUPTED)], ExitCode.FAILED),
        ([ended(RunState.FAILED), ended(RunState.SUCCEEDED, "full")], ExitCode.PARTLY_FAILED),
        ([ended(RunState.SKIPPED, error=HELD)], ExitCode.BUSY),
        ([ended(RunState.SKIPPED, error=HELD), ended(RunState.SUCCEEDED, "full")], ExitCode.PARTLY_FAILED),
        ([ended(RunState.SKIPPED, error=HELD), ended(RunState.FAILED, "full")], ExitCode.FAILED),
        ([ended(RunState.SKIPPED)], ExitCode.DONE),
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


def test_json_is_plain_ascii(folder: Path, comporta: Command) -> None:
    """Whatever the pipe's encoding, it can be read."""
    (folder / "ç").mkdir()
    said = comporta("init", "ç", "--json")

    assert said.out.isascii()
    assert json.loads(said.out)["path"].endswith("ç/comporta.toml")
