"""`comporta connect mercadolivre`: what is kept, what is refused, and how a consent comes back."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit
from urllib.request import urlopen

import pytest
from tests.cli.conftest import Command
from tests.sandbox.mercadolivre_clients import consent, logins
from tests.sandbox.odoo_clients import act
from tests.servers.home import free_port

from comporta.cli.callback import brought_back, is_loopback, query_of
from comporta.cli.grant import ELSEWHERE, REDIRECT, _about_redirect
from comporta.core.login import token_fingerprint
from comporta.errors import DestinationBusy, WrongUse
from comporta.ledger.session import Session
from comporta.ledger.sqlite import SqliteDatabase
from comporta.sandbox.mercadolivre import MercadoLivreSandbox
from comporta.sources.mercadolivre_config import counted

APP = ("--client-id", "env:APP", "--client-secret", "env:APP")

Work = Callable[[Session], object]


@pytest.fixture
def market() -> Iterator[MercadoLivreSandbox]:
    """Serve a small market of two sellers."""
    with MercadoLivreSandbox(records=20, sellers=2, items=5) as sandbox:
        yield sandbox


@pytest.fixture
def shop(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder without accounts, the application in the environment, first tokens in files."""
    (folder / "comporta.toml").write_text('database = "sqlite:///shop.db"\nstate_dir = "state"\n', encoding="utf-8")
    monkeypatch.setenv("APP", "demo")
    for seller in ("1001", "1002"):
        (folder / seller).write_text(f"demo-{seller}", encoding="utf-8")
    return folder


def rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    """Return what stands in the database."""
    connection = sqlite3.connect(folder / "shop.db")
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_a_token_brought_along_is_exchanged_and_everything_kept(
    shop: Path, market: MercadoLivreSandbox, comporta: Command
) -> None:
    """Account, application and pair; nothing of it can be read in the file."""
    said = comporta(
        "connect", "mercadolivre", "loja1", *APP, "--refresh-token", "file:1001", "--url", market.url, "--json"
    )
    newest = logins(market)[1001]["current"]

    assert (said.code, said.json["account"], said.json["nickname"]) == (0, "loja1", "LOJA_1001")
    assert rows(shop, "SELECT account, state, user_id FROM cmp_login") == [("loja1", "good", "1001")]
    assert [name for (name,) in rows(shop, "SELECT id FROM cmp_secret ORDER BY id")] == [
        "loja1/client_id",
        "loja1/client_secret",
        "loja1/tokens",
    ]
    assert newest.encode() not in b"".join(path.read_bytes() for path in shop.glob("shop.db*"))
    assert newest not in said.out + said.err


def test_accounts_of_one_application_and_seller_share_a_budget(
    shop: Path, market: MercadoLivreSandbox, comporta: Command
) -> None:
    """One of the database under another name, one of a second file of settings; another seller has its own."""
    base = ("connect", "mercadolivre", "--url", market.url, *APP, "--refresh-token")
    for account, seller in (("loja1", "1001"), ("loja2", "1002")):
        comporta(*base, f"file:{seller}", account)
    before = {each["account"]: each["key"] for each in comporta("status", "--json").json["limits"]}
    with (shop / "comporta.toml").open("a", encoding="utf-8") as file:
        file.write(f'[accounts.nova]\nsource = "mercadolivre"\nurl = "{market.url}/"\n')
        file.write('client_id = "env:APP"\nclient_secret = "env:APP"\n')
    with closing(sqlite3.connect(shop / "shop.db")) as connection, connection:
        connection.execute("UPDATE cmp_login SET account = 'nova' WHERE account = 'loja1'")

    after = {each["account"]: each["key"] for each in comporta("status", "--json").json["limits"]}

    assert before["loja1"] == after["nova"] == f"mercadolivre {market.url} {counted('demo', '1001')}"
    assert before["loja2"] == after["loja2"] == f"mercadolivre {market.url} {counted('demo', '1002')}"
    assert after["loja1"] == f"mercadolivre {market.url} loja1"


def test_a_second_account_is_connected_of_which_the_file_says_a_key(
    shop: Path, market: MercadoLivreSandbox, comporta: Command
) -> None:
    """Whom the source counts is looked up while others have a login already, and this one is not whole yet."""
    base = ("connect", "mercadolivre", "--url", market.url, *APP, "--refresh-token")
    comporta(*base, "file:1001", "loja1")
    with (shop / "comporta.toml").open("a", encoding="utf-8") as file:
        file.write("[accounts.loja2]\npaused = true\n")

    assert comporta(*base, "file:1002", "loja2").code == 0


