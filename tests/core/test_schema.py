"""Which columns a table needs, and what is never done to it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comporta.core.record import Column, ColumnType
from comporta.core.schema import OURS, TablePlan, beside_name, column_name, plan_table, widen

types = st.sampled_from(ColumnType)
NAMES = ("x", "x__text", "x__integer", "y", "y__json")
"""Names of a source that look like our own names for columns beside."""
shapes = st.dictionaries(st.sampled_from(NAMES), types, min_size=1).map(
    lambda chosen: tuple(Column(name, kind, f"field_{name}") for name, kind in chosen.items())
)


def apply(present: dict[str, Column], plan: TablePlan) -> dict[str, Column]:
    """Return the table's columns once the plan was carried out."""
    return present | {each.name: each for each in (*plan.added, *plan.widened)}


def grown(history: list[tuple[Column, ...]]) -> dict[str, Column]:
    """Return the table that a history of shapes leaves behind."""
    present: dict[str, Column] = {}
    for shape in history:
        present = apply(present, plan_table(present, shape))
    return present


@given(types, types)
def test_widening_does_not_depend_on_the_order(one: ColumnType, other: ColumnType) -> None:
    """Two accounts that share a table may come in either order."""
    assert widen(one, other) == widen(other, one)


@given(types, types)
def test_what_was_widened_holds_both(one: ColumnType, other: ColumnType) -> None:
    """Widening again with either changes nothing more."""
    both = widen(one, other)

    assert both is None or (widen(both, one), widen(both, other), widen(both, both)) == (both, both, both)


@pytest.mark.parametrize("kind", ColumnType)
def test_a_type_holds_itself(kind: ColumnType) -> None:
    """A column that did not change is left alone."""
    assert widen(kind, kind) is kind


def test_an_empty_table_gets_every_column() -> None:
    """Under the names that were wanted."""
    wanted = (Column("id", ColumnType.INTEGER, "id"), Column("name", ColumnType.TEXT, "name"))

    assert plan_table({}, wanted) == TablePlan(added=wanted, widened=(), placed=("id", "name"), cleared=())


def test_an_integer_column_is_widened_for_numbers() -> None:
    """Every integer in it stays right as it is."""
    present = {"x": Column("x", ColumnType.INTEGER, "x")}
    plan = plan_table(present, [Column("x", ColumnType.NUMERIC, "x")])

    assert plan == TablePlan(added=(), widened=(Column("x", ColumnType.NUMERIC, "x"),), placed=("x",), cleared=())


def test_a_numeric_column_takes_integers_as_it_is() -> None:
    """It holds them already."""
    present = {"x": Column("x", ColumnType.NUMERIC, "x")}
    plan = plan_table(present, [Column("x", ColumnType.INTEGER, "x")])

    assert plan == TablePlan(added=(), widened=(), placed=("x",), cleared=())


def test_a_type_that_does_not_fit_gets_a_column_beside_and_the_first_is_cleared() -> None:
    """Nobody reads yesterday's number beside today's text."""
    present = {"x": Column("x", ColumnType.INTEGER, "x")}
    plan = plan_table(present, [Column("x", ColumnType.TEXT, "x")])

    assert plan == TablePlan(
        added=(Column("x__text", ColumnType.TEXT, "x"),), widened=(), placed=("x__text",), cleared=("x",)
    )


def test_a_type_that_comes_back_finds_its_column_again() -> None:
    """And the one beside is cleared."""
    present = {"x": Column("x", ColumnType.INTEGER, "x"), "x__text": Column("x__text", ColumnType.TEXT, "x")}

    assert plan_table(present, [Column("x", ColumnType.INTEGER, "x")]) == TablePlan((), (), ("x",), ("x__text",))
    assert plan_table(present, [Column("x", ColumnType.TEXT, "x")]) == TablePlan((), (), ("x__text",), ("x",))


@given(st.lists(shapes, min_size=1, max_size=4))
def test_every_column_of_a_shape_has_a_place_of_its_own(history: list[tuple[Column, ...]]) -> None:
    """Whatever the table went through, and whatever names the source has."""
    present = grown(history[:-1])
    plan = plan_table(present, history[-1])

    assert len(set(plan.placed)) == len(history[-1])
    assert set(plan.placed) & set(plan.cleared) == set()
    assert set(plan.placed) <= apply(present, plan).keys()


@given(st.lists(shapes, min_size=1, max_size=4))
def test_each_place_holds_the_type_that_was_wanted(history: list[tuple[Column, ...]]) -> None:
    """As it is, or widened to it."""
    after = grown(history)
    placed = plan_table(after, history[-1]).placed
    found = [widen(after[name].type, wanted.type) for name, wanted in zip(placed, history[-1], strict=True)]

    assert found == [after[name].type for name in placed]


@given(st.lists(shapes, min_size=1, max_size=4))
def test_a_plan_that_was_carried_out_has_nothing_left_to_do(history: list[tuple[Column, ...]]) -> None:
    """The second run of a stream changes no table."""
    plan = plan_table(grown(history), history[-1])

    assert (plan.added, plan.widened) == ((), ())


@given(st.lists(shapes, min_size=1, max_size=4))
def test_a_column_never_narrows(history: list[tuple[Column, ...]]) -> None:
    """What stands in it could no longer be read."""
    before = grown(history[:-1])
    after = grown(history)
    kept = {name: widen(column.type, after[name].type) for name, column in before.items()}

    assert kept == {name: after[name].type for name in before}


@given(shapes, shapes)
def test_only_columns_of_the_same_field_are_cleared(earlier: tuple[Column, ...], later: tuple[Column, ...]) -> None:
    """A column that is no longer asked for keeps what it has."""
    present = grown([earlier])
    plan = plan_table(present, later)

    assert {present[name].field for name in plan.cleared} <= {each.field for each in later}


def test_columns_beside_keep_out_of_the_way_of_the_sources_own_names() -> None:
    """A source may have a field x and a field x__text."""
    wanted = (Column("x", ColumnType.TEXT, "x"), Column("x__text", ColumnType.TEXT, "x__text"))
    present = {"x": Column("x", ColumnType.INTEGER, "x")}

    assert plan_table(present, wanted).placed == ("x__text_", "x__text")
    assert beside_name("x", ColumnType.TEXT, {"x"}, present) == "x__text"


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("partner_id", "partner_id"),
        ("dealValue", "deal_value"),
        ("x2Many", "x2_many"),
        ("ID", "id"),
        ("preço", "pre_o"),
        ("a b-c", "a_b_c"),
        ("account", "account_"),
        ("Account", "account_"),
        *((name, f"{name}_") for name in OURS),
    ],
)
def test_a_field_becomes_a_column_out_of_the_way_of_ours(field: str, expected: str) -> None:
    """In snake case, in ASCII."""
    assert column_name(field) == expected


@given(st.text(min_size=1))
def test_no_field_can_take_one_of_our_columns(field: str) -> None:
    """Whatever a source calls its fields."""
    name = column_name(field)

    assert name not in {"account", *OURS}
    assert replace(Column(name, ColumnType.TEXT, field)).name.isascii()
