"""The comparison at the end finds whatever differs; what databases write in words of their own does not."""

import itertools
import json
from contextlib import closing
from datetime import UTC

import pytest
from hypothesis import assume, given
from hypothesis import strategies as some
from tests.moving.conftest import Address
from tests.moving.samples import put
from tests.moving.shop import Interrupting, Shop, abandon, move
from tests.moving.stage import by_hand, contents, is_open, settings_of

from comporta.bootstrap.databases import open_for_move
from comporta.core.instant import instant_text
from comporta.core.record import ColumnType
from comporta.errors import DestinationRefused
from comporta.ledger.postgres import PostgresDatabase
from comporta.ledger.session import Session
from comporta.moving.parts import Cells, Kind, Part, mirrored_part
from comporta.moving.postgres_side import PostgresSide
from comporta.moving.values import sum_of
from comporta.ports.system_clock import SystemClock

pytestmark = pytest.mark.timeout(60)

PART = mirrored_part(
    "shop_thing",
    {
        "id": ColumnType.INTEGER,
        "flag": ColumnType.BOOLEAN,
        "amount": ColumnType.NUMERIC,
        "words": ColumnType.TEXT,
        "at": ColumnType.TIMESTAMP,
        "day": ColumnType.DATE,
        "tree": ColumnType.JSON,
    },
    key="id",
    parent=None,
)
CHANGES = {
    "a value": "UPDATE {mirror}odoo_sale_order SET amount_total = amount_total + 0.01 WHERE id = 7",
    "a null": "UPDATE {mirror}odoo_sale_order SET name = NULL WHERE id = 7",
    "an instant": "UPDATE {mirror}odoo_sale_order SET _cmp_synced_at = '2026-01-01T00:00:00Z' WHERE id = 7",
    "a hash": "UPDATE {mirror}odoo_sale_order SET _cmp_hash = _cmp_hash - 1 WHERE id = 7",
    "a row too few": "DELETE FROM {mirror}odoo_sale_order WHERE id = 7",
    "a row too many": "INSERT INTO {mirror}odoo_sale_order (account, id) VALUES ('loja', -7)",
    "another row": "UPDATE {mirror}odoo_sale_order SET id = 7000 WHERE id = 7",
}


def as_sqlite_keeps(value: float) -> int | float:
    """Return a number as a column of SQLite's has it."""
    return int(value) if value.is_integer() and -(2**63) <= value < 2**63 else value


@pytest.mark.parametrize(
    ("change", "side"),
    [
        pytest.param(change, side, marks=[pytest.mark.full] * (place % 5 > 0), id=f"{name} in {side}")
        for place, ((name, change), side) in enumerate(itertools.product(CHANGES.items(), ("FROM", "TO")))
    ],
)
def test_what_another_program_changed_meanwhile_is_found(
    shop: Shop, new_database: Address, change: str, side: str
) -> None:
    """On either side; the table, the counts and the row are named, and nothing is given up."""
    target = new_database("sqlite")
    changed = shop.database if side == "FROM" else target
    with pytest.raises(DestinationRefused, match="odoo_sale_order is not the same after it was copied") as found:
        move(shop.database, target, Interrupting("Comparing", lambda: by_hand(changed, change)))
    is_anything_open = is_open(shop.database) or is_open(target)
    abandon(shop.database, target)

    assert "; the first that differs is loja/" in found.value.message
    assert found.value.message.endswith(("loja/7", "loja/-7"))
    assert not is_anything_open
    assert is_open(shop.database)


@pytest.mark.full
def test_what_was_changed_in_postgresql_is_found_too(shop: Shop, new_database: Address) -> None:
    """A document by one number, in a table where every document was written anew by the server."""
    put(shop.database)
    tree = "UPDATE {{mirror}}shop_sample_line SET tree = '{}' WHERE id = 10"
    other = tree.format('{"b":1,"a":[1,2.51,{"z":null,"ab":true}]}')
    same = tree.format('{"a":[1,2.5,{"ab":true,"z":null}],"b":1.0}')
    target, before = new_database("postgres"), contents(shop.database)
    with pytest.raises(DestinationRefused, match=r"shop_sample_line is not the same .* first that differs is loja/10$"):
        move(shop.database, target, Interrupting("Comparing", lambda: by_hand(target, other)))
    by_hand(target, same)
    move(shop.database, target)

    assert contents(target) == before


