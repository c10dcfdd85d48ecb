"""`comporta settings` prints keys that can be written as they stand there."""

import re
from pathlib import Path

import pytest
from tests.cli.conftest import Command
from tests.servers.home import free_port

from comporta.core.outcome import ExitCode

pytestmark = pytest.mark.timeout(60)
TOML = """
redis = "redis://127.0.0.1"
[alerts]
quiet = "22:00-07:30"
[alerts.email]
host = "mail.example.com"
sender = "comporta@example.com"
to = ["you@example.com"]
[alerts.webhook]
url = "https://example.com/hook"
secret = "env:HOOK"
[accounts.crm]
source = "activecampaign"
url = "https://a.example.com"
api_key = "env:CRM_KEY"
limit = "3/1s"
start = 2026-01-01
[accounts.crm.streams.deals]
cron = "0 3 * * *"
[accounts.erp]
source = "odoo"
url = "https://o.example.com"
database = "d"
login = "l"
companies = [1, 2]
[accounts.erp.streams."sale.order"]
every = "1h"
fields = ["name"]
[accounts.shop]
source = "mercadolivre"
refresh_token = "env:TOKEN"
"""
UNSET = ("-", "[]")
UNWRITTEN = r" \((?:set|missing)\)$"
"""What is said of a secret beside where it is."""


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comporta: Command) -> list[tuple[str, str]]:
    """Return the lines of a folder with an account of each source, as key and value."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "comporta.toml").write_text(TOML, encoding="utf-8")
    said = comporta("settings")
    first, *lines = said.out.splitlines()

    assert (said.code, first) == (ExitCode.DONE, f"# {tmp_path / 'comporta.toml'}")
    return [(key, value) for key, _, value in (line.partition(" = ") for line in lines)]


def test_what_is_printed_is_a_settings_file(shown: list[tuple[str, str]], tmp_path: Path, comporta: Command) -> None:
    """Each key exists, with its account's and its stream's names; so it is understood, and comes out again."""
    told = [(key, re.sub(UNWRITTEN, "", value)) for key, value in shown]
    again = "\n".join(f"{key} = {toml(value)}" for key, value in told if value not in UNSET and "stored:" not in value)
    (tmp_path / "comporta.toml").write_text(again, encoding="utf-8")
    said = comporta("settings")

    assert said.err == ""
    assert said.out.splitlines()[1:] == [f"{key} = {value}" for key, value in shown]


def test_where_cron_holds_no_interval_is_shown(shown: list[tuple[str, str]]) -> None:
    """Of the two only one may be set, and the other one does nothing."""
    keys = [key for key, _ in shown]

    assert "accounts.crm.streams.deals.cron" in keys
    assert "accounts.crm.streams.deals.every" not in keys
    assert 'accounts.erp.streams."sale.order".every' in keys


def toml(value: str) -> str:
    """Return a value as TOML has it."""
    is_plain = re.fullmatch(r"\d+(\.\d+)?|\[.*\]", value) is not None
    return value if is_plain or value in {"true", "false"} else f'"{value}"'


def test_without_a_file_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, comporta: Command) -> None:
    """In JSON too: whoever is in the wrong folder sees it there."""
    monkeypatch.chdir(tmp_path)
    said, known = comporta("settings"), comporta("settings", "--json").json

    assert said.out.startswith(f"# no comporta.toml in {tmp_path}\n")
    assert known["file"] is None
    assert known["settings"].keys().isdisjoint({"path", "folder"})


def test_while_the_database_is_away_it_is_shown_what_the_file_says(
    shown: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch, comporta: Command
) -> None:
    """Its address among it, which may be what is wrong; the accounts that it keeps are missing, and that is said."""
    nobody = f"postgresql://ana:secret@127.0.0.1:{free_port()}/shop"
    monkeypatch.setenv("COMPORTA_DATABASE", nobody)
    said, told = comporta("settings"), comporta("settings", "--json")

    assert (said.code, told.code, told.json["ok"]) == (ExitCode.FAILED, ExitCode.FAILED, False)
    assert dict(shown).items() - dict(line.split(" = ", 1) for line in said.out.splitlines()[1:]).items() == {
        ("database", dict(shown)["database"])
    }
    assert f"database = {nobody.replace('secret', '***')}" in said.out
    assert "The accounts that the database keeps are not shown: CMP-DB-010 " in said.err
