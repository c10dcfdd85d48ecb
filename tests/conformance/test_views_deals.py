"""The views over deals: of all accounts in one shape, and of each with its custom fields."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.conformance.tables import Tables

from comporta.core.record import Column, ColumnType, Row, Shape
from comporta.destinations.views import VIEWS
from comporta.errors import NameTaken
from comporta.ports.destination import Written
from comporta.ports.store import Batch

INT, TEXT, STAMP = ColumnType.INTEGER, ColumnType.TEXT, ColumnType.TIMESTAMP
AT, LATER = "2026-03-01T08:00:00.000000Z", "2026-03-02T08:00:00.000000Z"
BASE = VIEWS["deals"]


def campaign(stream: str, stamp: str | None = None, **columns: ColumnType) -> Shape:
    """Return a shape of ActiveCampaign's with an id and those columns."""
    described = {"id": INT, **columns}
    made = tuple(Column(name, kind, name) for name, kind in described.items())
    return Shape("activecampaign", stream, made, key="id", stamp=stamp)


DEALS = campaign(
    "deals", stamp="mdate", title=TEXT, group=INT, stage=INT, status=INT, value=INT, currency=TEXT, owner=INT,
    contact=INT, cdate=STAMP, mdate=STAMP,
)  # fmt: skip
GROUPS = campaign("dealGroups", title=TEXT)
STAGES = campaign("dealStages", title=TEXT)
USERS = campaign("users", first_name=TEXT, last_name=TEXT, email=TEXT)
CONTACTS = campaign("contacts", first_name=TEXT, last_name=TEXT, email=TEXT)
META = campaign("dealCustomFieldMeta", field_label=TEXT, field_type=TEXT, display_order=INT)
DATA = campaign("dealCustomFieldData", deal_id=INT, custom_field_id=INT, field_value=TEXT, field_currency=TEXT)

ROWS: dict[Shape, list[Row]] = {
    DEALS: [
        (46, "Padaria", 1, 2, 0, 1250050, "brl", 1, 39, AT, LATER),
        (47, "Oficina", 1, 3, 1, 0, "usd", 2, 40, AT, None),
        (48, "Escola", 9, 9, 2, None, None, 3, 41, AT, AT),
        (49, "Gráfica", None, None, 7, -5, "eur", None, None, None, None),
    ],
    GROUPS: [(1, "Vendas")],
    STAGES: [(2, "Proposta"), (3, "Fechado")],
    USERS: [(1, "Ana", "Lima", "ana@example.com"), (2, "", None, "rui@example.com"), (3, None, "Sá", None)],
    CONTACTS: [(39, "Bia", "Reis", "bia@example.com"), (40, "Caio", "", ""), (41, None, "", None)],
}


@pytest.fixture
def crm(tables: Tables) -> Tables:
    """Return a database with deals and what their ids mean."""
    for shape, rows in ROWS.items():
        tables.prepare(shape)
        tables.write(Batch(shape, rows), account="crm")
    return tables


def define(tables: Tables, *fields: tuple[int, str | None, str], account: str = "crm") -> Written:
    """Write the definitions of custom fields."""
    return tables.write(Batch(META, [(*field, field[0]) for field in fields]), account=account)


def fill(tables: Tables, *values: tuple[int, int, str | None], account: str = "crm") -> None:
    """Write values of custom fields: deal, field, value."""
    tables.prepare(DATA)
    rows = [(number, *value, None) for number, value in enumerate(values, 900)]
    tables.write(Batch(DATA, rows), account=account)


def custom(tables: Tables, view: str = "deals_crm") -> list[str]:
    """Return the columns of an account's view behind those that all deals have."""
    columns = list(tables.columns(view))
    assert tuple(columns[: len(BASE)]) == BASE
    return columns[len(BASE) :]


def column(tables: Tables, name: str, view: str = "deals_crm") -> list[object]:
    """Return a column of a view, in the order of the deals."""
    return [row[name] for row in tables.query(f'SELECT "{name}" FROM {view} ORDER BY id')]


