"""The invented company's orders: one to eight lines, mostly products, some sections and notes.

Amounts are computed with the rules of ``odoo_amounts``, so that writing an equal value changes nothing
but the stamp.
"""

from collections.abc import Callable
from typing import Any

from comporta.sandbox import invented
from comporta.sandbox.odoo_amounts import TAX_RATES, order_amounts
from comporta.sandbox.odoo_fields import Record
from comporta.sandbox.odoo_labels import label_of
from comporta.sandbox.odoo_seed import UNSET, YES, Seeder

LINE_COUNTS = (1,) * 25 + (2,) * 22 + (3,) * 20 + (4,) * 13 + (5,) * 9 + (6,) * 5 + (7,) * 3 + (8,) * 3
STATES = ("draft",) * 12 + ("sent",) * 8 + ("sale",) * 62 + ("locked",) * 10 + ("cancel",) * 8
BATCH_EVERY = 500
BATCH_SIZE = 12
ORDER_CELLS = (
    "name company_id partner_id state locked client_order_ref origin date_order commitment_date validity_date "
    "require_signature prepayment_percent partner_invoice_id partner_shipping_id payment_term_id pricelist_id "
    "currency_id currency_rate user_id team_id amount_untaxed amount_tax amount_total invoice_status note tag_ids "
    "warehouse_id picking_policy cnpj_cpf access_token"
)
LINE_CELLS = (
    "order_id sequence company_id currency_id order_partner_id salesman_id state display_type product_id name "
    "product_uom_qty product_uom product_uom_id tax_id tax_ids price_unit discount price_subtotal price_tax "
    "price_total price_reduce_taxexcl price_reduce_taxinc qty_delivered_method qty_delivered qty_invoiced "
    "qty_to_invoice invoice_status untaxed_amount_invoiced untaxed_amount_to_invoice analytic_distribution "
    "customer_lead"
)