def test_another_seller_s_consent_is_not_kept(shop: Path, market: MercadoLivreSandbox, comporta: Command) -> None:
    """Two sellers' orders would mix in one account."""
    base = ("connect", "mercadolivre", "loja1", *APP, "--url", market.url)
    comporta(*base, "--refresh-token", "file:1001")
    before = rows(shop, "SELECT token FROM cmp_login")

    said = comporta(*base, "--refresh-token", "file:1002")

    assert said.code == 2
    assert "reads seller 1001, and access was granted by seller 1002; nothing was kept" in said.err
    assert "what was given is used up" in said.err
    assert "`comporta connect mercadolivre loja1`" in said.err
    assert rows(shop, "SELECT token FROM cmp_login") == before


@pytest.mark.parametrize("name", ["loja1", "loja3"])
def test_a_consent_for_the_wrong_name_is_kept_where_its_seller_is_read(
    shop: Path, market: MercadoLivreSandbox, comporta: Command, name: str
) -> None:
    """It ended the pair that the other account holds: dropped, it would leave that one without a login."""
    base = ("connect", "mercadolivre", "--url", market.url, *APP, "--refresh-token")
    for account, seller in (("loja1", "1001"), ("loja2", "1002")):
        comporta(*base, f"file:{seller}", account)
    (shop / "again").write_text(act(market, "rotate", seller=1002), encoding="utf-8")

    said = comporta(*base, "file:again", name)
    held = {seller: token_fingerprint(seen["current"]) for seller, seen in logins(market).items()}

    assert said.code == 2
    assert f"the new pair was kept for loja2, and nothing for {name}" in said.err
    assert rows(shop, "SELECT account, user_id, token FROM cmp_login ORDER BY 1") == [
        ("loja1", "1001", held[1001]),
        ("loja2", "1002", held[1002]),
    ]
    assert rows(shop, "SELECT name FROM cmp_account ORDER BY 1") == [("loja1",), ("loja2",)]


def test_no_token_is_spent_while_the_pair_could_not_be_closed(
    shop: Path, market: MercadoLivreSandbox, comporta: Command
) -> None:
    """The key is opened first: after the answer it would be too late."""
    with (shop / "comporta.toml").open("a", encoding="utf-8") as file:
        file.write('master_key = "file:1002/master.key"\n')

    said = comporta("connect", "mercadolivre", "loja1", *APP, "--refresh-token", "file:1001", "--url", market.url)

    assert (said.code, "master.key: cannot be read" in said.err) == (2, True)
    assert (logins(market)[1001]["refreshes"], logins(market)[1001]["current"]) == (0, "demo-1001")


