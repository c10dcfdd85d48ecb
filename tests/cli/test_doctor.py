"""`comporta doctor`: what it looks at, and what it says to fix."""

import socket
import sqlite3
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.cli.conftest import Command
from tests.servers.certificates import make_certificates
from tests.servers.home import free_port

from comporta.cli.doctor import clock, reached_problems, zones
from comporta.cli.reach import answers_as_ours, reach
from comporta.core.outcome import ExitCode
from comporta.ledger.checkup import Checkup
from comporta.sandbox.odoo import OdooSandbox
from comporta.settings.tree import Settings

pytestmark = pytest.mark.timeout(60)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def opened(folder: Path, comporta: Command) -> Path:
    """Let Comporta have opened the database once."""
    assert comporta("accounts").code == ExitCode.DONE
    return folder


def now() -> datetime:
    """Return the present."""
    return datetime.now(UTC)


@contextmanager
def listening(answer: bytes, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Listen, and say that to whoever connects."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with (
                    suppress(OSError),
                    context.wrap_socket(connection, server_side=True) if context else connection as talk,
                ):
                    talk.recv(4096)
                    talk.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def test_it_looks_at_all_that_a_report_needs(opened: Path, comporta: Command) -> None:
    """Nothing is wrong with a fresh installation."""
    said = comporta("doctor", "--json")

    assert (said.code, said.json["problems"]) == (ExitCode.DONE, [])
    facts = said.json["doctor"]
    assert {"comporta", "python", "system", "clock", "free_disk_mb", "wal_mb", "time_zones", "port"} <= set(facts)
    assert facts["reach_loja"].startswith("name, connection, answer, its clock ")
    assert "reach_loja" not in comporta("doctor", "--offline", "--json").json["doctor"]


def test_a_source_is_looked_at_step_by_step(odoo: OdooSandbox) -> None:
    """Name, connection, answer; what fails is named, with what to do."""
    with listening(b"SSH-2.0-server\r\n") as other:
        fine, unknown, refused, no_web = (
            reach(url, now)
            for url in (
                odoo.url,
                "https://nobody.invalid",
                f"http://127.0.0.1:{free_port()}",
                f"http://127.0.0.1:{other}",
            )
        )

    assert (fine.problem, fine.steps) == ("", "name, connection, answer")
    assert "the name is not known" in unknown.problem
    assert "no connection" in refused.problem
    assert "no web server" in no_web.problem


