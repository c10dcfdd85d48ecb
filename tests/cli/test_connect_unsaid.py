"""`comporta connect mercadolivre` where an answer brings a pair and does not say whose it is, or brings none yet."""

import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Command
from tests.sandbox.mercadolivre_clients import logins

from comporta.core.login import token_fingerprint
from comporta.errors import SourceUnavailable
from comporta.ports.login import Tokens
from comporta.ports.progress import Progress
from comporta.sandbox.mercadolivre import MercadoLivreSandbox
from comporta.sandbox.mercadolivre_logins import Login
from comporta.sources.mercadolivre_oauth import MercadoLivreOAuth, User


@pytest.fixture
def market(monkeypatch: pytest.MonkeyPatch) -> Iterator[MercadoLivreSandbox]:
    """Serve a market that does not say whose its pairs are, nor how long they live."""
    with MercadoLivreSandbox(records=2, sellers=2, items=2) as sandbox:
        rotate = sandbox.logins._rotate

        def bare(login: Login) -> dict[str, Any]:
            return {name: value for name, value in rotate(login).items() if name not in {"user_id", "expires_in"}}

        monkeypatch.setattr(sandbox.logins, "_rotate", bare)
        yield sandbox


@pytest.fixture
def shop(folder: Path, market: MercadoLivreSandbox, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with an account that has no login yet, and first tokens of two sellers."""
    account = f'[accounts.loja1]\nsource = "mercadolivre"\nurl = "{market.url}"\n'
    account += 'client_id = "env:APP"\nclient_secret = "env:APP"\n'
    text = f'database = "sqlite:///shop.db"\nstate_dir = "state"\n{account}'
    (folder / "comporta.toml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("APP", "demo")
    for seller in ("1001", "1002"):
        (folder / seller).write_text(f"demo-{seller}", encoding="utf-8")
    return folder


def kept(folder: Path) -> list[tuple[object, ...]]:
    """Return whose logins are stored, and their tokens' fingerprints."""
    with closing(sqlite3.connect(folder / "shop.db")) as connection:
        return connection.execute("SELECT user_id, token FROM cmp_login").fetchall()


def test_whose_a_first_pair_is_is_asked_where_it_does_not_say(
    shop: Path, market: MercadoLivreSandbox, comporta: Command
) -> None:
    """No second use of the token would tell; it was used once."""
    said = comporta("connect", "mercadolivre", "loja1", "--refresh-token", "file:1001")
    held = logins(market)[1001]

    assert (said.code, held["refreshes"], held["invalid_grants"]) == (0, 1, 0)
    assert kept(shop) == [("1001", token_fingerprint(held["current"]))]


def test_another_seller_s_pair_that_does_not_say_so_is_refused_too(shop: Path, comporta: Command) -> None:
    """The browser may be logged in as anybody: what the account has read so far does not tell."""
    base = ("connect", "mercadolivre", "loja1")
    comporta(*base, "--refresh-token", "file:1001")
    before = kept(shop)

    said = comporta(*base, "--refresh-token", "file:1002")

    assert said.code == 2
    assert "reads seller 1001, and access was granted by seller 1002; nothing was kept" in said.err
    assert kept(shop) == before


@contextmanager
def unanswered() -> Iterator[None]:
    """Let nobody say whose a pair is."""

    async def user(self: MercadoLivreOAuth, tokens: Tokens, progress: Progress) -> User:
        raise SourceUnavailable("whose these are: answered 500")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MercadoLivreOAuth, "user", user)
        yield


def test_a_pair_is_kept_where_nobody_says_whose_it_is(
    shop: Path, market: MercadoLivreSandbox, comporta: Command
) -> None:
    """It exists nowhere else, and what bought it is used up; whose it is shows when it is used."""
    with unanswered():
        said = comporta("connect", "mercadolivre", "loja1", "--refresh-token", "file:1001", "--json")
    stored = kept(shop)
    checked = comporta("check", "loja1")

    assert (said.code, said.json["seller"], said.json["user_id"]) == (0, None, None)
    assert "answered 500" in said.err
    assert stored == [(None, token_fingerprint(logins(market)[1001]["current"]))]
    assert (checked.code, "as seller 1001" in checked.out) == (0, True)


def test_a_pair_of_nobody_knows_whom_reads_no_other_seller_into_an_account(
    shop: Path, market: MercadoLivreSandbox, comporta: Command
) -> None:
    """The account asks for its own seller's data, which another's token is refused."""
    base = ("connect", "mercadolivre", "loja1")
    comporta(*base, "--refresh-token", "file:1001")
    with unanswered():
        said = comporta(*base, "--refresh-token", "file:1002")
    stored = kept(shop)
    synced = comporta("sync", "loja1", "--json")

    assert said.code == 0
    assert stored == [("1001", token_fingerprint(logins(market)[1002]["current"]))]
    assert {run["error"]["code"] for run in synced.json["runs"] if run["stream"] in {"orders", "items"}} == {
        "CMP-AUTH-002"
    }
    assert {run["counts"]["read"] for run in synced.json["runs"]} == {0}


@pytest.mark.usefixtures("shop")
def test_nobody_is_sent_to_a_page_from_which_no_way_leads_back(comporta: Command) -> None:
    """Who is quick would come back before anybody listens, and where nobody can the consent would be for nothing."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        back = f"http://127.0.0.1:{taken.getsockname()[1]}/back"
        said = comporta("connect", "mercadolivre", "loja1", "--redirect-uri", back)

    assert (said.code, "cannot be listened on" in said.err) == (2, True)
    assert "Open this address" not in said.err


@pytest.mark.parametrize("fault", ["oauth_429=1:1", "oauth_500=1:1"])
def test_what_passes_is_to_be_tried_again_by_whoever_asked(
    shop: Path, market: MercadoLivreSandbox, comporta: Command, fault: str
) -> None:
    """Nobody else does: that the requests go on by themselves is true of syncs."""
    market.faults.add(fault)

    said = comporta("connect", "mercadolivre", "loja1", "--refresh-token", "file:1001")

    assert (said.code, "Run this command once more in a minute" in said.err) == (1, True)
    assert comporta("connect", "mercadolivre", "loja1", "--refresh-token", "file:1001").code == 0
    assert kept(shop)


@pytest.mark.parametrize("site", ["MLA", "MLB"])
def test_a_seller_of_another_country_is_told_of(
    shop: Path, market: MercadoLivreSandbox, comporta: Command, site: str
) -> None:
    """The pair is kept, and missed notifications of items would be asked for where this seller has none."""
    base = ("--client-id", "env:APP", "--client-secret", "env:APP", "--url", market.url, "--refresh-token", "file:1002")

    said = comporta("connect", "mercadolivre", "loja2", "--site", site, *base)

    assert said.code == 0
    assert ("LOJA_1002 sells in MLB, and `site` of loja2 is MLA" in said.err) == (site == "MLA")
