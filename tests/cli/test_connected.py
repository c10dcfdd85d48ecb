"""An account that `comporta connect` keeps, and what comporta.toml says of it besides."""

from pathlib import Path

import pytest
from tests.cli.conftest import Command

from comporta.core.outcome import ExitCode
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
