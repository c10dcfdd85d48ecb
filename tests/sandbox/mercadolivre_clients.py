"""What a client of Mercado Livre does, with nothing but urllib: refresh a token, ask with it, be redirected."""

from collections.abc import Callable
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import pytest
from tests.sandbox.odoo_clients import TIMEOUT_S, Json, Reply, fetch

from comporta.sandbox.mercadolivre import MercadoLivreSandbox

OpenMarket = Callable[..., MercadoLivreSandbox]
FORM = "application/x-www-form-urlencoded"
DEMO = {"client_id": "demo", "client_secret": "demo"}


class Standing(HTTPRedirectHandler):
    """Follows no redirect: where it leads is the point."""

    def redirect_request(self, *_said: Json) -> None:
        return None


def token_call(market: MercadoLivreSandbox, **form: str) -> Reply:
    """Ask for a pair of tokens."""
    return fetch(f"{market.url}/oauth/token", urlencode({**DEMO, **form}).encode(), Content_Type=FORM)


def refresh(market: MercadoLivreSandbox, token: str, **form: str) -> Reply:
    """Present a refresh token."""
    return token_call(market, grant_type="refresh_token", refresh_token=token, **form)


def login(market: MercadoLivreSandbox, seller: int = 1001) -> str:
    """Return an access token of a seller, for the newest refresh token."""
    return str(refresh(market, logins(market)[seller]["current"]).json["access_token"])


def logins(market: MercadoLivreSandbox) -> dict[int, dict[str, Json]]:
    """Return what the simulator saw of each seller's tokens."""
    return {row["seller"]: row for row in fetch(f"{market.url}/_truth/logins").json["records"]}


def get(market: MercadoLivreSandbox, route: str, token: str, query: dict[str, Json] | None = None) -> Reply:
    """Ask for a route with a token."""
    asked = f"?{urlencode(query)}" if query else ""
    return fetch(f"{market.url}/{route}{asked}", Authorization=f"Bearer {token}")


def consent(market: MercadoLivreSandbox, **query: str) -> dict[str, str]:
    """Open the page of consent, and return what its redirect says."""
    known = {"response_type": "code", "client_id": "demo", "redirect_uri": "https://example.com/back", **query}
    asked = Request(f"{market.url}/authorization?{urlencode(known)}")
    with pytest.raises(HTTPError) as redirect:
        build_opener(Standing).open(asked, timeout=TIMEOUT_S)
    with redirect.value as answer:
        assert answer.code == 302, answer.read()
        return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))


class Shopkeeper:
    """A client with one seller's token."""

    def __init__(self, market: MercadoLivreSandbox, seller: int = 1001) -> None:
        self.market = market
        self.seller = seller
        self.token = login(market, seller)

    def get(self, route: str, query: dict[str, Json] | None = None, **headers: str) -> Reply:
        """Ask for a route."""
        asked = f"?{urlencode(query)}" if query else ""
        return fetch(f"{self.market.url}/{route}{asked}", Authorization=f"Bearer {self.token}", **headers)

    def search(self, **query: Json) -> Reply:
        """Search the seller's orders."""
        return self.get("orders/search", {"seller": self.seller, **query})

    def orders(self, query: dict[str, Json] | None = None) -> list[dict[str, Json]]:
        """Return all orders that pages of fifty find."""
        found: list[dict[str, Json]] = []
        while True:
            reply = self.search(offset=len(found), limit=50, **(query or {}))
            assert reply.status == 200, reply.body
            page: list[dict[str, Json]] = reply.json["results"]
            if not page:
                return found
            found += page

    def scan(self, route: str, **query: Json) -> list[Json]:
        """Return all that a scroll shows."""
        found: list[Json] = []
        scroll: dict[str, Json] = {}
        while True:
            reply = self.get(route, {"search_type": "scan", **query, **scroll})
            assert reply.status == 200, reply.body
            page = reply.json["results"]
            if not page:
                return found
            found += page
            scroll = {"scroll_id": reply.json.get("scroll_id") or reply.json["paging"]["scroll_id"]}


def truth_of(market: MercadoLivreSandbox, stream: str, seller: int = 1001) -> list[dict[str, Json]]:
    """Return every record of a seller's stream."""
    records: list[dict[str, Json]] = fetch(f"{market.url}/_truth/{stream}?seller={seller}").json["records"]
    return records