def test_the_view_of_all_deals_has_the_columns_that_were_promised(crm: Tables) -> None:
    """In that order: spreadsheets and reports are built on them."""
    assert tuple(crm.columns("deals")) == BASE


def test_a_deal_is_told_in_words(crm: Tables) -> None:
    """Pipeline, stage, state and people by name; what has no name is null, and an unknown state is itself."""
    names = "title, pipeline, stage, status, value_minor, currency, owner, contact"
    found = [tuple(row.values()) for row in crm.query(f"SELECT {names} FROM deals ORDER BY id")]

    assert found == [
        ("Padaria", "Vendas", "Proposta", "open", 1250050, "BRL", "Ana Lima", "bia@example.com"),
        ("Oficina", "Vendas", "Fechado", "won", 0, "USD", "rui@example.com", "Caio"),
        ("Escola", None, None, "lost", None, None, "Sá", None),
        ("Gráfica", None, None, "7", -5, "EUR", None, None),
    ]
    assert crm.query("SELECT account, id, created_at, updated_at FROM deals WHERE title = 'Padaria'") == [
        {"account": "crm", "id": crm.view_id(46), "created_at": AT, "updated_at": LATER}
    ]


def test_of_two_values_of_a_field_the_newer_one_is_told(crm: Tables) -> None:
    """What an import made anew stands beside the old value until that is known to be gone; the old one is stale."""
    define(crm, (5, "Canal", "text"), (6, "Cota", "number"))
    fill(crm, (46, 5, "Site"), (46, 5, "Feira"), (47, 5, "Site"), (47, 5, None), (46, 6, "9"), (46, 6, "10"))
    crm.write(Batch(DATA, [(1_000, 48, 5, "Anúncio", None), (999, 48, 5, "Site", None)]), account="crm")

    assert column(crm, "canal") == ["Feira", None, "Anúncio", None]
    assert [None if each is None else int(str(each)) for each in column(crm, "cota")] == [10, None, None, None]


def test_a_table_of_the_users_with_a_mirrored_name_is_in_no_view(tables: Tables) -> None:
    """Only the stream that needs the name is refused; the others are written, and no view looks into it."""
    tables.by_hand("CREATE TABLE activecampaign_deals (id integer, mine integer)")
    with pytest.raises(NameTaken, match="not ours"):
        tables.prepare(DEALS)

    tables.prepare(META)

    assert define(tables, (1, "Canal", "text")).counts.inserted == 1
    assert not tables.columns("deals")


def test_deals_are_there_without_what_their_ids_mean(tables: Tables) -> None:
    """A stream that is not synced leaves its names null."""
    told = tables.prepare(DEALS)
    tables.write(Batch(DEALS, ROWS[DEALS]), account="crm")

    assert told == ["table activecampaign_deals created with 11 columns", "view deals created"]
    assert tables.query("SELECT title, pipeline, owner, contact FROM deals WHERE status = 'open'") == [
        {"title": "Padaria", "pipeline": None, "owner": None, "contact": None}
    ]


def test_deleted_deals_are_in_no_view(crm: Tables) -> None:
    """Nor are the values of deleted entries; a deleted contact still has its name."""
    crm.prepare(META)
    define(crm, (1, "Origem", "text"))
    fill(crm, (46, 1, "Site"), (47, 1, "Rádio"))
    crm.write(Batch(DEALS, deleted=[46, 48]), account="crm")
    crm.write(Batch(DATA, deleted=[901]), account="crm")
    crm.write(Batch(CONTACTS, deleted=[40]), account="crm")

    assert column(crm, "contact", "deals") == ["Caio", None]
    assert column(crm, "origem") == [None, None]


