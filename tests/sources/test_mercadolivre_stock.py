"""Stock is told of by user product, which an item or one of its variations is."""

from pathlib import Path

import pytest
from tests.sources.mercadolivre_desk import SELLER
from tests.sources.mercadolivre_shop import Shop, open_shop

from comporta.core.window import Kind
from comporta.sandbox.mercadolivre import MercadoLivreSandbox
from comporta.sources.mercadolivre_notifications import point


def tell(shop: Shop, *names: str) -> None:
    """Tell of the stock of user products, as notifications do."""
    pointers = [point("stock-location", f"/user-products/{name}/stock") for name in names]
    rows = [{"scope": "loja/items", "parent": each.key, "told_at": None} for each in pointers if each is not None]
    shop.database.write(lambda session: session.each("hint", rows)).result()


@pytest.mark.parametrize("has_variations", [False, True])
async def test_the_items_of_a_user_product_are_read(tmp_path: Path, *, has_variations: bool) -> None:
    """Those alone; a user product that none of ours is, is not asked for."""
    with MercadoLivreSandbox(records=1, items=20, sellers=1) as sandbox:
        async with open_shop(tmp_path, sandbox) as shop:
            await shop.run("items")
            items = [sandbox.world.items[known] for known in sandbox.world.shelves[SELLER].items]
            told = next(each for each in items if bool(each.variations) is has_variations)
            table, key = ("item_variations", "item_id") if has_variations else ("items", "id")
            query = f"SELECT user_product_id FROM mercadolivre_{table} WHERE {key} = '{told.id}'"
            ((name,), *_) = shop.query(query)
            sandbox.world.change_item(told.id, sold=told.sold + 1, is_told=False)
            tell(shop, str(name), "MLBU1")
            run = await shop.run("items", Kind.NOTIFICATION)

            assert (run.error, run.counts.read, run.counts.updated) == (None, 1, 1)
            assert shop.differences("items") == []
            assert shop.query("SELECT parent FROM cmp_hint") == []
