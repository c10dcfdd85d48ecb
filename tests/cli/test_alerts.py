"""`comporta alerts`: what is wrong, how people would be told, and silence for a while."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.channels.servers import SECRET, HookServer, MailServer
from tests.cli.conftest import TOML, Command

from comporta.core.alert import Kind, Wanted
from comporta.ledger.alerts import LedgerAlerts
from comporta.ledger.sqlite import Pragmas, SqliteDatabase
from comporta.ports.system_clock import SystemClock
from comporta.sandbox.odoo import OdooSandbox

STALE = Wanted("stale/loja", Kind.STALE, "loja/sale.order: velho", "Atualize.", "loja", "sale.order", {})
BEFORE = (("alerts", "unmute", "stale/loja"), ("alerts", "test"), ("quarantine", "list"), ("quarantine", "show", "x/y"))


def open_alert(folder: Path) -> None:
    """Let a server have opened an alert."""
    database = SqliteDatabase(folder / "shop.db", Pragmas(), SystemClock())
    try:
        asyncio.run(LedgerAlerts(database).settle([STALE], keeps=lambda _: True, is_telling=False))
    finally:
        database.close()


def test_without_an_alert_nothing_is_wrong_that_is_known_of(folder: Path, comporta: Command) -> None:
    """The list is there, and empty; who reads it hears whether anybody looks."""
    unwatched, told = comporta("alerts").out, comporta("alerts", "--json").json
    with closing(sqlite3.connect(folder / "shop.db")) as database, database:
        now = SystemClock().now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        database.execute("INSERT INTO cmp_instance VALUES ('box:7', 'workers', '1', ?, ?, NULL)", (now, now))
    watched = comporta("alerts").out

    assert unwatched.startswith("Nothing is wrong that is known of.\n\nNobody looks now: `comporta serve`")
    assert told == {"ok": True, "alerts": [], "watched": False}
    assert watched == "Nothing is wrong that is known of.\n"
    assert comporta("status", "--json").json["alerts"] == {"open": 0, "errors": 0}


def test_an_alert_is_listed_with_what_to_do(folder: Path, comporta: Command) -> None:
    """And status counts it."""
    open_alert(folder)
    said = comporta("alerts")
    (alert,) = comporta("alerts", "--json").json["alerts"]

    assert said.code == 0
    assert said.out.startswith("ERROR loja/sale.order: velho\n  Next: Atualize.\n  (stale/loja; since ")
    assert "told to nobody yet" in said.out
    assert (alert["key"], alert["kind"], alert["state"], alert["told_at"]) == ("stale/loja", "stale", "open", None)
    assert comporta("status", "--json").json["alerts"] == {"open": 1, "errors": 1}
    assert "1 open alert: `comporta alerts`" in comporta("status").out


def test_an_alert_is_muted_for_a_while_and_told_again(folder: Path, comporta: Command) -> None:
    """By a span or until an instant; it stays in the list."""
    open_alert(folder)
    spanned = comporta("alerts", "mute", "stale/loja", "--for", "4h")
    dated = comporta("alerts", "mute", "stale/loja", "--until", "2099-01-01T08:00:00Z", "--json").json["alert"]
    listed = comporta("alerts").out
    unmuted = comporta("alerts", "unmute", "stale/loja", "--json").json["alert"]

    assert spanned.out.startswith("stale/loja: muted until ")
    assert dated["muted_until"] == "2099-01-01T08:00:00Z"
    assert "muted until 2099-01-01 08:00:00" in listed
    assert unmuted["muted_until"] is None


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [
        (("mute", "stale/loja"), "expected one of --for and --until"),
        (("mute", "stale/loja", "--for", "1h", "--until", "2099-01-01"), "expected one of --for and --until"),
        (("mute", "stale/loja", "--for", "soon"), "--for is 'soon'"),
        (("mute", "stale/loja", "--until", "soon"), "--until is 'soon'"),
        (("mute", "stale/loja", "--until", "2020-01-01"), "--until is '2020-01-01'; expected an instant to come"),
        (("mute", "nothing", "--for", "1h"), "there is no alert 'nothing'"),
        (("unmute", "nothing"), "there is no alert 'nothing'"),
        (("test",), "no channel is set"),
        (("test", "--channel", "pigeon"), "channel 'pigeon' is not set"),
    ],
)
def test_wrong_use_says_what_was_expected(
    arguments: tuple[str, ...], seen: str, folder: Path, comporta: Command
) -> None:
    """With exit code 2, and nothing done."""
    said = comporta("alerts", *arguments)

    assert said.code == 2
    assert seen in said.err


def test_what_stands_before_a_subcommand_holds_for_it(
    folder: Path, comporta: Command, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Another file's alert is muted, and told as JSON; behind the subcommand it is said anew."""
    open_alert(folder)
    file, elsewhere = str(folder / "comporta.toml"), tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    muted = comporta("alerts", "--config", file, "--json", "mute", "stale/loja", "--for", "4h")
    nearer = comporta("alerts", "--config", "nothing.toml", "unmute", "stale/loja", "--config", file)
    listed = comporta("quarantine", "--config", file, "list", "--json")
    missing = [comporta(group, "--config", "nothing.toml", *more).code for group, *more in BEFORE]

    assert (muted.code, muted.json["alert"]["key"]) == (0, "stale/loja")
    assert (nearer.code, nearer.out) == (0, "stale/loja: told\n")
    assert listed.json == {"ok": True, "quarantined": []}
    assert missing == [2] * len(BEFORE)
    assert [*elsewhere.iterdir()] == []