def test_an_account_has_a_view_of_its_own_from_its_first_deal_on(tables: Tables) -> None:
    """Also without custom fields; it says so in the log of the run that brought the deal."""
    tables.prepare(DEALS)
    none = tables.write(Batch(DEALS, deleted=[1]), account="crm")
    first = tables.write(Batch(DEALS, ROWS[DEALS][:1]), account="crm")
    second = tables.write(Batch(DEALS, ROWS[DEALS]), account="crm")

    assert [[(each.step, each.message) for each in written.log] for written in (none, first, second)] == [
        [],
        [("schema_changed", "view deals_crm created")],
        [],
    ]
    assert custom(tables) == []
    assert len(column(tables, "title")) == 4


def test_each_custom_field_is_a_column_by_its_label(crm: Tables) -> None:
    """Of the type that its definition says, and null where a deal has no value."""
    crm.prepare(META)
    define(crm, (1, "Data de Fechamento Prevista", "date"), (2, "Mensalidade", "currency"), (3, "Origem", "dropdown"))
    fill(crm, (46, 1, "2026-03-31"), (46, 2, "9990"), (47, 3, "Site"))

    assert custom(crm) == ["data_de_fechamento_prevista", "mensalidade", "origem"]
    assert column(crm, "data_de_fechamento_prevista") == ["2026-03-31", None, None, None]
    assert column(crm, "mensalidade") == [9990, None, None, None]
    assert column(crm, "origem") == [None, "Site", None, None]


TYPED: dict[str, Sequence[tuple[str | None, object]]] = {
    "number": [
        ("100.99", 100.99), (" -7 ", -7), ("+.5", 0.5), ("5.", 5), ("007", 7), ("0", 0), ("", None), (".", None),
        ("-", None), ("1e5", None), ("100,99", None), ("1.2.3", None), ("--1", None), ("1-1", None), ("NaN", None),
        ("9" * 400, None), ("٣", None), (None, None),
    ],
    "currency": [
        ("9990", 9990), ("-1", -1), ("+1", 1), ("999999999999999999", 999999999999999999), ("9" * 19, None),
        ("9990.5", None), ("", None), ("R$ 10", None), ("١٢", None),
    ],
    "date": [
        ("2018-12-31", "2018-12-31"), ("2018-12-31 00:00:00", "2018-12-31"),
        ("2026-03-01T08:00:00-06:00", "2026-03-01"), ("2024-02-29", "2024-02-29"), ("2000-02-29", "2000-02-29"),
        ("2023-02-29", None), ("1900-02-29", None), ("2026-04-31", None), ("2026-13-01", None), ("2026-00-10", None),
        ("2026-01-00", None), ("0000-00-00", None), ("0000-01-01", None), ("0001-01-01", "0001-01-01"),
        ("2026-1-1", None), ("2026-01-011", None), ("31/12/2018", None), ("", None), ("tomorrow", None),
        ("infinity", None),
    ],
    "datetime": [
        ("2026-03-01T08:00:00-06:00", "2026-03-01T14:00:00.000000Z"),
        ("2026-03-01 08:00:00+05:30", "2026-03-01T02:30:00.000000Z"),
        ("2026-12-31T23:59:59.5Z", "2026-12-31T23:59:59.500000Z"), ("2026-03-01T08:00Z", AT),
        ("2026-03-01T08:00:00", None), ("2026-03-01", None), ("2026-02-31T08:00:00Z", None),
        ("2026-03-01T24:00:00Z", None), ("2026-03-01T08:60:00Z", None), ("2026-03-01T08:00:60Z", None),
        ("2026-03-01T08:00:00+15:00", None), ("2026-03-01T08:00:00-0600", None), ("0000-00-00 00:00:00", None),
        ("2026-03-01T08:00:00 somewhere-06:00", None), ("now", None), ("", None),
    ],
    "multiselect": [('["Plano A","Plano C"]', '["Plano A","Plano C"]'), ("||a||b||", "||a||b||"), ("", "")],
    "textarea": [("007", "007"), ("", ""), ("a\nb", "a\nb")],
    "something new": [("7", "7")],
}  # fmt: skip


