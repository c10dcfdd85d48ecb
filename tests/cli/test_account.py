"""`comporta accounts` and `account`: who is there, and who is left alone for a while."""

from pathlib import Path

import pytest
from tests.cli.conftest import Command

from comporta.core.outcome import ExitCode

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def two(folder: Path) -> Path:
    """Add a second account of the same company."""
    text = (folder / "comporta.toml").read_text(encoding="utf-8")
    account = text[text.index("[accounts.loja]") :].replace("loja", "outra")
    (folder / "comporta.toml").write_text(text + account, encoding="utf-8")
    return folder


def test_accounts_are_listed(two: Path, comporta: Command) -> None:
    """In the order of the settings, in JSON and in words."""
    said = comporta("accounts", "--json").json["accounts"]

    assert [each["account"] for each in said] == ["loja", "outra"]
    assert {key: said[0][key] for key in ("source", "paused", "paused_at", "login")} == {
        "source": "odoo",
        "paused": False,
        "paused_at": None,
        "login": None,
    }
    assert comporta("accounts").out.splitlines()[0].split() == ["account", "source", "url", "paused", "login"]


@pytest.mark.full
def test_a_paused_account_is_left_alone_until_it_is_named(two: Path, comporta: Command) -> None:
    """Without names it is skipped; by name it is synced; resumed, it is one among others."""
    paused = comporta("account", "pause", "outra", "--json")
    without = comporta("sync", "--json").json["runs"]
    named = comporta("sync", "outra/res.partner", "--json").json["runs"]
    states = {line["account"]: line["state"] for line in comporta("status", "--json").json["streams"]}
    resumed = comporta("account", "resume", "outra", "--json")
    after = comporta("sync", "--json").json["runs"]

    assert (paused.code, paused.json["changed"], resumed.json["changed"]) == (ExitCode.DONE, True, True)
    assert {run["account"] for run in without} == {"loja"}
    assert [run["state"] for run in named] == ["succeeded"]
    assert states == {"loja": "succeeded", "outra": "paused"}
    assert {run["account"] for run in after} == {"loja", "outra"}


def test_what_the_settings_pause_only_they_resume(two: Path, comporta: Command) -> None:
    """And an account that is not there cannot be paused."""
    with (two / "comporta.toml").open("a", encoding="utf-8") as file:
        file.write("paused = true\n")
    resumed, unknown = comporta("account", "resume", "outra"), comporta("account", "pause", "outa")

    assert resumed.code == ExitCode.WRONG_USE
    assert "paused by the settings" in resumed.err
    assert "did you mean 'outra'?" in unknown.err
    assert "by the settings" in comporta("accounts").out
