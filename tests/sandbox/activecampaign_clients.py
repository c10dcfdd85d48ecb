"""What a client of ActiveCampaign does, with nothing but urllib: ask with a key, page by offset."""

from collections.abc import Callable
from urllib.parse import urlencode

from tests.sandbox.odoo_clients import Json, Reply, fetch

from comporta.sandbox.activecampaign import ActiveCampaignSandbox

OpenAccount = Callable[..., ActiveCampaignSandbox]
Query = dict[str, Json]


def get(
    sandbox: ActiveCampaignSandbox, route: str, query: Query | None = None, *, key: str = "demo", account: str = ""
) -> Reply:
    """Ask for a route below ``/api/3``."""
    asked = f"?{urlencode(query)}" if query else ""
    return fetch(f"{sandbox.url}{account}/api/3/{route}{asked}", Api_Token=key)


def rows(sandbox: ActiveCampaignSandbox, stream: str, query: Query | None = None) -> list[dict[str, Json]]:
    """Return one page of a stream, a hundred rows unless the query says otherwise."""
    reply = get(sandbox, stream, {"limit": 100, **(query or {})})
    assert reply.status == 200, reply.body
    found: list[dict[str, Json]] = reply.json[stream]
    return found


def ids(sandbox: ActiveCampaignSandbox, stream: str, query: Query | None = None) -> list[int]:
    """Return the ids on one page."""
    return [int(row["id"]) for row in rows(sandbox, stream, query)]


def paged(sandbox: ActiveCampaignSandbox, stream: str, size: int, query: Query | None = None) -> list[int]:
    """Return the ids that a naive client gets: pages of that size, side by side, until one is short."""
    found: list[int] = []
    while True:
        page = ids(sandbox, stream, {"limit": size, "offset": len(found), **(query or {})})
        found += page
        if len(page) < size:
            return found