TEXTS = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\0"))
NUMBERS = some.integers(-(2**63), 2**63 - 1) | some.floats(allow_nan=False, allow_infinity=False).map(as_sqlite_keeps)
DOCUMENTS = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**70), 2**70) | NUMBERS | TEXTS,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
JSON = some.builds(lambda tree, is_ascii: json.dumps(tree, ensure_ascii=is_ascii), DOCUMENTS, some.booleans())
ROWS = some.lists(
    some.tuples(
        some.sampled_from([0, 1, None]),
        NUMBERS | some.none(),
        TEXTS | some.none(),
        some.datetimes().map(lambda at: instant_text(at.replace(tzinfo=UTC))) | some.none(),
        some.dates().map(str) | some.none(),
        JSON | some.none(),
    ),
    max_size=5,
)


@pytest.mark.full
def test_whatever_a_row_may_hold_comes_back_from_postgresql(postgres_url: str) -> None:
    """By its value; and what is no JSON and no number, letter by letter."""
    address = settings_of(postgres_url)
    with closing(open_for_move(address, SystemClock())) as database:
        assert isinstance(database, PostgresDatabase)
        side = PostgresSide(database, address.schema)
        database.write(lambda session: side.make(session.connection, PART)).result()

        @given(ROWS)
        def comes_back(found: list[Cells]) -> None:
            rows = [("a", number, *row, "r", None, None, -number, None) for number, row in enumerate(found)]
            database.write(lambda session: replace_all(side, session, rows)).result()
            there = side.page(PART, None, 10)

            assert sum_of(PART, there) == sum_of(PART, rows)
            assert [without(row, "tree") for row in there] == [without(row, "tree") for row in rows]

        comes_back()


def replace_all(side: PostgresSide, session: Session, rows: list[Cells]) -> None:
    """Let a table hold these rows and no other."""
    session.connection.execute("DELETE FROM mirror.shop_thing")
    side.write(session.connection, PART, rows)


def without(row: Cells, name: str) -> list[object]:
    """Return the cells of a row but one, each with its type."""
    return [(type(cell), cell) for cell, named in zip(row, PART.names, strict=True) if named != name]


@given(DOCUMENTS, DOCUMENTS)
def test_two_documents_that_differ_have_different_sums(one: object, other: object) -> None:
    """What is made equal is only what is."""
    assume(one != other)
    row: Cells = ("a", 1, 1, 0.5, "x", None, None, json.dumps(one), "r", None, None, 7, None)
    again: Cells = ("a", 1, 1, 0.5, "x", None, None, json.dumps(other), "r", None, None, 7, None)

    assert sum_of(PART, [row]) != sum_of(PART, [again])


def test_a_sum_does_not_depend_on_the_order_but_on_every_row() -> None:
    """Two databases need not sort alike; a row twice is not the same as once."""
    one: Cells = ("a", 1, 1, 0.5, "x", None, None, "[1]", "r", None, None, 7, None)
    two: Cells = ("a", 2, 1, 0.5, "x", None, None, "[1]", "r", None, None, 7, None)

    assert sum_of(PART, [one, two]) == sum_of(PART, [two, one])
    assert sum_of(PART, [one, one]) != sum_of(PART, [two, two]) != sum_of(PART, [])
    assert sum_of(PART, [one]) + sum_of(PART, [two]) == sum_of(PART, [one, two])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"b": 1, "a": [1.50, 1e2]}', '{"a":[1.5,100],"b":1}'),
        ("[0.0, -0, 1E-7]", "[0,0,0.00000010]"),
        ('{"a": 1, "a": 2}', '{"a": 2}'),
        ('"\\u00e7"', '"ç"'),
        ("1e131000", "1" + "0" * 131_000),
        ("not JSON", "notJSON"),
    ],
)
def test_documents_that_say_the_same_have_one_sum(one: str, other: str) -> None:
    """In whichever words a database keeps them."""
    ledger = Part("x", {"tree": Kind.JSON}, ("tree",), PART.shape)

    assert sum_of(ledger, [(one,)]) == sum_of(ledger, [(other,)])
