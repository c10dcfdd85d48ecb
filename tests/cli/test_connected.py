"""An account that `comporta connect` keeps, and what comporta.toml says of it besides."""

import io
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.cli.conftest import Command
from tests.sandbox.mercadolivre_clients import logins

from comporta.cli.console import Console
from comporta.core.instant import instant_text
from comporta.core.outcome import ExitCode
from comporta.sandbox.mercadolivre import MercadoLivreSandbox
from comporta.sandbox.odoo import OdooSandbox


@pytest.fixture
def connected(folder: Path, odoo: OdooSandbox, comporta: Command) -> Path:
    """Connect the account ``filial``, which comporta.toml does not know."""
    place = ["--url", odoo.url, "--database", "demo", "--login", "demo", "--api-key", "file:key"]
    assert comporta("connect", "odoo", "filial", *place).code == ExitCode.DONE
    return folder


def add(folder: Path, text: str) -> None:
    """Write more into comporta.toml."""
    with (folder / "comporta.toml").open("a", encoding="utf-8") as file:
        file.write(text)


def test_the_file_adds_a_key_to_an_account_that_was_connected(connected: Path, comporta: Command) -> None:
    """Each command goes on, and what is set is what both say."""
    add(connected, '[accounts.filial]\nconcurrency = 1\n[accounts.filial.streams."sale.order"]\npaused = true\n')
    shown = comporta("settings", "--json").json["settings"]["accounts"]["filial"]
    listed = comporta("status", "--json").json["streams"]
    codes = [comporta(*each).code for each in (("accounts",), ("check", "filial"), ("sync", "filial/res.partner"))]

    assert (shown["source"], shown["concurrency"]) == ("odoo", 1)
    assert codes == [ExitCode.DONE] * 3
    assert [each["stream"] for each in listed if (each["account"], each["state"]) == ("filial", "paused")] == [
        "sale.order"
    ]


def test_a_key_may_be_said_before_the_account_is_connected(folder: Path, odoo: OdooSandbox, comporta: Command) -> None:
    """Until then every command says what is missing and how to go on; doctor finds it among the rest."""
    add(folder, "[accounts.filial]\nconcurrency = 1\n")
    before, found = comporta("status"), comporta("doctor", "--offline", "--json")
    place = ["--url", odoo.url, "--database", "demo", "--login", "demo", "--api-key", "file:key"]
    codes = [comporta("connect", "odoo", "filial", *place).code, comporta("status").code]

    assert before.code == ExitCode.WRONG_USE
    assert "accounts.filial.source is missing" in before.err
    assert "comporta connect SOURCE filial" in before.err
    assert [each for each in found.json["problems"] if "accounts.filial.source is missing" in each]
    assert codes == [ExitCode.DONE, ExitCode.DONE]


def test_an_account_of_the_file_is_not_connected_as_another(folder: Path, odoo: OdooSandbox, comporta: Command) -> None:
    """What the file says would win, and what is typed would never be used."""
    said = comporta("connect", "activecampaign", "loja", "--url", odoo.url, "--api-key", "file:key")

    assert said.code == ExitCode.WRONG_USE
    assert "account loja is one of odoo" in said.err


@pytest.fixture
def serving(folder: Path) -> Callable[[timedelta], None]:
    """Return a way to let a server have been seen so long ago."""

    def seen(ago: timedelta) -> None:
        row = ("box:7", "scheduler web workers", "1", *[instant_text(datetime.now(UTC) - ago)] * 2)
        with closing(sqlite3.connect(folder / "shop.db")) as database, database:
            database.execute(
                "INSERT OR REPLACE INTO cmp_instance (instance, roles, version, started_at, seen_at)"
                " VALUES (?, ?, ?, ?, ?)",
                row,
            )

    return seen