def test_what_is_of_the_list_alone_is_refused_before_a_subcommand(folder: Path, comporta: Command) -> None:
    """Dropped without a word, it would be taken for heard."""
    open_alert(folder)
    said = comporta("alerts", "--all", "mute", "stale/loja", "--for", "4h")

    assert said.code == 2
    assert "--all is of the list, and does nothing before mute" in said.err
    assert "muted" not in comporta("alerts").out


def test_a_trial_goes_over_every_channel_that_is_set(folder: Path, comporta: Command, odoo: OdooSandbox) -> None:
    """Each says for itself whether it works; 3 when one of them does not, 1 when none does."""
    with MailServer() as mail, HookServer(secret="another") as hook:
        (folder / "secret").write_text(SECRET, encoding="utf-8")
        (folder / "comporta.toml").write_text(
            TOML.format(url=odoo.url)
            + f'[alerts.email]\nhost = "localhost"\nport = {mail.port}\ntls = "none"\nsender = "c@example.com"\n'
            'to = ["ana@example.com"]\n'
            f'[alerts.webhook]\nurl = "{hook.url}"\nsecret = "file:secret"\n',
            encoding="utf-8",
        )
        both, email, webhook = (
            comporta("alerts", "test", *more, "--json")
            for more in ((), ("--channel", "email"), ("--channel", "webhook"))
        )
        spoken = comporta("alerts", "test")

    assert [each.code for each in (both, email, webhook)] == [3, 0, 1]
    told = {each["channel"]: (each["ok"], (each["error"] or {}).get("code")) for each in both.json["channels"]}
    assert told == {"email": (True, None), "webhook": (False, "CMP-ALERT-001")}
    assert "email: sent" in spoken.out
    assert "webhook: CMP-ALERT-001" in spoken.out
    assert "by itself" not in spoken.out
    assert "password and network; then try it: `comporta alerts test`." in spoken.out
    assert [str(message["Subject"]) for _, message in mail.letters] == [
        "[Comporta] ATENÇÃO: Este é um teste de aviso da Comporta: se você lê isto, o canal funciona"
    ] * 3


@pytest.mark.parametrize(
    ("table", "seen"),
    [
        ('[alerts.email]\nhost = "h"\nsender = "a@b.example"', "alerts.email.to is missing"),
        ('[alerts.email]\nhost = "h"\nsender = "a@b.example"\nto = []', "alerts.email.to is missing"),
        ('[alerts.webhook]\nurl = "http://h.example"', "alerts.webhook.secret is missing"),
        ('[alerts.webhook]\nurl = "http://h.example"\nsecret = "plain"', "a reference"),
        ('[alerts]\nquiet = "at night"', "hours of the day"),
        ('[alerts]\nlanguage = "pt"', "one of pt-BR, en"),
        ("[alerts.apprise]", "alerts.apprise.urls is missing"),
        ("[alerts]\nstale = 1", "did you mean alerts.stale_after"),
    ],
)
def test_settings_that_cannot_tell_anybody_are_refused(
    table: str, seen: str, folder: Path, comporta: Command, odoo: OdooSandbox
) -> None:
    """When they are read, not at the first alert; a secret is never shown."""
    (folder / "comporta.toml").write_text(f"{TOML.format(url=odoo.url)}\n{table}\n", encoding="utf-8")
    said = comporta("settings")

    assert said.code == 2
    assert seen in said.err
    assert "plain" not in said.err
