import pytest
from tests.sandbox.odoo_clients import Json, Open, StandingClock, act, ask, error_of, truth

from comporta.sandbox.odoo import OdooSandbox
from comporta.sandbox.odoo_errors import OdooError

BOTH = pytest.mark.parametrize("version", [16, 19])
LATER = "2026-03-10 12:01:00"


def stamp(sandbox: OdooSandbox, model: str, known: int) -> str:
    """Return a record's stamp as clients see it."""
    row: dict[str, Json] = ask(sandbox, model, "read", [known], ["write_date"])[0]
    return str(row["write_date"])


def new_order(sandbox: OdooSandbox) -> tuple[int, list[int]]:
    """Create an order with a product line and a note; return the ids."""
    lines = [[0, 0, {"product_id": 1, "product_uom_qty": 2}], [0, 0, {"display_type": "line_note", "name": "frágil"}]]
    order = sandbox.world.create("sale.order", {"partner_id": 5, "order_line": lines})
    return order, ask(sandbox, "sale.order", "read", [order], ["order_line"])[0]["order_line"]


def found(sandbox: OdooSandbox, operator: str, value: str, known: int) -> bool:
    """Tell whether a condition on the stamp finds the order."""
    return known in ask(sandbox, "sale.order", "search", [["write_date", operator, value]])


@pytest.mark.parametrize(
    ("operator", "in_16", "in_19"),
    [("=", False, True), ("<=", False, True), (">", True, False), (">=", True, True), ("<", False, False)],
)
@pytest.mark.parametrize("version", [16, 17, 18, 19])
def test_a_read_back_stamp_compares_as_its_version_does(
    open_odoo: Open, version: int, operator: str, in_16: bool, in_19: bool
) -> None:
    """Up to 18 the hidden microseconds count; in 19 whole seconds are compared. Only ">=" is the same."""
    odoo = open_odoo(version=version)
    order, _ = new_order(odoo)
    shown = stamp(odoo, "sale.order", order)

    assert shown == "2026-03-10 12:00:00"
    assert found(odoo, operator, shown, order) is (in_19 if version == 19 else in_16)


def test_stamps_are_truncated_not_rounded(odoo: OdooSandbox, clock: StandingClock) -> None:
    """0.999999 of a second is still the second before."""
    clock.advance(microseconds=749_999)
    order, _ = new_order(odoo)
    exact = next(row for row in truth(odoo, "sale.order") if row["id"] == order)["_write_date_exact"]

    assert stamp(odoo, "sale.order", order) == "2026-03-10 12:00:00"
    assert exact == "2026-03-10 12:00:00.999999"


def test_19_refuses_a_zone(odoo: OdooSandbox) -> None:
    """A "Z" or an offset is a ValueError in 19.0."""
    names = [
        error_of(odoo, "sale.order", "search", [["write_date", ">", text]])["data"]["name"]
        for text in ("2026-03-10T12:00:00Z", "2026-03-10 12:00:00+03:00")
    ]

    assert names == ["builtins.ValueError"] * 2


def test_16_ignores_a_zone_silently(odoo16: OdooSandbox) -> None:
    """In 16.0 an offset compares as if it were not written: three hours are lost without a word."""
    order, _ = new_order(odoo16)
    seen = [found(odoo16, ">", f"2026-03-10T12:00:00{zone}", order) for zone in ("", "Z", "+03:00", "-03:00")]

    assert seen == [True] * 4


@BOTH
def test_a_bare_date_means_its_whole_day(open_odoo: Open, version: int) -> None:
    """From the first second for ">=", to the last for "<="."""
    odoo = open_odoo(version=version)
    order, _ = new_order(odoo)

    assert found(odoo, ">=", "2026-03-10", order)
    assert found(odoo, "<=", "2026-03-10", order)
    assert not found(odoo, ">", "2026-03-10", order)


def test_one_call_is_one_stamp(odoo: OdooSandbox) -> None:
    """Whatever a call touches carries the same microsecond."""
    order, lines = new_order(odoo)
    rows = [row for row in truth(odoo, "sale.order.line") if row["id"] in lines]
    header = next(row for row in truth(odoo, "sale.order") if row["id"] == order)

    assert {row["_write_date_exact"] for row in [*rows, header]} == {"2026-03-10 12:00:00.250000"}
    assert header["create_date"] == header["write_date"]


def test_only_16_has_last_update(odoo: OdooSandbox, odoo16: OdooSandbox) -> None:
    """``__last_update`` went away after 16.0."""
    row = ask(odoo16, "sale.order", "read", [1], ["__last_update", "write_date"])[0]

    assert row["__last_update"] == row["write_date"]
    assert "__last_update" not in ask(odoo, "sale.order", "fields_get")


