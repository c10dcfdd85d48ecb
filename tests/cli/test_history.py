"""Where streams stand and what happened to them: status, coverage, runs, leases."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path

import pytest
from tests.cli.conftest import STREAMS, Command

from comporta.bootstrap.workspaces import open_workspace
from comporta.core.outcome import ExitCode
from comporta.core.run import Trigger
from comporta.core.ticket import Ticket
from comporta.core.window import Request
from comporta.settings.reading import read_settings
from comporta.workspace.reception import WorkspaceReception

# The first command in a process imports half of the product, on a shared machine a matter of seconds.
pytestmark = pytest.mark.timeout(60)


@pytest.mark.full
def test_status_fails_when_a_stream_is_too_old(synced: Path, comporta: Command) -> None:
    """For cron and monitors; a stream that was never covered is too old."""
    fresh, stale = comporta("status", "--max-age", "45m", "--json"), comporta("status", "--max-age", "1ms", "--json")

    assert (fresh.code, stale.code) == (ExitCode.DONE, ExitCode.FAILED)
    assert (fresh.json["ok"], stale.json["ok"]) == (True, False)
    assert [each["stream"] for each in fresh.json["streams"]] == STREAMS
    assert all(0 <= each["freshness_s"] < 60 for each in fresh.json["streams"])


def test_status_before_the_first_sync_says_what_to_do(folder: Path, comporta: Command) -> None:
    """Never covered is not zero seconds old."""
    first = comporta("status", "--json").json["streams"][0]

    assert (first["state"], first["freshness_s"]) == ("never", None)
    assert first["next_step"] == "comporta sync loja/sale.order"


@pytest.mark.full
def test_a_stream_without_its_beginning_has_no_freshness(folder: Path, comporta: Command) -> None:
    """A window by hand covers its window; how fresh the rest is, nobody knows, and a monitor must hear it."""
    comporta("sync", "loja/res.partner", "--since", "1h", "--max-records", "1")
    comporta("sync", "loja/sale.order", "--since", "1h")
    said, known = comporta("status", "--max-age", "45m"), comporta("status", "--json").json["streams"][0]
    covered, words = (comporta("coverage", "loja/sale.order", *more) for more in (["--json"], []))

    assert known["freshness_s"] is covered.json["coverage"]["freshness_s"] is None
    assert [each["since"] for each in known["holes"]] == [None]
    assert said.code == ExitCode.FAILED
    assert "loja/sale.order: it is not covered from its beginning\n" in said.err
    assert re.search(r"^loja/sale\.order +succeeded +[\d-]*[ \d]\d:\d\d:\d\d +- +1 ", said.out, re.MULTILINE)
    assert "HOLE" in words.out
    assert "Not covered from its beginning" in words.out


def test_status_says_what_a_run_that_waits_waits_for(folder: Path, comporta: Command) -> None:
    """Somebody to begin it, the run that holds its stream, its time, or a free worker."""
    hour = timedelta(hours=1)

    async def story() -> list[str]:
        said = []
        async with open_workspace(read_settings(folder / "comporta.toml")) as workspace:
            store, reception = workspace.store, WorkspaceReception(workspace)

            async def step(stream: str = "sale.order") -> str:
                return str(
                    next(each for each in await reception.streams("loja") if each["stream"] == stream)["next_step"]
                )

            begun = await store.enqueue(Ticket("loja", "sale.order", Request(), Trigger.MANUAL))
            said.append(await step())
            await store.beat("shelf:4711", roles="workers", version="1")
            said.append(await step())
            await store.acquire(begun, ttl=hour, timeout=hour, instance="shelf:4711")
            await store.enqueue(Ticket("loja", "sale.order", Request(), Trigger.SCHEDULE))
            said.append(await step())
            later = workspace.clock.now() + hour
            await store.enqueue(Ticket("loja", "res.partner", Request(), Trigger.RETRY, attempt=2, not_before=later))
            said.append(await step("res.partner"))
            return [*said, begun.id]

    nobody, free, held, later, run_id = asyncio.run(story())
    words = comporta("status").out

    assert nobody == "nobody works: comporta serve, or comporta sync loja/sale.order"
    assert free == f"nothing: the next free worker does it; comporta log {run_id} says what it waits for, if it does"
    assert held == f"nothing: it begins when run {run_id} ends"
    assert later == "nothing: attempt 2 begins in 1h; comporta runs --account loja says why"
    assert later in words


def test_status_says_when_the_last_run_ended_and_who_schedules(folder: Path, comporta: Command) -> None:
    """A state without its time says nothing; a scheduler that is alive is named, so that its log can be found."""
    comporta("sync", "loja/sale.order")
    alone = comporta("status").out
    asyncio.run(be_seen(folder, "shelf:4711"))
    beside = comporta("status").out

    assert re.search(r"^loja/sale\.order +succeeded +([\d-]{10} )?\d\d:\d\d:\d\d +\d+s +0 +-", alone, re.MULTILINE)
    assert re.search(r"^loja/res\.partner +never +- +- ", alone, re.MULTILINE)
    assert "Nobody schedules" in alone
    assert re.search(r"^Scheduled by shelf:4711 \(seen \d+s ago\)$", beside, re.MULTILINE)
    assert "Nobody schedules" not in beside


@pytest.mark.parametrize("command", ["status", "accounts", "check"])
def test_who_has_a_settings_file_is_not_sent_to_make_one(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comporta: Command
) -> None:
    """What is missing is an account in it."""
    monkeypatch.chdir(tmp_path)
    before = comporta(command).out
    comporta("init")
    after = comporta(command).out

    assert "No account yet.\n  Next: `comporta init`, or" in before
    assert "No account yet.\n  Next: `comporta connect SOURCE NAME`, or write an account into" in after


def test_nobody_is_asked_to_restart_the_server_for_a_paused_account(folder: Path, comporta: Command) -> None:
    """That the scheduler does not know its streams is as it should be."""
    asyncio.run(be_seen(folder, "shelf:4711"))
    before = comporta("status", "--json").json["streams"]
    comporta("account", "pause", "loja")
    after = comporta("status", "--json").json["streams"]

    assert all(line["next_step"].startswith("restart comporta serve") for line in before)
    assert {(line["state"], line["next_run_at"], line["next_step"]) for line in after} == {("paused", None, "")}


async def be_seen(folder: Path, instance: str) -> None:
    """Write what a scheduler writes that is alive."""
    async with open_workspace(read_settings(folder / "comporta.toml")) as workspace:
        await workspace.store.beat(instance, roles="scheduler", version="1")


@pytest.mark.full
def test_what_cron_mails_is_what_is_stale(synced: Path, comporta: Command) -> None:
    """With the table sent to /dev/null nothing is left while all is fresh."""
    fresh, stale = comporta("status", "--max-age", "45m"), comporta("status", "--max-age", "1ms")

    assert fresh.err == ""
    assert [line.split(":")[0] for line in stale.err.splitlines()] == [f"loja/{stream}" for stream in STREAMS]


@pytest.mark.full
def test_status_tells_the_last_run_that_wrote(synced: Path, comporta: Command) -> None:
    """However many dry runs came after it; and how far the source's clock is from ours."""
    for _ in range(11):
        comporta("sync", "loja/res.partner", "--dry-run", "--max-records", "1")
    known = comporta("status", "--json").json["streams"][STREAMS.index("res.partner")]

    assert known["state"] == "succeeded"
    assert known["last_run"]["dry_run"] is False
    assert abs(known["clock_offset_s"]) < 10


