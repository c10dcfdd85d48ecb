"""A simulated Mercado Livre as a test sees it: over HTTP only, and the accounts that read its sellers."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.acceptance.company import Company
from tests.acceptance.databases import Database, Json

from comporta.core.instant import instant_text

FIRST_SELLER = 1001
LINES = "mercadolivre_order_items"


class Market(Company):
    """Several sellers of one application."""

    def records(self, stream: str, seller: int) -> dict[str, dict[str, Json]]:
        """Return every record of a seller's stream, by key as text."""
        return {str(each["id"]): each for each in self.truths(f"{stream}?seller={seller}")}

    def stats(self) -> dict[str, Json]:
        """Return what the simulator has counted."""
        return self._stats()


def account(url: str, seller: int, folder: Path) -> dict[str, Any]:
    """Return the account of a seller, its first refresh token in a file of its own."""
    (folder / f"token-{seller}").write_text(f"demo-{seller}", encoding="utf-8")
    secrets = {"client_id": "file:key", "client_secret": "file:key", "refresh_token": f"file:token-{seller}"}
    return {"source": "mercadolivre", "url": url, **secrets}


def orders_apart(market: Market, database: Database, name: str, seller: int) -> list[str]:
    """Return in what the orders of an account differ from the seller's, lines included; none is the aim.

    One that was cancelled before we ever saw it is hidden from searches, so nobody can know of it.
    """
    query = "SELECT id, status, total_amount, last_updated FROM mercadolivre_orders WHERE account = ?"
    ours = {str(key): (status, float(amount), _text(at)) for key, status, amount, at in database.ask(query, name)}
    theirs = {
        key: (each["status"], float(each["total_amount"]), _text(each["last_updated"]))
        for key, each in market.records("orders", seller).items()
    }
    known = {key: each for key, each in theirs.items() if key in ours or each[0] != "cancelled"}
    lines = f"SELECT order_id, count(*) FROM {LINES} WHERE account = ? AND _cmp_deleted_at IS NULL GROUP BY order_id"
    counted = {str(key): count for key, count in database.ask(lines, name)}
    records = market.records("orders", seller)
    unlike = [key for key in known if counted.get(key, 0) != len(records[key]["order_items"])]
    return [*_apart(ours, known), *(f"{key}: other lines" for key in unlike)]


def items_apart(market: Market, database: Database, name: str, seller: int) -> list[str]:
    """Return in what the items of an account differ from the seller's."""
    query = (
        "SELECT id, title, status, price, available_quantity FROM mercadolivre_items"
        " WHERE account = ? AND _cmp_deleted_at IS NULL"
    )
    ours = {key: (title, status, float(price), stock) for key, title, status, price, stock in database.ask(query, name)}
    theirs = {
        key: (each["title"], each["status"], float(each["price"]), each["available_quantity"])
        for key, each in market.records("items", seller).items()
    }
    return list(_apart(ours, theirs))


def _apart(ours: dict[str, Any], theirs: dict[str, Any]) -> Iterable[str]:
    for key in sorted(ours.keys() | theirs.keys()):
        if ours.get(key) != theirs.get(key):
            yield f"{key}: {ours.get(key)} is not {theirs.get(key)}"


def _text(at: Json) -> str:
    instant = at if isinstance(at, datetime) else datetime.fromisoformat(at)
    return instant_text(instant.astimezone(UTC))
