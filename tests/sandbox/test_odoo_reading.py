import pytest
from tests.sandbox.odoo_clients import Json, Open, ask, error_of, truth

from comporta.sandbox.odoo import OdooSandbox

VERSIONS = pytest.mark.parametrize("version", [16, 17, 18, 19])


def fields(sandbox: OdooSandbox, model: str) -> dict[str, dict[str, Json]]:
    """Return a model's fields as ``fields_get`` tells them."""
    described: dict[str, dict[str, Json]] = ask(
        sandbox, model, "fields_get", [], ["type", "string", "relation", "store", "selection"]
    )
    return described


def search(sandbox: OdooSandbox, model: str, *domain: Json, **named: Json) -> list[int]:
    """Return the ids a domain finds."""
    ids: list[int] = ask(sandbox, model, "search", list(domain), **named)
    return ids


def test_reading_a_deleted_id_echoes_it(odoo: OdooSandbox) -> None:
    """``read(ids, ["id"])`` answers for the dead; with any other field they are left out (measured)."""
    draft = odoo.world.create("sale.order", {"partner_id": 5})
    odoo.world.unlink("sale.order", draft)

    assert ask(odoo, "sale.order", "read", [1, draft], ["id"]) == [{"id": 1}, {"id": draft}]
    assert ask(odoo, "sale.order", "read", [1, draft], ["name"]) == [{"id": 1, "name": "S00001"}]
    assert search(odoo, "sale.order", ["id", "in", [1, draft]]) == [1]


def test_deleting_leaves_nothing(odoo: OdooSandbox) -> None:
    """An order takes its lines with it, and no model remembers."""
    order = odoo.world.create("sale.order", {"partner_id": 5, "order_line": [[0, 0, {"product_id": 1}]]})
    [line] = ask(odoo, "sale.order", "read", [order], ["order_line"])[0]["order_line"]
    ask(odoo, "sale.order", "unlink", [order])

    assert search(odoo, "sale.order.line", ["id", "=", line]) == []
    assert error_of(odoo, "sale.order", "unlink", [order])["data"]["name"] == "odoo.exceptions.MissingError"


def test_confirmed_orders_cannot_be_deleted(odoo: OdooSandbox) -> None:
    """Odoo wants them cancelled first, and keeps their product lines."""
    order = odoo.world.create("sale.order", {"partner_id": 5, "order_line": [[0, 0, {"product_id": 1}]]})
    odoo.world.write("sale.order", order, {"state": "sale"})
    line = search(odoo, "sale.order.line", ["order_id", "=", order])

    assert error_of(odoo, "sale.order", "unlink", [order])["data"]["name"] == "odoo.exceptions.UserError"
    assert error_of(odoo, "sale.order.line", "unlink", line)["data"]["name"] == "odoo.exceptions.UserError"


@pytest.mark.parametrize("model", ["res.partner", "product.template", "product.product"])
def test_archived_records_hide_from_default_searches(odoo: OdooSandbox, model: str) -> None:
    """They show with active_test false, or when the domain speaks of ``active``."""
    odoo.world.write(model, 7, {"active": False})
    every = {row["id"] for row in truth(odoo, model)}
    active = {row["id"] for row in truth(odoo, model) if row["active"]}

    assert 7 not in active
    assert set(search(odoo, model)) == active
    assert set(search(odoo, model, context={"active_test": False})) == every
    assert set(search(odoo, model, ["active", "in", [True, False]])) == every
    assert 7 in search(odoo, model, ["active", "=", False])


def test_many2one_is_a_pair_or_a_bare_id(odoo: OdooSandbox) -> None:
    """``[id, label]`` by default, the id alone with load None or False."""
    [classic] = ask(odoo, "sale.order", "read", [1], ["company_id"])
    bare = [ask(odoo, "sale.order", "read", [1], ["company_id"], load=load)[0]["company_id"] for load in (None, False)]

    assert classic["company_id"] == [1, "Comercial São Ninguém Ltda"]
    assert bare == [1, 1]