def test_a_pair_outlives_a_database_that_is_busy_when_it_comes(
    shop: Path, market: MercadoLivreSandbox, comporta: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pair exists nowhere else, so it waits; no second use of the token would bring it again."""
    writes = []

    def write(database: SqliteDatabase, work: Work, **how: bool) -> "Future[object]":
        writes.append(work)
        if len(writes) not in {2, 3}:
            return written(database, work, **how)
        busy: Future[object] = Future()
        busy.set_exception(DestinationBusy("shop.db: another program writes"))
        return busy

    written = SqliteDatabase.write
    monkeypatch.setattr(SqliteDatabase, "write", write)
    monkeypatch.setattr("comporta.bootstrap.grants.KEEP_PAUSE", timedelta(0))
    said = comporta("connect", "mercadolivre", "loja1", *APP, "--refresh-token", "file:1001", "--url", market.url)

    assert (said.code, said.err.count("leave this running. shop.db: another program writes")) == (0, 1)
    assert rows(shop, "SELECT token FROM cmp_login") == [(token_fingerprint(logins(market)[1001]["current"]),)]


@pytest.mark.usefixtures("shop")
def test_an_answer_that_never_came_is_asked_for_once_more(market: MercadoLivreSandbox, comporta: Command) -> None:
    """Either the token was not used, or nobody has the pair: the same token again costs nothing."""
    market.faults.add("oauth_cut_before=1:1")

    said = comporta("connect", "mercadolivre", "loja1", *APP, "--refresh-token", "file:1001", "--url", market.url)

    assert (said.code, logins(market)[1001]["refreshes"]) == (0, 1)


def test_connecting_again_stores_a_new_pair_and_needs_no_application(
    shop: Path, market: MercadoLivreSandbox, comporta: Command
) -> None:
    """After "needs login" the command is the one that the message tells."""
    comporta("connect", "mercadolivre", "loja1", *APP, "--refresh-token", "file:1001", "--url", market.url)
    connection = sqlite3.connect(shop / "shop.db")
    with connection:
        connection.execute("UPDATE cmp_login SET state = 'needs_login', reason = 'it was revoked'")
    connection.close()
    told = comporta("status", "--json").json["streams"]
    shown = comporta("status").out
    (shop / "again").write_text(act(market, "rotate", seller=1001), encoding="utf-8")

    said = comporta("connect", "mercadolivre", "loja1", "--refresh-token", "file:again")

    assert {each["login"]["state"] for each in told} == {"needs_login"}
    assert {each["next_step"] for each in told} == {"comporta connect mercadolivre loja1"}
    assert "loja1: needs login: it was revoked" in shown
    assert said.code == 0
    assert rows(shop, "SELECT state, reason FROM cmp_login") == [("good", None)]


def test_a_used_token_is_refused_and_nothing_kept(shop: Path, market: MercadoLivreSandbox, comporta: Command) -> None:
    """Nor is an account without a login left behind."""
    base = ("connect", "mercadolivre", "--url", market.url, *APP, "--refresh-token", "file:1001")
    comporta(*base, "loja1")

    said = comporta(*base, "loja2")

    assert said.code == 1
    assert "CMP-AUTH-005" in said.err
    assert rows(shop, "SELECT name FROM cmp_account") == [("loja1",)]


@pytest.mark.usefixtures("shop")
def test_without_an_application_the_options_are_named(market: MercadoLivreSandbox, comporta: Command) -> None:
    """Nobody can be asked here."""
    said = comporta("connect", "mercadolivre", "loja1", "--refresh-token", "file:1001", "--url", market.url)

    assert said.code == 2
    assert "client_id of your application" in said.err
    assert "--client-id env:NAME" in said.err


def test_an_account_of_the_file_keeps_its_settings(shop: Path, market: MercadoLivreSandbox, comporta: Command) -> None:
    """Only the pair is stored."""
    with (shop / "comporta.toml").open("a", encoding="utf-8") as file:
        file.write(
            f'[accounts.loja1]\nsource = "mercadolivre"\nurl = "{market.url}"\n'
            'client_id = "env:APP"\nclient_secret = "env:APP"\n'
        )

    said = comporta("connect", "mercadolivre", "loja1", "--refresh-token", "file:1001")

    assert said.code == 0
    assert rows(shop, "SELECT name FROM cmp_account") == []
    assert rows(shop, "SELECT id FROM cmp_secret") == [("loja1/tokens",)]


@pytest.mark.full
def test_a_revoked_login_delays_no_other_account(shop: Path, market: MercadoLivreSandbox, comporta: Command) -> None:
    """One request finds out; the streams of the other seller are all there, and stay so."""
    for name, seller in (("loja1", "1001"), ("loja2", "1002")):
        comporta("connect", "mercadolivre", name, *APP, "--refresh-token", f"file:{seller}", "--url", market.url)
    act(market, "revoke", seller=1001)

    runs = [run for _ in range(2) for run in comporta("sync", "--json").json["runs"]]

    assert {run["state"] for run in runs if run["account"] == "loja2"} == {"succeeded"}
    assert {run["error"]["code"] for run in runs if run["state"] == "failed"} == {"CMP-AUTH-005"}
    assert {run["account"] for run in runs if run["state"] == "failed"} == {"loja1"}
    assert logins(market)[1001]["invalid_grants"] == 1
    assert rows(shop, "SELECT account, state FROM cmp_login ORDER BY 1") == [
        ("loja1", "needs_login"),
        ("loja2", "good"),
    ]


@pytest.mark.full
def test_a_seller_agrees_in_a_browser(shop: Path, market: MercadoLivreSandbox) -> None:
    """Without a terminal: the address is printed, the browser comes back, the page speaks Portuguese first."""
    back = f"http://127.0.0.1:{free_port()}/back"
    line = [sys.executable, "-m", "comporta", "connect", "mercadolivre", "loja1", *APP, "--json"]
    line += ["--url", market.url, "--auth-url", market.url, "--redirect-uri", back]
    with talking(line, cwd=shop, stdin=subprocess.DEVNULL) as process:
        assert process.stderr is not None
        address = next(text.strip() for text in process.stderr if text.strip().startswith("http"))
        with urlopen(address, timeout=10) as answer:
            page = answer.read().decode("utf-8")
        out, _ = process.communicate(timeout=10)

    assert parse_qs(urlsplit(address).query)["code_challenge_method"] == ["S256"]
    assert "Autorização recebida" in page
    assert '"nickname": "LOJA_1001"' in out
    assert rows(shop, "SELECT state FROM cmp_login") == [("good",)]


@pytest.mark.full
def test_an_application_that_names_https_only_is_pasted_from(shop: Path, market: MercadoLivreSandbox) -> None:
    """The browser ends at a page that does not open; its address is what we need."""
    back = "https://localhost/callback"
    line = [sys.executable, "-m", "comporta", "connect", "mercadolivre", "loja1", *APP, "--json"]
    line += ["--url", market.url, "--auth-url", market.url, "--redirect-uri", back]
    with talking(line, cwd=shop, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        address = next(text.strip() for text in process.stderr if text.strip().startswith("http"))
        asked = dict(parse_qsl(urlsplit(address).query))
        said = consent(market, **asked)
        process.stdin.write(f"{back}?{urlencode(said)}\n")
        process.stdin.close()
        # ``communicate`` would not see what the lines above have read ahead.
        told, out = process.stderr.read(), process.stdout.read()

    assert f"must name this redirect URI, letter for letter: {back}" in told
    assert '"nickname": "LOJA_1001"' in out


@pytest.mark.parametrize("redirect", [REDIRECT, ELSEWHERE])
def test_what_the_application_must_name_is_said(redirect: str) -> None:
    """Also what to do where its page takes no http://, which we cannot know."""
    said = _about_redirect(redirect, is_here=is_loopback(redirect))

    assert redirect in said
    assert (f"--redirect-uri {ELSEWHERE}" in said) is (redirect == REDIRECT)


async def test_only_who_knows_the_state_is_taken_for_the_answer() -> None:
    """Another page that calls the address on this machine brings nothing in."""
    port = free_port()
    back = f"http://127.0.0.1:{port}/back"
    waiting = asyncio.ensure_future(brought_back(back, "right", may_paste=False))
    await asyncio.sleep(0)
    pages = [await _get(port, path) for path in ("/back?code=x&state=wrong", "/?code=x&state=right")]
    pages.append(await _get(port, "/back?error=access_denied&state=right"))

    assert [page.split()[1] for page in pages] == ["404", "404", "200"]
    assert "não concedeu" in pages[-1]
    assert await waiting == {"error": "access_denied", "state": "right"}


async def test_nobody_is_waited_for_for_ever() -> None:
    """A code is good for ten minutes; so long is a person waited for."""
    port = free_port()
    back = f"http://127.0.0.1:{port}/back"
    with pytest.raises(WrongUse, match=r"nobody came back.* within 50ms$") as told:
        await brought_back(back, "s", may_paste=False, wait=timedelta(seconds=0.05))

    assert back in told.value.next_step


@pytest.mark.parametrize(
    ("pasted", "code"),
    [
        ("TG-1-1001\n", "TG-1-1001"),
        ("https://example.com/back?code=TG-1&state=s", "TG-1"),
        ("code=TG-1&state=s", "TG-1"),
    ],
)
def test_a_code_or_the_whole_address_may_be_pasted(pasted: str, code: str) -> None:
    """Whatever a person finds in the browser."""
    assert query_of(pasted, "s") == {"code": code, "state": "s"}


@pytest.mark.parametrize(
    ("redirect", "expected"),
    [
        ("http://127.0.0.1:8765/callback", True),
        ("http://localhost:8765/", True),
        ("http://[::1]:1/", True),
        ("https://127.0.0.1/callback", False),
        ("http://example.com/", False),
    ],
)
def test_which_redirects_end_on_this_machine(redirect: str, expected: bool) -> None:
    """A browser speaks no https with us."""
    assert is_loopback(redirect) is expected


@contextmanager
def talking(line: list[str], *, cwd: Path, stdin: int) -> Iterator["subprocess.Popen[str]"]:
    """Start a command that is spoken with; where the test fails nobody waits for it."""
    pipe = subprocess.PIPE
    with subprocess.Popen(line, cwd=cwd, stdin=stdin, stdout=pipe, stderr=pipe, encoding="utf-8") as process:
        try:
            yield process
        finally:
            process.kill()


async def _get(port: int, path: str) -> str:
    """Ask once the server listens."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            break
        except ConnectionRefusedError:
            await asyncio.sleep(0)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    page = (await reader.read()).decode("utf-8")
    writer.close()
    return page
