"""Notifications that anybody may make up: what they cost at the API."""

from pathlib import Path

from tests.sources.mercadolivre_desk import SELLER
from tests.sources.mercadolivre_shop import hours_ago, open_shop

from comporta.core.instant import instant_text
from comporta.core.window import Kind
from comporta.sandbox.mercadolivre import MercadoLivreSandbox

WAKE = "UPDATE cmp_hint SET not_before = NULL"


async def test_five_thousand_forged_orders_cost_a_hundred_requests_and_lose_none(tmp_path: Path) -> None:
    """What we have is read beside them, and a new order that is told of among them comes with the next window."""
    with MercadoLivreSandbox(records=40, items=8, sellers=1) as sandbox:
        async with open_shop(tmp_path, sandbox) as shop:
            await shop.run()
            own = next(each.id for each in sandbox.world.orders_of(SELLER) if each.status == "paid")
            sandbox._control.perform({"do": "cancel_order", "id": own})
            for _ in range(3):
                sandbox._control.perform({"do": "create_order"})
            told = [own, *range(1, 5_001), *(each.id for each in sandbox.world.orders_of(SELLER))]
            now = instant_text(hours_ago(0))
            hints = [{"scope": "loja/orders", "parent": str(key), "told_at": now} for key in told]
            shop.database.write_now(lambda session: session.each("hint", hints))
            before = sandbox.stats.requests
            for _ in range(3):
                await shop.run(kind=Kind.NOTIFICATION)
                shop.database.write_now(lambda session: session.connection.execute(WAKE))
            spent = sandbox.stats.requests - before
            cancelled = shop.query(f"SELECT status FROM mercadolivre_orders WHERE id = {own}")
            await shop.run()

            assert (spent <= 150, cancelled) == (True, [("cancelled",)])
            assert shop.differences() == []