def test_unset_is_false_for_every_type(odoo: OdooSandbox) -> None:
    """Text, date and many2one alike; numbers are zero, lists empty."""
    order = odoo.world.create("sale.order", {"partner_id": 5})
    names = ["client_order_ref", "commitment_date", "validity_date", "fiscal_position_id", "amount_total", "tag_ids"]
    [row] = ask(odoo, "sale.order", "read", [order], names)
    values = [row[name] for name in names]

    assert values == [False, False, False, False, 0.0, []]


@VERSIONS
def test_every_field_of_every_model_can_be_read(open_odoo: Open, version: int) -> None:
    """Without a field list everything comes, computed and binary too: one should name fields."""
    odoo = open_odoo(version=version)
    for model in ("sale.order", "sale.order.line", "res.partner", "product.template", "product.product", "res.users"):
        [row] = ask(odoo, model, "search_read", [], limit=1)

        assert row.keys() == fields(odoo, model).keys(), model


@VERSIONS
def test_stored_fields_can_be_filtered_and_sorted_by(open_odoo: Open, version: int) -> None:
    """Whatever ``fields_get`` calls stored works in a domain and in an order."""
    odoo = open_odoo(version=version)
    described = fields(odoo, "sale.order.line")
    every = len(truth(odoo, "sale.order.line"))
    for name, field in described.items():
        if field["store"] and field["type"] not in {"one2many", "many2many", "json"}:
            unset = len(search(odoo, "sale.order.line", [name, "=", False]))
            given = search(odoo, "sale.order.line", [name, "!=", False], order=f"{name} desc, id")

            assert unset + len(given) == every, name


def test_fields_get_lists_what_a_mirror_must_leave_out(odoo: OdooSandbox) -> None:
    """Non-stored and binary fields are there, marked."""
    described = fields(odoo, "sale.order")
    not_stored = [name for name, field in described.items() if not field["store"]]

    assert (len(described), len(not_stored)) == (105, 47)
    assert described["tax_totals"] == {"type": "binary", "string": "Tax Totals", "store": False}
    assert described["partner_id"]["relation"] == "res.partner"
    assert ["to invoice", "To Invoice"] in described["invoice_status"]["selection"]
    assert fields(odoo, "product.template")["image_1920"]["type"] == "binary"


RENAMED = [
    ("sale.order", "locked", 17, 19),
    ("sale.order.line", "tax_id", 16, 18),
    ("sale.order.line", "tax_ids", 19, 19),
    ("sale.order.line", "product_uom", 16, 18),
    ("sale.order.line", "product_uom_id", 19, 19),
    ("res.users", "groups_id", 16, 18),
    ("res.users", "group_ids", 19, 19),
    ("sale.order", "__last_update", 16, 16),
    ("sale.order", "cnpj_cpf", 16, 16),
    ("res.partner", "mobile", 16, 18),
]


@VERSIONS
def test_fields_come_and_go_with_the_version(open_odoo: Open, version: int) -> None:
    """Renamed, added and dropped fields are there in their versions only."""
    odoo = open_odoo(version=version)
    for model, name, first, last in RENAMED:
        assert (name in fields(odoo, model)) is (first <= version <= last), (model, name)


@pytest.mark.parametrize(("version", "has_done"), [(16, True), (17, False), (19, False)])
def test_the_state_done_ended_with_16(open_odoo: Open, version: int, has_done: bool) -> None:
    """Later, a finished order is a locked sale."""
    odoo = open_odoo(version=version)
    states = [option for option, _ in fields(odoo, "sale.order")["state"]["selection"]]

    assert ("done" in states) is has_done
    assert bool(search(odoo, "sale.order", ["state", "=", "done"])) is has_done


def test_a_products_name_is_its_templates(odoo: OdooSandbox) -> None:
    """Inherited fields are read and searched through the template, and are not stored."""
    [row] = ask(odoo, "product.product", "read", [1], ["name", "list_price", "product_tmpl_id"], load=None)
    [template] = ask(odoo, "product.template", "read", [row["product_tmpl_id"]], ["name", "list_price"])

    assert (row["name"], row["list_price"]) == (template["name"], template["list_price"])
    assert fields(odoo, "product.product")["name"]["store"] is False
    assert 1 in search(odoo, "product.product", ["name", "=", row["name"]])