@pytest.mark.full
def test_history_is_found_again(synced: Path, comporta: Command) -> None:
    """Runs, one run by the beginning of its id, and its log."""
    runs = comporta("runs", "--json").json["runs"]
    shown = comporta("run", "show", runs[0]["id"][:-1], "--json").json["run"]
    log = comporta("log", runs[0]["id"], "--json").json

    assert len(runs) == len(STREAMS)
    assert shown == runs[0]
    assert [line["seq"] for line in log["lines"]] == list(range(1, len(log["lines"]) + 1))
    assert {line["step"] for line in log["lines"]} >= {"lease_acquired", "window_closed"}


def test_runs_that_nobody_has_are_told_from_runs_that_were_never_made(folder: Path, comporta: Command) -> None:
    """After an upgrade one looks for failed runs; that there are none is not that nothing ran."""
    before = comporta("runs")
    comporta("sync", "loja/res.partner")

    assert before.out == "No runs yet; `comporta sync` starts some.\n"
    assert comporta("runs", "--state", "failed").out == "No such run.\n"
    assert comporta("runs", "--account", "loja", "--state", "lost").out == "No such run.\n"
    typo = comporta("runs", "--account", "lojja")
    assert typo.code == 2
    assert typo.err.startswith("CMP-SET-005 there is no account 'lojja'; did you mean 'loja'?")


def test_runs_carry_the_limit_of_their_account(folder: Path, comporta: Command) -> None:
    """In what sync prints and in what is found again."""
    with (folder / "comporta.toml").open("a", encoding="utf-8") as file:
        file.write('limit = "50/1s"\n')
    runs = comporta("sync", "loja/res.partner", "--json").json["runs"]
    runs += comporta("runs", "--json").json["runs"]
    runs.append(comporta("run", "show", runs[0]["id"], "--json").json["run"])

    assert [run["rates"]["limit"] for run in runs] == ["50/1s"] * 3


def test_coverage_is_one_interval_without_holes(synced: Path, comporta: Command) -> None:
    """From the beginning, which is null."""
    said = comporta("coverage", "loja/sale.order", "--json").json["coverage"]

    assert [each["since"] for each in said["intervals"]] == [None]
    assert said["holes"] == []
    assert (said["origin"], said["end"]) == (None, said["intervals"][0]["until"])


@pytest.mark.full
def test_leases_are_free_after_a_sync(synced: Path, comporta: Command) -> None:
    """With the epoch they ended at."""
    found = comporta("leases", "--json").json["leases"]

    assert {each["scope"] for each in found} == {f"loja/{stream}" for stream in STREAMS}
    assert all(each["holder"] is None and each["epoch"] == 1 and not each["alive"] for each in found)


@pytest.mark.full
def test_a_log_is_told_in_portuguese(synced: Path, comporta: Command) -> None:
    """With its accents; the JSON stays as it is stored."""
    run = comporta("runs", "--json").json["runs"][0]["id"]
    told, stored = comporta("log", run, "--language", "pt-BR"), comporta("log", run, "--language", "pt-BR", "--json")

    assert "página 1 de 1: 30 registros" in told.out
    assert "concluída com sucesso" in told.out
    assert stored.json["lines"] == comporta("log", run, "--json").json["lines"]


def test_a_sync_is_told_in_portuguese(folder: Path, comporta: Command) -> None:
    """From its start to its summary."""
    said = comporta("sync", "loja/sale.order", "--language", "pt-BR").out.splitlines()

    assert said[0] == "loja/sale.order: iniciada"
    assert "loja/sale.order: concluída com sucesso: 30 novos" in said
    assert said[-1] == "sale.order: 30 novos"


def test_what_to_do_is_told_in_portuguese(folder: Path, comporta: Command) -> None:
    """Not only the word before it."""
    (folder / "key").write_text("wrong", "utf-8")
    said = comporta("sync", "loja/sale.order", "--language", "pt-BR").out.splitlines()

    assert said[-1].startswith("  Próximo passo: Confira login e api_key da conta")
