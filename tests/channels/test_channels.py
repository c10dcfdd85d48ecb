"""Letters that leave the machine: e-mail, signed webhooks, and what apprise is given, over real sockets."""

import hashlib
import hmac
import sys
from collections.abc import Mapping
from datetime import UTC, timedelta
from pathlib import Path
from types import ModuleType

import pytest
from tests.channels.servers import PASSWORD, SECRET, USER, HookServer, MailServer
from tests.servers.certificates import make_certificates

from comporta.channels import email
from comporta.channels.email import EmailChannel, Mailbox
from comporta.channels.others import AppriseChannel
from comporta.channels.webhook import WebhookChannel, signed
from comporta.core.alert import Alert, Kind, Level
from comporta.core.alert_letter import Letter, letter_of, trial
from comporta.core.language import Language
from comporta.errors_alerts import AppriseMissing, ChannelFailed
from comporta.ports.system_clock import SystemClock
from comporta.testing.clock import BEGUN

RECEIVERS = ("ana@example.com", "joão@example.com")
OPEN = Alert(
    "stale/loja",
    Kind.STALE,
    Level.ERROR,
    "loja/orders: os dados têm 2h de atraso",
    "Atualize já.",
    BEGUN,
    BEGUN,
    "loja",
)
OVER = Alert(
    "disk/box",
    Kind.DISK,
    Level.ERROR,
    "O disco está cheio",
    "Libere.",
    BEGUN,
    BEGUN,
    closed_at=BEGUN + timedelta(hours=1),
)


def letter(*alerts: Alert) -> Letter:
    """Return a letter in Portuguese."""
    return letter_of(alerts or (OPEN, OVER), Language.PT, UTC)


def box(server: MailServer, **more: object) -> EmailChannel:
    """Return e-mail over a server."""
    usual = {"host": "localhost", "port": server.port, "tls": "none", "sender": "c@example.com", "receivers": RECEIVERS}
    return EmailChannel(Mailbox(**usual | more))  # type: ignore[arg-type]  # Mailbox's own


def test_one_letter_tells_of_all_that_opened_and_closed() -> None:
    """Open ones first, each with what to do; accents stand as they are."""
    one, both = letter(OPEN), letter()

    assert one.subject == "[Comporta] ERRO: loja/orders: os dados têm 2h de atraso"
    assert both.subject == "[Comporta] 1 aviso(s), 1 resolvido(s)"
    assert both.body == (
        "ERRO: loja/orders: os dados têm 2h de atraso\n"
        "  O que fazer: Atualize já.\n"
        "  (desde 2026-03-10 12:00; stale/loja)\n\n"
        "RESOLVIDO: O disco está cheio\n"
        "  (durou 1h)\n\n"
        "Silencie um aviso com `comporta alerts mute CHAVE --for 4h`.\n"
    )


def test_a_thousand_alerts_are_one_readable_letter() -> None:
    """A network that fails has as many as there are accounts."""
    many = [Alert(f"stale/a{n}", Kind.STALE, Level.ERROR, "m", "n", BEGUN, BEGUN) for n in range(1_000)]

    assert "+950" in letter(*many).body
    assert len(letter(*many).body) < 10_000


async def test_a_letter_comes_by_email() -> None:
    """To every receiver, in one message, with its accents."""
    with MailServer() as server:
        await box(server).send(letter())

    ((receivers, message),) = server.letters
    assert receivers == list(RECEIVERS)
    assert message["Subject"] == "[Comporta] 1 aviso(s), 1 resolvido(s)"
    assert message["Auto-Submitted"] == "auto-generated"
    assert "os dados têm 2h de atraso" in message.get_content()
    assert server.users == []


async def test_the_connection_is_made_safe_before_the_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """STARTTLS with a certificate that is checked; an unknown authority's is refused, and no password is said."""
    make_certificates(tmp_path, "localhost")
    with MailServer(certificate=(tmp_path / "server.pem", tmp_path / "server.key")) as server:
        channel = box(server, tls="starttls", user=USER, password=lambda: PASSWORD)
        with pytest.raises(ChannelFailed, match="certificate"):
            await channel.send(letter())
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        await channel.send(letter())

    assert (server.users, server.secured, len(server.letters)) == ([USER], 1, 1)


async def test_a_server_that_refuses_is_said_with_its_words() -> None:
    """Wrong password, nobody there, all receivers refused."""
    with MailServer(refuses=frozenset(RECEIVERS)) as server:
        with pytest.raises(ChannelFailed, match="wrong password"):
            await box(server, user=USER, password=lambda: "wrong").send(letter())
        with pytest.raises(ChannelFailed, match="no such person"):
            await box(server).send(letter())
        free = server.port
    with pytest.raises(ChannelFailed, match=f"email to localhost:{free}"):
        await box(server).send(letter())

    assert server.letters == []


async def test_a_receiver_that_is_refused_keeps_the_letter_from_nobody() -> None:
    """Only a trial fails for it: the others must not get the same letter again and again."""
    with MailServer(refuses=frozenset({"ana@example.com"})) as server:
        await box(server).send(letter())
        with pytest.raises(ChannelFailed, match="no such person"):
            await box(server).send(letter(trial(Language.PT, BEGUN)))

    assert [receivers for receivers, _ in server.letters] == [["joão@example.com"]] * 2