@BOTH
@pytest.mark.parametrize(
    ("values", "moves"),
    [({"product_uom_qty": 3}, True), ({"name": "outro texto"}, False), ({"sequence": 99}, False)],
)
def test_a_line_moves_its_order_only_through_the_totals(
    open_odoo: Open, clock: StandingClock, version: int, values: dict[str, Json], moves: bool
) -> None:
    """A quantity moves the order, a text does not (measured on both)."""
    odoo = open_odoo(version=version)
    order, lines = new_order(odoo)
    clock.advance(minutes=1)
    odoo.world.write("sale.order.line", lines[0], values)

    assert stamp(odoo, "sale.order.line", lines[0]) == LATER
    assert (stamp(odoo, "sale.order", order) == LATER) is moves


@pytest.mark.parametrize(("place", "moves"), [(0, True), (1, False)])
def test_a_deleted_line_moves_its_order_only_through_the_totals(
    odoo: OdooSandbox, clock: StandingClock, place: int, moves: bool
) -> None:
    """A deleted product line moves the order; a deleted note leaves no trace at all."""
    order, lines = new_order(odoo)
    clock.advance(minutes=1)
    odoo.world.unlink("sale.order.line", lines[place])
    row = ask(odoo, "sale.order", "read", [order], ["order_line", "write_date"])[0]

    assert row["order_line"] == [lines[1 - place]]
    assert (row["write_date"] == LATER) is moves


def test_a_new_note_does_not_move_the_order(odoo: OdooSandbox, clock: StandingClock) -> None:
    """The note line is new, its order is as old as before."""
    order, _ = new_order(odoo)
    clock.advance(minutes=1)
    note = odoo.world.create("sale.order.line", {"order_id": order, "display_type": "line_note", "name": "x"})

    assert stamp(odoo, "sale.order.line", note) == LATER
    assert stamp(odoo, "sale.order", order) != LATER


def test_lines_written_through_the_order_move_it(odoo: OdooSandbox, clock: StandingClock) -> None:
    """Commands on ``order_line`` are a write of the order, even for a mere text."""
    order, lines = new_order(odoo)
    clock.advance(minutes=1)
    ask(odoo, "sale.order", "write", [order], {"order_line": [[1, lines[0], {"name": "outro"}]]})

    assert stamp(odoo, "sale.order", order) == LATER
    assert ask(odoo, "sale.order.line", "read", [lines[0]], ["name"])[0]["name"] == "outro"


def test_writing_an_equal_value_moves_the_stamp(odoo: OdooSandbox, clock: StandingClock) -> None:
    """Nothing changed but the stamp."""
    order, _ = new_order(odoo)
    before = ask(odoo, "sale.order", "read", [order])[0]
    clock.advance(minutes=1)
    ask(odoo, "sale.order", "write", [order], {"origin": False})
    after = ask(odoo, "sale.order", "read", [order])[0]

    assert {name for name in after if after[name] != before[name]} == {"write_date"}


def test_a_header_change_moves_no_line(odoo: OdooSandbox, clock: StandingClock) -> None:
    """The lines of an order with a new reference stay as they were."""
    order, lines = new_order(odoo)
    clock.advance(minutes=1)
    odoo.world.write("sale.order", order, {"client_order_ref": "PC-1"})

    assert stamp(odoo, "sale.order", order) == LATER
    assert stamp(odoo, "sale.order.line", lines[0]) != LATER


def test_confirming_moves_order_and_lines(odoo: OdooSandbox, clock: StandingClock) -> None:
    """Confirmation moves the order; the lines hold a stored copy of its state."""
    order, lines = new_order(odoo)
    clock.advance(minutes=1)
    ask(odoo, "sale.order", "action_confirm", [order])

    assert stamp(odoo, "sale.order", order) == LATER
    assert ask(odoo, "sale.order.line", "read", lines, ["state"])[0]["state"] == "sale"


def test_a_message_moves_nothing(odoo: OdooSandbox, clock: StandingClock) -> None:
    """Talking about an order is not changing it."""
    order, _ = new_order(odoo)
    clock.advance(minutes=1)
    ask(odoo, "sale.order", "message_post", [order], body="olá")

    assert stamp(odoo, "sale.order", order) != LATER


def test_a_renamed_partner_changes_labels_silently(odoo: OdooSandbox, clock: StandingClock) -> None:
    """The order shows the new name under its old stamp."""
    order, _ = new_order(odoo)
    clock.advance(minutes=1)
    odoo.world.write("res.partner", 5, {"name": "Empório Renomeado"})
    row = ask(odoo, "sale.order", "read", [order], ["partner_id", "write_date"])[0]

    assert row["partner_id"] == [5, "Empório Renomeado"]
    assert row["write_date"] != LATER