def test_who_connects_hears_where_a_server_must_start_anew(
    folder: Path, odoo: OdooSandbox, comporta: Command, serving: Callable[[timedelta], None]
) -> None:
    """It takes up what the database keeps; what comporta.toml says of the account it read when it began."""
    line = ["connect", "odoo", "filial", "--url", odoo.url, "--database", "demo", "--login", "demo"]
    line += ["--api-key", "file:key"]
    serving(timedelta(seconds=3))
    kept = comporta(*line, "--json")
    add(folder, "[accounts.filial]\nconcurrency = 1\n")
    beside, told = comporta(*line), comporta(*line, "--json")
    serving(timedelta(hours=1))
    died = comporta(*line, "--json")
    where = folder / "comporta.toml"

    assert [each.json["next_step"] for each in (kept, died)] == [None, None]
    assert told.json["next_step"] == (
        f"restart box:7: what is at work read {where} when it began, and filial stands there"
    )
    assert f"  Next: {told.json['next_step']}\n" in beside.out


def test_what_failed_is_begun_again_by_who_is_at_work(
    connected: Path, odoo: OdooSandbox, comporta: Command, serving: Callable[[timedelta], None]
) -> None:
    """At once, not at the next tick; where nobody is, nothing waits for somebody."""
    line = ["connect", "odoo", "filial", "--url", odoo.url, "--database", "demo", "--login", "demo"]
    line += ["--api-key", "file:key"]
    comporta("sync", "filial/res.partner")
    with closing(sqlite3.connect(connected / "shop.db")) as database, database:
        database.execute(
            "INSERT INTO cmp_run (id, scope, account, stream, state, trigger, request, dry_run, queued_at, error)"
            " SELECT 'r1', 'filial/sale.order', 'filial', 'sale.order', 'failed', 'schedule', request, 0, queued_at,"
            " '{}' FROM cmp_run WHERE scope = 'filial/res.partner' LIMIT 1"
        )
    waiting = "SELECT stream FROM cmp_run WHERE state = 'queued'"
    found = []
    for ago in (timedelta(hours=1), timedelta(seconds=3)):
        serving(ago)
        comporta(*line)
        with closing(sqlite3.connect(connected / "shop.db")) as database:
            found.append(database.execute(waiting).fetchall())

    assert found == [[], [("sale.order",)]]


def test_a_new_pair_of_tokens_needs_no_restart(
    folder: Path, comporta: Command, serving: Callable[[timedelta], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is at work takes it up by itself; another application of an account of comporta.toml it does not."""
    serving(timedelta(seconds=3))
    monkeypatch.setenv("APP", "demo")
    app = ["--client-id", "env:APP", "--client-secret", "env:APP"]
    with MercadoLivreSandbox() as market:
        line = ["connect", "mercadolivre", "loja1", "--refresh-token", "file:token", "--json"]
        add(folder, f'[accounts.loja1]\nsource = "mercadolivre"\nurl = "{market.url}"\n')
        (folder / "token").write_text("demo-1001", encoding="utf-8")
        new = comporta(*line, *app).json
        (folder / "token").write_text(logins(market)[1001]["current"], encoding="utf-8")
        again = comporta(*line).json

    assert new["next_step"].startswith("restart box:7: ")
    assert (again["ok"], again["next_step"]) == (True, None)


@pytest.mark.parametrize("source", ["odoo", "activecampaign", "mercadolivre"])
def test_a_name_that_cannot_be_is_said_before_anything_is_asked(source: str, comporta: Command) -> None:
    """Who has typed address, login and key does not begin again."""
    said = comporta("connect", source, "a b")

    assert said.code == ExitCode.WRONG_USE
    assert said.err.startswith("CMP-SET-003 account name 'a b'; expected 1 to 63 letters")


def test_an_end_of_what_is_typed_is_no_answer(monkeypatch: pytest.MonkeyPatch, comporta: Command) -> None:
    """Ctrl-D at a question: neither is the next one asked, nor is it a fault of ours."""
    monkeypatch.setattr(Console, "can_ask", True)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    monkeypatch.setattr("getpass.getpass", ended)
    unsaid = comporta("connect", "odoo", "filial")
    keyless = comporta("connect", "activecampaign", "filial", "--url", "http://127.0.0.1:1")

    assert (unsaid.code, keyless.code) == (ExitCode.WRONG_USE, ExitCode.WRONG_USE)
    assert "--url: no answer came" in unsaid.err
    assert "--api-key: no answer came" in keyless.err


def ended(_question: str) -> str:
    """Do as getpass does at the end of what is typed."""
    raise EOFError
