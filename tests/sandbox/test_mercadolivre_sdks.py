"""Two clients of other people's making read the simulator, and find what its truth has."""

import pytest
import requests
from mercadolibre.client import Client
from pymeli import Meli
from tests.sandbox.mercadolivre_clients import OpenMarket, consent, logins, truth_of
from tests.sandbox.odoo_clients import Json

from comporta.sandbox.mercadolivre import MercadoLivreSandbox

HOST = "https://api.mercadolibre.com"
BACK = "https://example.com/back"


@pytest.fixture
def market(open_market: OpenMarket, monkeypatch: pytest.MonkeyPatch) -> MercadoLivreSandbox:
    """A Mercado Livre that answers in the place of the real one."""
    market = open_market(items=230)
    real = requests.Session.request

    def redirected(session: requests.Session, method: str, url: str, **rest: Json) -> requests.Response:
        assert url.startswith((HOST, market.url)), url
        answer: requests.Response = real(session, method, url.replace(HOST, market.url), **rest)
        return answer

    monkeypatch.setattr(requests.Session, "request", redirected)
    return market


def test_pymeli_scans_items_with_the_pair_it_refreshed(market: MercadoLivreSandbox) -> None:
    """With the token in the header and a form for the token call; it rotates twice and is never refused."""
    client = Meli(client_id="demo", client_secret="demo", access_token="none", refresh_token="demo-1001")
    client.refresh_token()
    pair = client.refresh_token()
    rows = {row["id"]: row for row in truth_of(market, "items")}
    listed = client.list_user_items()

    assert client.me()["id"] == 1001
    assert sorted(listed) == sorted(rows)
    assert [client.get_item(item_id=known) for known in listed[:3]] == [rows[known] for known in listed[:3]]
    assert logins(market)[1001]["current"] == pair["refresh_token"]
    with pytest.raises(requests.exceptions.HTTPError, match="not_found"):
        client.get_item(item_id="MLB1")


def test_pymeli_redeems_a_code(market: MercadoLivreSandbox) -> None:
    """Of the second seller, once."""
    client = Meli(client_id="demo", client_secret="demo")
    code = consent(market, seller="1002")["code"]

    assert client.exchange_code_for_token(code, BACK)["user_id"] == 1002
    with pytest.raises(requests.exceptions.HTTPError, match="invalid_grant"):
        client.exchange_code_for_token(code, BACK)


def test_mercadolibre_python_asks_with_everything_in_the_query(
    market: MercadoLivreSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Secrets and token are in the address, as old clients put them; a pair used twice is an error dict."""
    monkeypatch.setattr(Client, "BASE_URL", market.url)
    client = Client("demo", "demo", "MLB")
    client.set_token(client.exchange_code(BACK, consent(market)["code"]))
    stale = dict(client.refresh_token())
    refused = client.refresh_token()

    assert client.me() == {"id": 1001, "nickname": "LOJA_1001", "site_id": "MLB"}
    assert client.get_user(1002)["nickname"] == "LOJA_1002"
    assert stale["user_id"] == 1001
    assert refused["error"] == "invalid_grant"
    assert logins(market)[1001]["reuses"] == 1
