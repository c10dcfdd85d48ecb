"""Scans of a seller's items, by each of the two readings of what the vendor says of them."""

import pytest
from tests.sources.mercadolivre_desk import desk_of, keys_of, pages_of
from tests.sources.scripted import SteppingClock

from comporta.sandbox.mercadolivre import MercadoLivreSandbox


@pytest.mark.parametrize("fault", [None, "scroll_limit=1"])
async def test_a_scan_names_no_limit_beside_its_scroll(clock: SteppingClock, fault: str | None) -> None:
    """One page of the vendor's says that a limit causes errors there, another that each step has one."""
    with MercadoLivreSandbox(records=0, items=230, sellers=1, clock=clock.now) as sandbox:
        if fault:
            sandbox.faults.add(fault)
        desk = desk_of(sandbox, clock)

        pages = await pages_of(await desk.read("items"))
        await desk.source.aclose()

    assert len(keys_of(*pages)) == 230