@pytest.mark.parametrize("kind", TYPED)
def test_a_value_is_of_its_fields_type_or_null(tables: Tables, kind: str) -> None:
    """Whatever a person, an import or an older definition left there: it never breaks the view."""
    for shape in (DEALS, META, DATA):
        tables.prepare(shape)
    deals = [(number, *ROWS[DEALS][0][1:]) for number in range(100, 100 + len(TYPED[kind]))]
    tables.write(Batch(DEALS, deals), account="crm")
    define(tables, (5, "Field", kind))
    fill(tables, *((100 + number, 5, text) for number, (text, _) in enumerate(TYPED[kind])))
    found = dict(zip([text for text, _ in TYPED[kind]], column(tables, "field"), strict=True))

    assert found == dict(TYPED[kind])


def test_labels_become_safe_names_that_stay(crm: Tables) -> None:
    """The older field keeps a name that two want; a name of the view's own is taken; nothing is too long."""
    crm.prepare(META)
    define(
        crm, (1, "Origem", "text"), (2, "origem ", "text"), (3, "Origem 2", "text"), (4, "Title", "text"),
        (5, "日本", "text"), (6, "2nd", "text"), (7, None, "text"), (8, 'a"b; DROP', "text"), (9, "x" * 80, "text"),
        (10, "x" * 90, "text"), (11, "Order", "text"), (12, "Ação & Reação", "text"),
    )  # fmt: skip

    assert custom(crm) == [
        "origem", "origem_2", "origem_2_3", "title_4", "field_5", "field_6", "field_7", "a_b_drop", "x" * 63,
        "x" * 60 + "_10", "order", "acao_reacao",
    ]  # fmt: skip


def test_the_view_follows_the_definitions_in_the_transaction_that_writes_them(crm: Tables) -> None:
    """New, renamed, retyped and deleted fields; with a rollback all of it is as before."""
    crm.prepare(META)
    define(crm, (1, "Origem", "text"), (2, "Meta", "text"), (3, "Velho", "text"))
    fill(crm, (46, 1, "Site"), (46, 2, "7.5"))
    crm.begin()
    define(crm, (1, "Outro", "text"))
    crm.rollback()
    before = custom(crm)
    same = define(crm, (1, "Origem", "text"))
    told = crm.write(
        Batch(META, [(1, "Canal", "text", 1), (2, "Meta", "number", 1), (4, "Novo", "text", 1)], deleted=[3]),
        account="crm",
    )

    assert (before, same.log) == (["origem", "meta", "velho"], [])
    assert [each.message for each in told.log] == ["view deals_crm made again"]
    assert custom(crm) == ["canal", "meta", "novo"]
    assert (column(crm, "canal")[0], column(crm, "meta")[0]) == ("Site", 7.5)


@pytest.mark.parametrize("gone", [{"deleted": [2]}, {"removed": [2]}])
def test_a_field_that_goes_takes_its_column_along_though_nothing_else_changed(
    crm: Tables, gone: dict[str, Any]
) -> None:
    """The batch that ends a pass holds no row, only what the source has no more; its name is free for another field."""
    crm.prepare(META)
    define(crm, (1, "Origem", "text"), (2, "Meta", "text"))

    told = crm.write(Batch(META, **gone), account="crm")
    after = custom(crm)
    define(crm, (3, "Meta", "number"))

    assert [each.message for each in told.log] == ["view deals_crm made again"]
    assert (after, custom(crm)) == (["origem"], ["origem", "meta"])


def test_the_order_in_which_the_streams_come_does_not_matter(tables: Tables) -> None:
    """Definitions before deals, values before both: the view is whole once everything is there."""
    tables.prepare(DATA)
    tables.prepare(META)
    define(tables, (1, "Origem", "text"))
    fill(tables, (46, 1, "Site"))
    told = tables.prepare(DEALS)
    tables.write(Batch(DEALS, ROWS[DEALS]), account="crm")

    assert told[1:] == ["view deals created", "view deals_crm created"]
    assert column(tables, "origem") == ["Site", None, None, None]


