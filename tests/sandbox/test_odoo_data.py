from collections import Counter
from decimal import Decimal
from functools import cache

import pytest
from tests.sandbox.odoo_clients import START, Json, Open, StandingClock, truth

from comporta.sandbox.clock import SourceClock
from comporta.sandbox.odoo import OdooSandbox, build_world
from comporta.sandbox.odoo_truth import records

MODELS = ("sale.order", "sale.order.line", "res.partner", "product.template", "product.product", "res.currency")


def built(model: str, *, version: int = 19, seed: int = 1, amount: int = 1000) -> list[dict[str, Json]]:
    """Return the truth of a freshly built company."""
    world = build_world(records=amount, seed=seed, version=version, clock=SourceClock(StandingClock()))
    return records(world, model)


rows = cache(built)
"""The same, built once for all who only look."""


@pytest.mark.parametrize("model", MODELS)
def test_the_same_seed_gives_the_same_company(model: str) -> None:
    """Every cell follows from the seed and the base instant."""
    assert built(model, amount=100) == built(model, amount=100)


def test_another_seed_gives_another_company() -> None:
    """Names, amounts and stamps differ."""
    assert rows("sale.order", seed=1, amount=100) != rows("sale.order", seed=2, amount=100)


def test_orders_have_about_three_lines() -> None:
    """One to eight, three in the mean, and every line has its order."""
    lines = Counter(row["order_id"] for row in rows("sale.order.line"))

    assert set(lines) == set(range(1, 1001))
    assert (min(lines.values()), max(lines.values())) == (1, 8)
    assert 2.7 < lines.total() / 1000 < 3.3


def test_stamps_lie_in_two_years_and_end_some_days_ago() -> None:
    """Nothing was created after it was written, nothing is stamped in the last three days."""
    for model in ("sale.order", "sale.order.line", "res.partner", "product.template"):
        stamps = [(row["create_date"], row["_write_date_exact"]) for row in rows(model)]

        assert all(created <= written[:19] for created, written in stamps)
        assert min(created for created, _ in stamps) >= "2024-03-10"
        assert "2026-03-01" < max(written for _, written in stamps) <= "2026-03-07 12:00:00.250000"
    assert START.isoformat() > "2026-03-10"


def test_the_awkward_cases_are_there() -> None:
    """Notes, sections, one product twice, codes missing or repeated, archived rows, shared stamps."""
    lines = rows("sale.order.line")
    codes = Counter(row["default_code"] for row in rows("product.product"))
    pairs = Counter((row["order_id"], row["product_id"]) for row in lines if row["product_id"])
    stamps = Counter(row["_write_date_exact"] for row in rows("sale.order"))

    assert {row["display_type"] for row in lines} == {None, "line_section", "line_note"}
    assert max(pairs.values()) > 1
    assert codes[None] > 0
    assert max(amount for code, amount in codes.items() if code) > 1
    assert max(stamps.values()) >= 10
    assert any(row["analytic_distribution"] for row in lines)
    for model in ("res.partner", "product.template", "product.product"):
        assert {row["active"] for row in rows(model)} == {True, False}
    assert {row["company_id"] for row in rows("sale.order")} == {1, 2}


def test_note_lines_have_neither_product_nor_amount() -> None:
    """They would double keys and spoil sums if they had."""
    notes = [row for row in rows("sale.order.line") if row["display_type"]]

    assert {(row["product_id"], row["price_total"], row["product_uom_id"]) for row in notes} == {(None, 0.0, None)}


@pytest.mark.full
@pytest.mark.parametrize("version", [16, 19])
def test_headers_are_the_sum_of_their_lines(version: int) -> None:
    """To the cent, for every order."""
    sums: dict[int, Decimal] = {}
    for line in rows("sale.order.line", version=version):
        sums[line["order_id"]] = sums.get(line["order_id"], Decimal()) + Decimal(str(line["price_total"]))

    assert sums == {row["id"]: Decimal(str(row["amount_total"])) for row in rows("sale.order", version=version)}


def test_writing_an_equal_quantity_changes_no_amount(odoo: OdooSandbox) -> None:
    """Seeded amounts are those the rules would compute."""
    before = truth(odoo, "sale.order.line")
    for row in before:
        odoo.world.write("sale.order.line", row["id"], {"product_uom_qty": row["product_uom_qty"]})
    moved = {"write_date", "_write_date_exact"}

    for old, new in zip(before, truth(odoo, "sale.order.line"), strict=True):
        assert {name for name in old if old[name] != new[name]} <= moved, old["id"]


def test_names_are_written_with_accents() -> None:
    """What breaks an encoding is in the data."""
    text = "".join(row["name"] for row in rows("res.partner"))

    assert set("ãçéíóú") <= set(text)


@pytest.mark.full
def test_many_orders_start_quickly(open_odoo: Open) -> None:
    """Twenty thousand orders are there within the ten seconds a test has."""
    odoo = open_odoo(records=20_000)

    assert len(odoo.world.ids("sale.order")) == 20_000