async def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the connection and is silent."""
    monkeypatch.setattr(email, "TIMEOUT_S", 0.2)
    with MailServer(is_mute=True) as server, pytest.raises(ChannelFailed, match="timed out"):
        await box(server).send(letter())


async def test_a_webhook_is_signed_and_brings_each_alert() -> None:
    """The receiver computes the signature by itself, from what the documentation says."""
    with HookServer() as server:
        await WebhookChannel(server.url, lambda: SECRET, SystemClock()).send(letter())

    assert server.taken == [OPEN.as_json(), OVER.as_json()]
    assert server.names == ["stale/loja@2026-03-10T12:00:00Z/opened", "disk/box@2026-03-10T12:00:00Z/closed"]
    expected = hmac.new(b"s", b"1.{}", hashlib.sha256).hexdigest()
    assert signed(b"{}", "1", "s") == {"Comporta-Timestamp": "1", "Comporta-Signature": f"v1={expected}"}


async def test_a_wrong_secret_is_found_by_the_receiver() -> None:
    """And its answer is said."""
    with HookServer() as server, pytest.raises(ChannelFailed, match="answered 401"):
        await WebhookChannel(server.url, lambda: "other", SystemClock()).send(letter())

    assert (server.taken, server.forged) == ([], 1)


async def test_what_a_webhook_took_is_not_posted_again_with_the_rest() -> None:
    """The second of two alerts is refused once; the next try of the same letter brings only that."""
    with HookServer(statuses=[200, 503]) as server:
        channel = WebhookChannel(server.url, lambda: SECRET, SystemClock())
        whole = letter()
        with pytest.raises(ChannelFailed, match="503"):
            await channel.send(whole)
        await channel.send(whole)

    assert [each["key"] for each in server.taken] == ["stale/loja", "disk/box"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_receiver_that_has_moved_took_nothing(status: int) -> None:
    """Who follows it asks for a page, such as that of a login, and has posted nothing."""
    with HookServer(statuses=[status, status]) as server:
        channel = WebhookChannel(server.url, lambda: SECRET, SystemClock())
        with pytest.raises(ChannelFailed, match=f"answered {status}: ''; expected 2xx"):
            await channel.send(letter())
        server.moved_to = "https://hooks.example.com"
        with pytest.raises(ChannelFailed, match=rf"answered {status} \(moved to https://hooks.example.com\)"):
            await channel.send(letter())

    assert server.taken == []


@pytest.mark.parametrize("statuses", [[404], [308], None])
async def test_what_a_webhooks_address_has_beside_its_host_is_not_told(statuses: list[int] | None) -> None:
    """Path and query of many receivers are the key to them, and what failed is mailed and logged."""
    with HookServer(statuses=statuses or [], moved_to="https://example.com") as server:
        url = server.url if statuses else "http://127.0.0.1:1/alerts"
        with pytest.raises(ChannelFailed) as caught:
            await WebhookChannel(f"{url}/T0K3N?key=T0K3N", lambda: SECRET, SystemClock()).send(letter())

    assert "127.0.0.1" in str(caught.value)
    assert "T0K3N" not in str(caught.value)


@pytest.mark.parametrize("answer", [b"garbage\r\n\r\n", b""])
async def test_a_receiver_that_speaks_no_http_is_said(answer: bytes) -> None:
    """Whatever listens there."""
    import socket
    import threading

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(ChannelFailed, match="webhook"):
            await WebhookChannel(url, lambda: SECRET, SystemClock()).send(letter())


async def test_apprise_that_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of Comporta does not need it."""
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(AppriseMissing) as caught:
        await AppriseChannel(lambda: "tgram://1/2").send(letter())

    assert "comporta[notify]" in caught.value.next_step


class FakeApprise(ModuleType):
    """What of apprise is used: addresses that are known by how they begin, and one answer for all."""

    def __init__(self, answer: Mapping[str, bool]) -> None:
        super().__init__("apprise")
        self.sent: list[tuple[list[str], str, str]] = []
        owner = self

        class Apprise:
            def __init__(self) -> None:
                self.urls: list[str] = []

            def add(self, url: str) -> bool:
                self.urls.append(url)
                return url in answer

            def notify(self, *, title: str, body: str) -> bool:
                owner.sent.append((self.urls, title, body))
                return all(answer[url] for url in self.urls)

        self.Apprise = Apprise


async def test_apprise_gets_the_letter_for_all_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """One to a line; an address is never named in an error, for it holds the token."""
    fake = FakeApprise({"tgram://good/1": True, "slack://bad/2": False})
    monkeypatch.setitem(sys.modules, "apprise", fake)
    await AppriseChannel(lambda: "tgram://good/1\n").send(letter(OPEN))
    for urls in ("tgram://good/1\nslack://bad/2", "nothing://token-7"):
        with pytest.raises(ChannelFailed) as caught:
            await AppriseChannel(lambda urls=urls: urls).send(letter(OPEN))  # type: ignore[misc]  # a lambda with a default
        assert "token" not in caught.value.message
        assert "bad" not in caught.value.message

    assert fake.sent[0] == (["tgram://good/1"], letter(OPEN).subject, letter(OPEN).body)