def test_custom_fields_are_null_while_their_values_are_not_synced(crm: Tables) -> None:
    """And are filled as soon as the table of values is made."""
    crm.prepare(META)
    define(crm, (1, "Origem", "text"), (2, "Meta", "number"))
    empty = column(crm, "origem")
    fill(crm, (46, 2, "7.5"))

    assert empty == [None, None, None, None]
    assert column(crm, "meta") == [7.5, None, None, None]


def test_accounts_do_not_see_one_another(crm: Tables) -> None:
    """Neither definitions nor values nor deals, though all ids are the same."""
    crm.prepare(META)
    crm.write(Batch(DEALS, ROWS[DEALS][:1]), account="Loja-1")
    define(crm, (1, "Origem", "text"))
    define(crm, (1, "Cor", "text"), account="Loja-1")
    fill(crm, (46, 1, "Site"))
    fill(crm, (46, 1, "azul"), account="Loja-1")

    assert (custom(crm), custom(crm, "deals_loja_1")) == (["origem"], ["cor"])
    assert column(crm, "origem") == ["Site", None, None, None]
    assert column(crm, "cor", "deals_loja_1") == ["azul"]


def test_accounts_whose_names_would_be_one_have_a_view_each(tables: Tables) -> None:
    """Who came first keeps the name, whatever comes later; the names are as long as they may be."""
    tables.prepare(DEALS)
    tables.prepare(META)
    accounts = ["a-b", "A_b", "a_b", "y" * 63, "y" * 62 + "z"]
    told = []
    for account in accounts:
        written = tables.write(Batch(DEALS, ROWS[DEALS][:1]), account=account)
        told += [each.message.split()[1] for each in written.log]
        define(tables, (1, f"of {account}", "text"), account=account)
    told_again = [
        each.message for account in accounts for each in define(tables, (1, "x", "text"), account=account).log
    ]

    assert (told[0], len(set(told)), max(map(len, told))) == ("deals_a_b", 5, 63)
    assert [column(tables, "account", view) for view in told] == [[account] for account in accounts]
    assert told_again == [f"view {view} made again" for view in told]


@pytest.mark.parametrize("made", ["CREATE TABLE deals_crm (mine text)", "CREATE VIEW deals_crm AS SELECT 1 AS mine"])
def test_a_table_or_view_of_the_users_is_refused_by_name(tables: Tables, made: str) -> None:
    """And keeps what it has; another account is not concerned."""
    tables.by_hand(made)
    tables.prepare(DEALS)
    tables.write(Batch(DEALS, ROWS[DEALS]), account="other")

    tables.begin()
    with pytest.raises(NameTaken, match="deals_crm"):
        tables.write(Batch(DEALS, ROWS[DEALS]), account="crm")
    tables.rollback()
    assert list(tables.columns("deals_crm")) == ["mine"]
    assert len(column(tables, "title", "deals_other")) == 4


def test_fields_that_the_user_does_not_ask_for_are_no_error(crm: Tables) -> None:
    """Definitions without labels or types, values without values."""
    bare = replace(META, columns=META.columns[:1])
    crm.prepare(bare)
    crm.prepare(replace(DATA, columns=DATA.columns[:2]))
    crm.write(Batch(bare, [(1,), (2,)]), account="crm")

    assert custom(crm) == ["field_1", "field_2"]
    assert column(crm, "field_1") == [None, None, None, None]


def test_a_view_that_was_dropped_comes_back(crm: Tables) -> None:
    """With the next deals or definitions."""
    crm.by_hand("DROP VIEW deals_crm")
    told = crm.write(Batch(DEALS, ROWS[DEALS]), account="crm")

    assert [each.message for each in told.log] == ["view deals_crm created"]
