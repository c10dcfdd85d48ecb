"""The invented company on its first day: lookups, people, products, then orders with their lines.

Everything follows from the seed; only the instants hang on the base instant given. Two in a hundred
orders share one stamp in batches, as after an import: a page border may fall among them.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

from comporta.sandbox import invented
from comporta.sandbox.odoo_database import Database
from comporta.sandbox.odoo_fields import Record
from comporta.sandbox.odoo_stamps import exact_text

HISTORY = timedelta(days=730)
QUIET_END = timedelta(days=3)
PRODUCTS_MAX = 5_000
LOOKUPS = {
    "account.payment.term": ("À vista", "30 dias", "30/60 dias"),
    "account.tax": ("ICMS 18%", "ICMS 12%", "ICMS 7%"),
    "account.fiscal.position": ("Dentro do estado", "Interestadual"),
    "crm.tag": ("Atacado", "Varejo", "Reposição"),
    "crm.team": ("Vendas", "Loja on-line"),
    "product.category": ("Tudo", "Casa", "Vestuário"),
    "product.pricelist": ("Tabela padrão", "Atacado"),
    "res.country.state": ("São Paulo", "Paraná", "Ceará"),
    "res.groups": ("Usuário interno", "Vendas: todos os documentos"),
    "stock.warehouse": ("Depósito central", "Filial"),
    "uom.uom": ("Unidades", "Caixa", "kg"),
}
CURRENCIES = {1: ("EUR", "Euro", "€"), 2: ("USD", "Dólar americano", "$"), 6: ("BRL", "Real brasileiro", "R$")}
BRAZIL = 31
STAFF = (3, 4)
YES = True
# What Odoo shows, and this simulator stores, where there is no value.
UNSET = False


class Seeder:
    """Fills an empty database once."""

    def __init__(self, database: Database, rng: Random, base: datetime) -> None:
        self.database = database
        self.rng = rng
        self.first = base - HISTORY
        self.last = base - QUIET_END
        self.span_us = int((self.last - self.first) / timedelta(microseconds=1))

    def stamp(self, share: float) -> str:
        """Return the stored text of the instant that lies at this share of history."""
        return exact_text(self.first + timedelta(microseconds=int(share * self.span_us)))

    def magic(self, share: float) -> tuple[str, str]:
        """Return create and write stamps; two of five records were never written again."""
        created = self.stamp(share)
        later = share + (1 - share) * self.rng.random() ** 3
        return created, created if self.rng.random() < 0.4 else self.stamp(later)

    def maker(self, model: str, names: str) -> Callable[..., Record]:
        """Return a function that builds a row from the named cells, leaving out those this version lacks."""
        cells = self.database.models[model].cells
        blank = self.database.models[model].blank()
        blank[cells["create_uid"]] = blank[cells["write_uid"]] = 2
        wanted = ["id", "create_date", "write_date", *names.split()]
        places = [(cells[name], index) for index, name in enumerate(wanted) if name in cells]

        def make(*values: Any) -> Record:
            row = blank.copy()
            for place, index in places:
                row[place] = values[index]
            return tuple(row)

        return make

    def load(self, model: str, rows: Sequence[Record]) -> None:
        """Publish rows of one model."""
        self.database.table(model).load(rows)


def seed_basics(seeder: Seeder) -> None:
    """Create what orders point to and nobody edits: companies, users, currencies, lookups."""
    dawn = seeder.stamp(0.0)
    for model, names in LOOKUPS.items():
        make = seeder.maker(model, "name")
        seeder.load(model, [make(place, dawn, dawn, name) for place, name in enumerate(names, 1)])
    seeder.load("res.country", [seeder.maker("res.country", "name")(BRAZIL, dawn, dawn, "Brasil")])
    models = sorted(seeder.database.models)
    make = seeder.maker("ir.model", "name model")
    seeder.load("ir.model", [make(place, dawn, dawn, name, name) for place, name in enumerate(models, 1)])
    make = seeder.maker("res.currency", "name full_name symbol rounding decimal_places active position")
    rows = [make(known, dawn, dawn, *words, 0.01, 2, YES, "before") for known, words in CURRENCIES.items()]
    seeder.load("res.currency", rows)
    make = seeder.maker("res.company", "name partner_id currency_id sequence active email")
    names = ("Comercial São Ninguém Ltda", "Comercial São Ninguém Filial Ltda")
    rows = [make(known, dawn, dawn, names[known - 1], known, 6, 10, YES, UNSET) for known in (1, 2)]
    seeder.load("res.company", rows)
    groups = "groups_id" if seeder.database.version < 19 else "group_ids"
    make = seeder.maker("res.users", f"login active partner_id company_id company_ids {groups}")
    rows = [
        make(2, dawn, dawn, "demo", YES, 3, 1, (1, 2), (1, 2)),
        make(3, dawn, dawn, "vendas", YES, 4, 1, (1,), (1, 2)),
    ]
    seeder.load("res.users", rows)


def seed_partners(seeder: Seeder, amount: int) -> None:
    """Create customers: companies, and one in four a contact of the company before it."""
    make = seeder.maker(
        "res.partner",
        "name complete_name active vat cnpj_cpf email phone street zip city state_id country_id parent_id is_company "
        "type lang tz company_id commercial_partner_id customer_rank partner_share",
    )
    rng = seeder.rng
    rows: list[Record] = []
    house = 1
    for known in range(1, amount + 1):
        is_contact = known > 4 and rng.random() < 0.25
        house = house if is_contact else known
        is_person = is_contact or known in STAFF
        name = invented.person(rng) if is_person else invented.company(rng)
        city, state = rng.choice(invented.CITIES)
        vat = UNSET if rng.random() < 0.2 else invented.tax_number(known)
        company = 2 if known > 4 and rng.random() < 0.01 else UNSET
        row = make(
            known, *seeder.magic(rng.random() * 0.7), name, name, known <= 4 or rng.random() > 0.04, vat, vat,
            f"contato{known}@example.com" if rng.random() < 0.8 else UNSET, f"+55 11 5550-{known % 10_000:04d}",
            f"{rng.choice(invented.STREETS)}, {rng.randint(1, 900)}", f"{rng.randint(10_000, 99_999)}-000", city,
            state, BRAZIL, house if is_contact else UNSET, not is_person, "contact", "pt_BR", "America/Sao_Paulo",
            company, house, 1, YES,
        )  # fmt: skip
        rows.append(row)
    seeder.load("res.partner", rows)


def seed_products(seeder: Seeder, amount: int) -> None:
    """Create templates with one variant each; a few codes are missing, a few stand twice."""
    rng = seeder.rng
    make = seeder.maker(
        "product.template",
        "name sequence active detailed_type type is_storable categ_id list_price sale_ok purchase_ok uom_id uom_po_id "
        "default_code invoice_policy expense_policy tracking taxes_id service_type company_id",
    )
    make_variant = seeder.maker("product.product", "product_tmpl_id default_code barcode active volume weight")
    templates: list[Record] = []
    variants: list[Record] = []
    for known in range(1, amount + 1):
        chance = rng.random()
        code: str | bool = UNSET if chance < 0.04 else f"P-{max(1, known - 7) if chance < 0.07 else known:05d}"
        is_active = rng.random() > 0.05
        stamps = seeder.magic(rng.random() * 0.7)
        price = rng.randint(500, 90_000) / 100
        old_type = "product" if seeder.database.version < 18 else "consu"
        cells = (
            invented.product(rng), 1, is_active, old_type, old_type, YES, rng.randint(1, 3), price, YES, YES, 1,
            1, code, "order", "no", "none", (rng.randint(1, 3),), "manual", 2 if rng.random() < 0.01 else UNSET,
        )  # fmt: skip
        templates.append(make(known, *stamps, *cells))
        barcode = f"789{known:010d}" if rng.random() < 0.7 else UNSET
        variants.append(make_variant(known, *stamps, known, code, barcode, is_active, 0.0, rng.randint(1, 90) / 10))
    seeder.load("product.template", templates)
    seeder.load("product.product", variants)