def test_labels_follow_the_records_they_are_made_of(odoo: OdooSandbox) -> None:
    """A template's name shows in its variant's label, a company's in its contact's; neither keeps an old one."""
    company = odoo.world.create("res.partner", {"name": "Antes"})
    contact = odoo.world.create("res.partner", {"name": "Inês", "parent_id": company})
    order = odoo.world.create("sale.order", {"partner_id": contact, "order_line": [[0, 0, {"product_id": 1}]]})
    [line] = ask(odoo, "sale.order", "read", [order], ["order_line"])[0]["order_line"]
    seen = ask(odoo, "sale.order", "read", [order], ["partner_id"])[0]["partner_id"]
    ask(odoo, "sale.order.line", "read", [line], ["product_id"])
    odoo.world.write("res.partner", company, {"name": "Depois"})
    odoo.world.write("product.template", 1, {"name": "Pião Novo"})

    assert seen == [contact, "Antes, Inês"]
    assert ask(odoo, "sale.order", "read", [order], ["partner_id"])[0]["partner_id"] == [contact, "Depois, Inês"]
    assert ask(odoo, "sale.order.line", "read", [line], ["product_id"])[0]["product_id"] == [1, "[P-00001] Pião Novo"]


@pytest.mark.parametrize(("version", "moves"), [(16, False), (19, True)])
def test_a_template_price_moves_the_variant_from_19_on(
    open_odoo: Open, clock: StandingClock, version: int, moves: bool
) -> None:
    """Measured: not in 16.0, but in 19.0."""
    odoo = open_odoo(version=version)
    clock.advance(minutes=1)
    odoo.world.write("product.template", 1, {"list_price": 12.5})

    assert stamp(odoo, "product.template", 1) == LATER
    assert (stamp(odoo, "product.product", 1) == LATER) is moves
    assert ask(odoo, "product.product", "read", [1], ["lst_price"])[0]["lst_price"] == 12.5


def test_a_late_commit_is_unseen_until_it_shows_with_an_old_stamp(odoo: OdooSandbox, clock: StandingClock) -> None:
    """A reader whose mark has passed the start of the transaction never sees its rows by ">=" alone."""
    late = act(odoo, "begin")
    hidden = act(odoo, "create", model="sale.order", values={"partner_id": 5}, transaction=late)
    clock.advance(seconds=20)
    seen = odoo.world.create("sale.order", {"partner_id": 5})
    mark = stamp(odoo, "sale.order", seen)
    before = ask(odoo, "sale.order", "search", [["id", "in", [hidden, seen]]])
    act(odoo, "commit", transaction=late)
    after = ask(odoo, "sale.order", "search", [["write_date", ">=", mark]])

    assert before == [seen]
    assert after == [seen]
    assert hidden < seen
    assert stamp(odoo, "sale.order", hidden) == "2026-03-10 12:00:00"


def test_a_late_write_moves_old_ids_under_an_old_stamp(odoo: OdooSandbox, clock: StandingClock) -> None:
    """Ids without gaps prove nothing: the rows were there before, and change behind the reader."""
    late = odoo.world.begin_late()
    late.write("sale.order", [1, 2], {"origin": "lote"})
    clock.advance(seconds=20)
    before = ask(odoo, "sale.order", "search_count", [["origin", "=", "lote"]])
    late.commit()

    assert before == 0
    assert ask(odoo, "sale.order", "search_count", [["origin", "=", "lote"]]) == 2
    assert stamp(odoo, "sale.order", 1) == "2026-03-10 12:00:00"


def test_a_rolled_back_transaction_leaves_a_gap_of_ids(odoo: OdooSandbox) -> None:
    """Sequences do not roll back."""
    late = odoo.world.begin_late()
    lost = late.create("sale.order", {"partner_id": 5})
    late.rollback()
    kept = odoo.world.create("sale.order", {"partner_id": 5})

    assert kept == lost + 1
    assert ask(odoo, "sale.order", "search", [["id", "=", lost]]) == []


def test_a_row_in_an_open_transaction_is_locked_for_others(odoo: OdooSandbox) -> None:
    """Two writers of one row: the second gets PostgreSQL's serialization failure, until the first is done."""
    late = odoo.world.begin_late()
    late.write("sale.order", 1, {"origin": "a"})
    refused = error_of(odoo, "sale.order", "write", [1], {"origin": "b"})
    late.commit()

    assert refused["data"]["name"] == "psycopg2.errors.SerializationFailure"
    assert ask(odoo, "sale.order", "write", [1], {"origin": "b"}) is True


def test_a_snapshot_cannot_overwrite_what_came_after_it(odoo: OdooSandbox, clock: StandingClock) -> None:
    """No stamp ever goes backwards: a late writer of a newer row is refused."""
    late = odoo.world.begin_late()
    clock.advance(seconds=1)
    odoo.world.write("sale.order", 1, {"origin": "b"})

    with pytest.raises(OdooError, match="serialize"):
        late.write("sale.order", 1, {"origin": "a"})


def test_an_sql_update_leaves_the_stamp(odoo: OdooSandbox, clock: StandingClock) -> None:
    """What bypasses the ORM changes values under an unmoved stamp."""
    before = stamp(odoo, "sale.order", 1)
    odoo.world.write_unstamped("sale.order", 1, {"origin": "direto"})
    row = ask(odoo, "sale.order", "read", [1], ["origin", "write_date"])[0]

    assert row == {"id": 1, "origin": "direto", "write_date": before}