def test_default_order_of_orders_is_newest_first(odoo: OdooSandbox) -> None:
    """``date_order desc, id desc``."""
    rows = ask(odoo, "sale.order", "search_read", [], ["date_order"])
    keys = [(row["date_order"], row["id"]) for row in rows]

    assert keys == sorted(keys, reverse=True)


def test_lines_sort_by_the_order_of_their_orders(odoo: OdooSandbox) -> None:
    """A many2one sorts as its own model does: the newest order's lines come first."""
    [first] = ask(odoo, "sale.order.line", "search_read", [], ["order_id"], limit=1)
    [newest] = search(odoo, "sale.order", limit=1)

    assert first["order_id"][0] == newest


@pytest.mark.parametrize("limit", [0, None, False])
def test_no_limit_means_everything(odoo: OdooSandbox, limit: Json) -> None:
    """Nothing and zero alike return all; an offset cuts from the front."""
    assert len(search(odoo, "sale.order", limit=limit)) == 60
    assert search(odoo, "sale.order", order="id", offset=58, limit=limit) == [59, 60]


def test_order_and_limit_and_offset_work_together(odoo: OdooSandbox) -> None:
    """Descending ids, a page of three, the second page."""
    assert search(odoo, "sale.order", order="id desc", limit=3, offset=3) == [57, 56, 55]
    assert search(odoo, "sale.order", order="state, id desc", limit=1) == [
        max(row["id"] for row in truth(odoo, "sale.order") if row["state"] == "cancel")
    ]


def test_companies_can_be_narrowed(open_odoo: Open) -> None:
    """Rows of other companies than the allowed ones disappear without a word."""
    odoo = open_odoo(records=200)
    both = search(odoo, "sale.order")
    first = search(odoo, "sale.order", context={"allowed_company_ids": [1]})
    second = search(odoo, "sale.order", context={"allowed_company_ids": [2]})

    assert len(first) + len(second) == len(both) == 200
    assert 0 < len(second) < 20
    denied = error_of(odoo, "sale.order", "read", second, ["name"], context={"allowed_company_ids": [1]})
    assert denied["data"]["name"] == "odoo.exceptions.AccessError"


def same(_: dict[str, Json]) -> bool:
    """Keep every row."""
    return True


DOMAINS: list[tuple[list[Json], Json]] = [
    ([], same),
    ([["state", "=", "sale"]], lambda row: row["state"] == "sale"),
    ([["state", "!=", "sale"]], lambda row: row["state"] != "sale"),
    ([["state", "in", ["draft", "sent"]]], lambda row: row["state"] in {"draft", "sent"}),
    ([["state", "not in", ["draft"]]], lambda row: row["state"] != "draft"),
    ([["client_order_ref", "=", False]], lambda row: row["client_order_ref"] is None),
    ([["client_order_ref", "!=", False]], lambda row: row["client_order_ref"] is not None),
    ([["client_order_ref", ">", ""]], lambda row: row["client_order_ref"] is not None),
    (["|", ["id", "<", 5], ["id", ">=", 55]], lambda row: row["id"] < 5 or row["id"] >= 55),
    (["!", ["id", "<=", 30]], lambda row: row["id"] > 30),
    ([["id", ">", 10], ["id", "<", 20]], lambda row: 10 < row["id"] < 20),
    (["&", ["id", ">", 10], "|", ["id", "=", 11], ["id", "=", 5]], lambda row: row["id"] == 11),
    (["!", "|", ["id", "<", 58], ["id", "=", 60]], lambda row: row["id"] in {58, 59}),
    ([["name", "like", "S0000"]], lambda row: row["id"] < 10),
    ([["name", "ilike", "s00_01"]], lambda row: row["id"] == 1),
    ([["name", "=like", "S%9"]], lambda row: row["name"].endswith("9")),
    ([["name", "not ilike", "s0000"]], lambda row: row["id"] >= 10),
    ([["tag_ids", "in", [1, 2]]], lambda row: {1, 2} & set(row["tag_ids"])),
    ([["tag_ids", "=", False]], lambda row: not row["tag_ids"]),
    ([["order_line", "in", [1]]], lambda row: 1 in row["order_line"]),
    ([["partner_id", "=?", False]], same),
    ([["company_id.name", "ilike", "filial"]], lambda row: row["company_id"] == 2),
    ([["amount_total", ">", 1000]], lambda row: row["amount_total"] > 1000),
    ([[1, "=", 1]], same),
    ([[0, "=", 1]], lambda row: False),
]