class OrderSeeder:
    """Builds orders one by one; lines number themselves on."""

    def __init__(self, seeder: Seeder) -> None:
        self.seeder = seeder
        self.rng = seeder.rng
        self.make_order = seeder.maker("sale.order", ORDER_CELLS)
        self.make_line: Callable[..., Record] = seeder.maker("sale.order.line", LINE_CELLS)
        tables = seeder.database.tables
        self.partners = tables["res.partner"].ids
        self.goods = [self._good(known) for known in tables["product.product"].ids]
        self.orders: list[Record] = []
        self.lines: list[Record] = []
        self.vats = {known: seeder.database.value("res.partner", known, "vat") for known in self.partners}

    def build(self, known: int, stamps: tuple[str, str], date_order: str) -> None:
        """Add one order and its lines."""
        rng = self.rng
        mood = STATES[int(rng.random() * len(STATES))]
        state = mood if mood != "locked" else ("done" if self.seeder.database.version == 16 else "sale")
        company = 2 if rng.random() < 0.03 else 1
        partner = self.partners[int(rng.random() * len(self.partners))]
        billing = "no" if state in {"draft", "sent", "cancel"} else rng.choice(("to invoice", "invoiced"))
        common = (company, 6, partner, 2 + (known % 2), state, billing)
        totals = order_amounts(self._lines(known, stamps, common))
        reference = f"PC-{rng.randint(1, 99_999)}" if rng.random() < 0.4 else UNSET
        row = self.make_order(
            known, *stamps, f"S{known:05d}", company, partner, state, mood == "locked", reference,
            "Loja on-line" if rng.random() < 0.2 else UNSET, date_order,
            f"{stamps[1][:10]} 15:00:00" if rng.random() < 0.3 else UNSET,
            stamps[0][:10] if state == "draft" else UNSET,
            YES, 1.0, partner, partner, rng.randint(1, 3), 1, 6, 1.0, 2 + (known % 2), 1, *totals.values(), billing,
            f"<p>{rng.choice(invented.NOTES)}</p>" if rng.random() < 0.2 else UNSET,
            (rng.randint(1, 3),) if rng.random() < 0.3 else (), company, "direct", self.vats[partner], UNSET,
        )  # fmt: skip
        self.orders.append(row)

    def _good(self, known: int) -> tuple[int, str, float, tuple[int, ...]]:
        database = self.seeder.database
        template = database.value("product.product", known, "product_tmpl_id")
        price = database.value("product.template", template, "list_price")
        taxes = database.value("product.template", template, "taxes_id")
        return known, label_of(database.tables, "product.product", known), price, taxes

    def _lines(self, order: int, stamps: tuple[str, str], common: tuple[Any, ...]) -> list[tuple[float, float]]:
        amount = LINE_COUNTS[int(self.rng.random() * len(LINE_COUNTS))]
        sums: list[tuple[float, float]] = []
        good = self.goods[0]
        for place in range(amount):
            kind = self._kind(place, amount)
            if kind:
                self._add_text(order, place, stamps, common, kind)
                continue
            is_repeated = bool(sums) and self.rng.random() < 0.04
            good = good if is_repeated else self.goods[int(self.rng.random() * len(self.goods))]
            sums.append(self._add_product(order, place, stamps, common, good))
        return sums

    def _kind(self, place: int, amount: int) -> str:
        if amount >= 4 and place == 0 and self.rng.random() < 0.15:
            return "line_section"
        is_last = amount >= 3 and place == amount - 1
        return "line_note" if is_last and self.rng.random() < 0.2 else ""

    def _add_text(self, order: int, place: int, stamps: tuple[str, str], common: tuple[Any, ...], kind: str) -> None:
        words = invented.SECTIONS if kind == "line_section" else invented.NOTES
        row = self.make_line(
            len(self.lines) + 1, *stamps, order, 10 * place + 10, *common[:5], kind, UNSET, self.rng.choice(words),
            0.0, UNSET, UNSET, (), (), *(0.0,) * 7, UNSET, 0.0, 0.0, 0.0, "no", 0.0, 0.0, UNSET, 0.0,
        )  # fmt: skip
        self.lines.append(row)

    def _add_product(
        self, order: int, place: int, stamps: tuple[str, str], common: tuple[Any, ...], good: tuple[Any, ...]
    ) -> tuple[float, float]:
        product, label, price, taxes = good
        chance = self.rng.random()
        quantity = float(1 + int(chance * 12))
        discount = 10.0 if chance < 0.1 else 0.0
        subtotal = round(quantity * price * (1 - discount / 100), 2)
        tax = round(subtotal * sum(TAX_RATES[known] for known in taxes), 2)
        total = round(subtotal + tax, 2)
        invoiced = quantity if common[5] == "invoiced" else 0.0
        row = self.make_line(
            len(self.lines) + 1, *stamps, order, 10 * place + 10, *common[:5], UNSET, product, label, quantity, 1, 1,
            taxes, taxes, price, discount, subtotal, tax, total, round(subtotal / quantity, 2),
            round(total / quantity, 2), "stock_move", invoiced, invoiced, quantity - invoiced, common[5],
            subtotal if invoiced else 0.0, 0.0 if invoiced else subtotal, {"1": 100.0} if chance > 0.9 else UNSET, 0.0,
        )  # fmt: skip
        self.lines.append(row)
        return subtotal, tax


def seed_orders(seeder: Seeder, amount: int) -> None:
    """Create the orders, older ones first; batches of twelve share their last stamp."""
    orders = OrderSeeder(seeder)
    batch = ""
    for known in range(1, amount + 1):
        created, written = seeder.magic((known - seeder.rng.random()) / amount)
        if known % BATCH_EVERY == 1:
            batch = seeder.stamp(min(1.0, known / amount + 0.01))
        if known % BATCH_EVERY <= BATCH_SIZE and known > BATCH_EVERY:
            written = batch
        orders.build(known, (created, max(created, written)), created[:19])
    seeder.load("sale.order", orders.orders)
    seeder.load("sale.order.line", orders.lines)
