"""Records of Mercado Livre that cannot be written: few of them stop no other, and too many are no success."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.sources.mercadolivre_shop import agreed, open_shop
from tests.sources.test_mercadolivre_odd import answers_oddly, named_shipments, quarantined

from comporta.core.run import RunState
from comporta.core.window import Kind
from comporta.errors import RecordRejected, TooManyRejected
from comporta.sandbox import mercadolivre_search
from comporta.sandbox.mercadolivre import MercadoLivreSandbox
from comporta.sandbox.mercadolivre_orders import order_row
from comporta.sandbox.mercadolivre_records import Order


@pytest.mark.parametrize("odd", [{"id": None}, {"last_updated": None}])
async def test_one_odd_order_waits_and_the_window_closes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: Mapping[str, Any]
) -> None:
    """It is shown, with its reason; when it is sound again it comes in by itself."""
    with MercadoLivreSandbox(records=40, items=8, sellers=1, faults=["cancelled=shown"]) as sandbox:
        async with open_shop(tmp_path, sandbox) as shop:
            known = list(sandbox.world.orders)[20]
            with monkeypatch.context() as patch:
                patch.setattr(mercadolivre_search, "order_row", lambda order, **how: _shown(order, known, odd, **how))
                first = await shop.run()
                waiting = quarantined(shop)
            again = await shop.run(kind=Kind.FULL)

            assert (first.state, first.counts.rejected, agreed(first)) == (RunState.SUCCEEDED, 1, True)
            assert [code for _, code in waiting] == [RecordRejected.code]
            assert (again.state, again.counts.inserted) == (RunState.SUCCEEDED, 1)
            assert shop.differences() == []


def _shown(order: Order, known: int, odd: Mapping[str, Any], **how: bool) -> dict[str, Any]:
    row = order_row(order, **how)
    return {**row, **odd} if order.id == known else row


async def test_shipments_that_cannot_be_written_any_more_are_no_success(tmp_path: Path) -> None:
    """The source changed its form: the run fails, and looks for all of them again when it is understood."""
    with MercadoLivreSandbox(records=60, items=8, sellers=1) as sandbox:
        async with open_shop(tmp_path, sandbox) as shop:
            await shop.run()
            keys = named_shipments(shop)
            for key in keys:
                answers_oddly(sandbox, ["shipments", str(key)], 200, {"id": key, "last_updated": "today"})

            run = await shop.run("shipments")

            assert (run.state, run.error and run.error["code"]) == (RunState.FAILED, TooManyRejected.code)
            assert (run.counts.rejected, agreed(run)) == (len(keys), True)
            assert shop.query("SELECT count(*) FROM cmp_hint WHERE scope = 'loja/shipments'") == [(len(keys),)]
            assert shop.query("SELECT * FROM cmp_coverage WHERE scope = 'loja/shipments'") == []
