"""Views that depend on rows move too: they are made once the rows are there, and go with an unfinished copy."""

import pytest
from tests.conformance.test_views_deals import DATA, DEALS, META, ROWS
from tests.moving.conftest import Address
from tests.moving.samples import put
from tests.moving.shop import Shop, abandon, move
from tests.moving.stage import asked, by_hand, is_postgres

from comporta.errors import ComportaError
from comporta.ports.store import Batch

pytestmark = pytest.mark.timeout(60)
BOTH = [pytest.param("sqlite"), pytest.param("postgres", marks=pytest.mark.full)]


def fill(address: str) -> None:
    """Write deals, definitions and values of one account."""
    put(address, Batch(META, [(1, "Origem", "text", 1)]))
    put(address, Batch(DATA, [(900, 46, 1, "Site", None)]))
    put(address, Batch(DEALS, ROWS[DEALS]))


def views(address: str) -> set[object]:
    """Return the names of all views."""
    query = "SELECT name FROM sqlite_master WHERE type = 'view'"
    if is_postgres(address):
        query = "SELECT viewname AS name FROM pg_views WHERE schemaname = 'mirror'"
    return {row["name"] for row in asked(address, query)}


@pytest.mark.parametrize("kind", BOTH)
def test_the_view_of_an_account_moves_with_its_custom_fields(shop: Shop, new_database: Address, kind: str) -> None:
    """Nobody waits for the next sync to see them."""
    fill(shop.database)
    by_hand(shop.database, "DROP VIEW deals_loja")
    shop.move(new_database(kind))

    assert asked(shop.database, "SELECT title, origem FROM {mirror}deals_loja WHERE status = 'open'") == [
        {"title": "Padaria", "origem": "Site"}
    ]


@pytest.mark.full
def test_a_move_that_is_taken_back_leaves_none(shop: Shop, new_database: Address) -> None:
    """Here a deal's title is what PostgreSQL cannot hold, when the view has been made already."""
    fill(shop.database)
    put(shop.database, Batch(DEALS, [(50, "a\0b", *ROWS[DEALS][0][2:])]))
    target = new_database("postgres")
    with pytest.raises(ComportaError, match="NUL"):
        move(shop.database, target)
    before = views(target)
    abandon(shop.database, target)

    assert ("deals_loja" in before, views(target)) == (True, set())