def test_encryption_is_a_step_of_its_own(tmp_path: Path) -> None:
    """A server without it, and a certificate that nobody we know has signed."""
    with listening(b"HTTP/1.1 200 OK\r\n\r\n") as plain:
        without = reach(f"https://127.0.0.1:{plain}", now)
    assert "no encryption" in without.problem
    make_certificates(tmp_path, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    with listening(b"HTTP/1.1 200 OK\r\n\r\n", context) as encrypted:
        stranger = reach(f"https://localhost:{encrypted}", now)

    assert "its certificate is refused" in stranger.problem
    assert stranger.steps == "name, connection"


def test_a_clock_that_differs_is_said() -> None:
    """The source's by its own answer, the database's by asking it."""
    with listening(b"HTTP/1.1 200 OK\r\nDate: Sun, 01 Mar 2026 12:05:00 GMT\r\n\r\n") as port:
        ahead = reach(f"http://127.0.0.1:{port}", lambda: NOON)
    facts, problems = clock(Checkup("db", exists=True, clock=NOON - timedelta(minutes=3)), NOON)

    assert ahead.offset_s == 300
    assert "+300 s" in reached_problems(ahead)[0]
    assert facts == {"database_clock_offset_s": -180}
    assert "NTP" in problems[0]
    assert clock(Checkup("db", exists=True), NOON) == ({}, [])


def test_a_port_is_free_ours_or_taken(opened: Path, comporta: Command) -> None:
    """Another program on it is a problem with its fix."""
    settings = opened / "comporta.toml"
    text = settings.read_text("utf-8")
    with listening(b"HTTP/1.1 200 OK\r\n\r\nhello") as taken, listening(b'HTTP/1.1 200 OK\r\n\r\n{"ok": true}') as ours:
        found = [answers_as_ours("127.0.0.1", port) for port in (taken, ours, free_port())]
        settings.write_text(text.replace("port = 0", f"port = {taken}"), encoding="utf-8")
        said = comporta("doctor", "--offline", "--json")

    assert found == [False, True, None]
    assert said.code == ExitCode.FAILED
    assert "another program listens" in said.json["problems"][0]


def test_a_key_that_opens_nothing_is_found(
    opened: Path, odoo: OdooSandbox, comporta: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost, another one, or one that others may read: each before the next run finds out."""
    place = ["--url", odoo.url, "--database", "demo", "--login", "demo", "--api-key", "file:key"]
    comporta("connect", "odoo", "filial", *place)
    with (opened / "comporta.toml").open("a", encoding="utf-8") as file:
        file.write("\n[accounts.filial]\ncompanies = [1]\n")  # what the other account reads is told as such
    key = opened / "state/master.key"
    fine = comporta("doctor", "--json").json
    key.chmod(0o644)
    readable = comporta("doctor", "--json").json["problems"]
    key.chmod(0o600)
    key.write_text("0" * 64, encoding="ascii")
    other = comporta("doctor", "--json").json["problems"]
    key.write_text("0123", encoding="ascii")
    short = comporta("doctor", "--json").json
    key.unlink()
    lost = comporta("doctor", "--json").json["problems"]
    monkeypatch.setenv("COMPORTA_MASTER_KEY", f"file:{'x' * 300}")  # no more to be looked at than a folder of others
    barred = comporta("doctor", "--json").json

    assert (fine["problems"], fine["doctor"]["stored_secrets"]) == ([], "1, 1 of them open")
    assert "chmod 600" in readable[0]
    assert "does not open filial/api_key" in other[0]
    assert "4 letters" in short["problems"][0]
    assert "does not exist" in lost[0]
    assert "cannot be read" in barred["problems"][0]
    assert "reach_filial" in fine["doctor"].keys() & short["doctor"].keys() & barred["doctor"].keys()


def test_a_database_that_does_not_answer_is_one_problem_among_others(opened: Path, comporta: Command) -> None:
    """The rest of the machine is looked at all the same: it may be the cause."""
    settings, nobody = opened / "comporta.toml", f"postgresql://ana:secret@127.0.0.1:{free_port()}/shop"
    text = settings.read_text("utf-8").replace("sqlite:///shop.db", nobody)
    settings.write_text(text, encoding="utf-8")
    said = comporta("doctor", "--json")
    (problem,), facts = said.json["problems"], said.json["doctor"]

    assert (said.code, facts["schema"], facts["stored_secrets"]) == (ExitCode.FAILED, "unknown", "unknown")
    assert problem.startswith("CMP-DB-010 postgresql://ana:***@127.0.0.1:")
    assert problem.endswith("; Start the server, or correct host and port in `database`.")
    assert "reach_loja" in facts


@pytest.mark.full
def test_a_lock_of_another_program_is_found(opened: Path, comporta: Command) -> None:
    """A database browser that was left open with a change in it."""
    import sqlite3

    settings = opened / "comporta.toml"
    settings.write_text(settings.read_text("utf-8") + '\n[sqlite]\nbusy_timeout = "1s"\n', encoding="utf-8")
    with closing(sqlite3.connect(opened / "shop.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        said = comporta("doctor", "--json")

    assert "locked" in said.json["problems"][0]


def test_a_newer_schema_is_a_problem_with_its_code_and_what_to_do(opened: Path, comporta: Command) -> None:
    """As every other error that doctor meets."""
    with closing(sqlite3.connect(opened / "shop.db", isolation_level=None)) as connection:
        connection.execute("UPDATE cmp_schema_version SET version_num = '9999'")
    (problem,) = comporta("doctor", "--offline", "--json").json["problems"]

    assert problem.startswith("CMP-DB-003 ")
    assert problem.endswith("Install the newer Comporta on this machine too; the database is untouched.")


def test_a_time_zone_that_is_not_known_is_said() -> None:
    """A slim image without the system's tzdata."""
    assert zones(Settings())[1] == []
    assert "tzdata" in zones(Settings(timezone="Nowhere/Atall"))[1][0]


@pytest.mark.parametrize(
    ("more", "is_told"), [("", True), ("paused = true\n", True), ("companies = [1]\n", False), ("slash", True)]
)
def test_two_accounts_that_read_the_same_are_told(opened: Path, comporta: Command, more: str, *, is_told: bool) -> None:
    """Every order is in the views twice, also of one that is paused, and nothing else says so."""
    path = opened / "comporta.toml"
    text = path.read_text("utf-8")
    account = text[text.index("[accounts.loja]") :].partition("\n\n")[0]
    twin = account.replace("[accounts.loja]", "[accounts.copia]") + "\n"
    twin = twin.replace('"\ndatabase', '/"\ndatabase') if more == "slash" else twin + more
    path.write_text(f"{text}\n{twin}", "utf-8")
    told = comporta("doctor").out

    assert ("accounts loja and copia read the same" in told) is is_told