@pytest.mark.parametrize(("domain", "keeps"), DOMAINS)
def test_a_domain_keeps_what_it_says(odoo: OdooSandbox, domain: list[Json], keeps: Json) -> None:
    """Each operator, compared with the plain Python of it over the truth."""
    expected = [row["id"] for row in truth(odoo, "sale.order") if keeps(row)]

    assert search(odoo, "sale.order", *domain, order="id") == expected
    assert ask(odoo, "sale.order", "search_count", domain) == len(expected)


@pytest.mark.parametrize("domain", [["&", ["id", "=", 1]], ["!"], [["id", "="]], ["x"], [["id", "child_of", 1]]])
def test_a_malformed_domain_is_refused(odoo: OdooSandbox, domain: list[Json]) -> None:
    """ValueError, not an empty answer."""
    assert error_of(odoo, "sale.order", "search", domain)["data"]["name"] == "builtins.ValueError"


def test_a_comparison_python_cannot_make_is_an_error_too(odoo: OdooSandbox) -> None:
    """Whatever the server stumbles over comes back with a name, never as a lost connection."""
    assert error_of(odoo, "sale.order", "search", [["id", ">", "x"]])["data"]["name"] == "builtins.TypeError"


def test_new_methods_are_not_there_before_their_version(odoo16: OdooSandbox) -> None:
    """``formatted_read_group`` came with 19."""
    error = error_of(odoo16, "sale.order", "formatted_read_group", [], [], ["__count"])

    assert error["data"]["name"] == "builtins.AttributeError"


def test_unknown_fields_cannot_be_written(odoo: OdooSandbox) -> None:
    """A create or write with a field the model lacks is a ValueError."""
    refused = [
        error_of(odoo, "sale.order", "create", {"no_such": 1}),
        error_of(odoo, "sale.order", "write", [1], {"no_such": 1}),
        error_of(odoo, "sale.order.line", "create", {"name": "sem pedido"}),
    ]
    names = [error["data"]["name"].rpartition(".")[2] for error in refused]

    assert names == ["ValueError", "ValueError", "ValidationError"]


def test_creating_a_product_makes_both_its_records(odoo: OdooSandbox) -> None:
    """A variant brings its template, a template its variant; archiving one archives the other."""
    variant = ask(odoo, "product.product", "create", {"name": "Pião", "default_code": "X-1"})
    template = ask(odoo, "product.product", "read", [variant], ["product_tmpl_id"], load=None)[0]["product_tmpl_id"]
    ask(odoo, "product.product", "action_archive", [variant])
    ask(odoo, "product.product", "write", [variant], {"name": "Pião II"})
    row = next(row for row in truth(odoo, "product.template") if row["id"] == template)

    assert (row["name"], row["default_code"], row["active"]) == ("Pião II", "X-1", False)


def test_several_records_are_created_in_one_call(odoo: OdooSandbox) -> None:
    """A list of values gives a list of ids, one dict one id."""
    one = ask(odoo, "sale.order", "create", {"partner_id": 5})
    two = ask(odoo, "sale.order", "create", [{"partner_id": 5}, {"partner_id": 6}])

    assert (one, two) == (61, [62, 63])
    assert ask(odoo, "sale.order", "read", [63], ["name", "state"]) == [{"id": 63, "name": "S00063", "state": "draft"}]
