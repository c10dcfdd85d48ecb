"""Odoo's search domains, compiled to a test on one row.

The prefix notation is read into a flat list of conditions joined by "and" wherever possible, because a
scan can then start at ``id > n``. How a stamp compares is the version's affair: up to 18 the stored
microseconds count, in 19 both sides are whole seconds (measured).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from comporta.sandbox.odoo_database import Database
from comporta.sandbox.odoo_errors import VALUE_ERROR, OdooError, unknown_field
from comporta.sandbox.odoo_fields import EXACT_STAMPS, Field, Record
from comporta.sandbox.odoo_stamps import SHOWN, next_second, parse_stamp
from comporta.sandbox.odoo_values import reader_of

Test = Callable[[Record], bool]
Leaf = tuple[str, str, Any]
ORDERED = frozenset({"<", "<=", ">", ">="})
NEGATED = {"!=": "=", "<>": "=", "not in": "in", "not like": "like", "not ilike": "ilike"}
OPERATORS = ORDERED | NEGATED.keys() | {"=", "==", "in", "like", "ilike", "=like", "=ilike", "=?"}


@dataclass(frozen=True, slots=True)
class Condition:
    """One operand of the outermost "and": its test, and the leaf it came from where it is just one."""

    test: Test
    leaf: Leaf | None = None


def compile_domain(database: Database, model: str, domain: Sequence[Any]) -> list[Condition]:
    """Return the conditions that a row must all meet, or raise as Odoo does for a domain it refuses."""
    stack: list[list[Condition]] = []
    for item in reversed(list(domain or ())):
        if item in ("&", "|", "!"):
            stack.append(_combine(item, stack, domain))
        else:
            stack.append([_compile_leaf(database, model, item)])
    return [condition for operand in reversed(stack) for condition in operand]


def fields_in(domain: Sequence[Any]) -> set[str]:
    """Return the names of the fields a domain speaks of."""
    return {str(item[0]) for item in domain or () if not isinstance(item, str)}


def both(first: Test, second: Test) -> Test:
    """Return the test that both tests hold."""
    return lambda row: first(row) and second(row)


def all_of(conditions: Sequence[Condition]) -> Test | None:
    """Return one test for all conditions, or ``None`` where every row passes."""
    test: Test | None = None
    for condition in conditions:
        test = condition.test if test is None else both(test, condition.test)
    return test


def _combine(operator: str, stack: list[list[Condition]], domain: Sequence[Any]) -> list[Condition]:
    if len(stack) < (1 if operator == "!" else 2):
        raise OdooError(VALUE_ERROR, f"Domain {domain!r} is invalid: operator {operator!r} lacks an operand")
    first = stack.pop()
    if operator == "!":
        test = _whole(first)
        return [Condition(lambda row: not test(row))]
    second = stack.pop()
    if operator == "&":
        return first + second
    one, other = _whole(first), _whole(second)
    return [Condition(lambda row: one(row) or other(row))]


def _whole(conditions: Sequence[Condition]) -> Test:
    return all_of(conditions) or (lambda row: True)


def _compile_leaf(database: Database, model: str, item: Any) -> Condition:
    if not isinstance(item, list | tuple) or len(item) != 3:
        raise OdooError(VALUE_ERROR, f"Invalid domain term {item!r}")
    name, operator, value = item
    if operator not in OPERATORS:
        raise OdooError(VALUE_ERROR, f"Invalid operator in leaf {tuple(item)!r}")
    if isinstance(name, int):
        holds = (name == value) == (operator in {"=", "=="})
        return Condition(lambda row: holds)
    known, read = _resolve(database, model, str(name), item)
    return Condition(_leaf_test(known, read, operator, value, database.version), (str(name), operator, value))


def _resolve(database: Database, model: str, path: str, leaf: Any) -> tuple[Field, Callable[[Record], Any]]:
    """Return the field at the end of a dotted path, and how to read it from a row."""
    head, _, tail = path.partition(".")
    known = database.table(model).model.fields.get(head)
    if known is None:
        place = f"in condition {tuple(leaf)!r}" if database.version >= 19 else f"in leaf {tuple(leaf)!r}"
        raise unknown_field(model, head, place=place)
    read = reader_of(database, model, head)
    if not tail or not known.relation:
        return known, read
    last, read_tail = _resolve(database, known.relation, tail, leaf)
    rows = database.tables[known.relation].rows
    return last, lambda row: read_tail(rows[target]) if (target := read(row)) in rows else False


def _leaf_test(known: Field, read: Callable[[Record], Any], operator: str, value: Any, version: int) -> Test:
    if operator == "=?":
        return (lambda row: True) if value in (None, False) else _leaf_test(known, read, "=", value, version)
    if operator in NEGATED:
        test = _leaf_test(known, read, NEGATED[operator], value, version)
        return lambda row: not test(row)
    if known.type == "datetime" and isinstance(value, str) and value:
        return _stamp_test(known, read, operator, value, version)
    if operator in ORDERED:
        return _ordered_test(read, operator, value)
    if operator in {"=", "==", "in"}:
        return _equal_test(known, read, operator, value)
    return _text_test(read, operator, str(value))


def _stamp_test(known: Field, read: Callable[[Record], Any], operator: str, value: str, version: int) -> Test:
    text = parse_stamp(value, version, is_day_end=operator in {">", "<="})
    if known.name in EXACT_STAMPS or known.name == "__last_update":
        if version >= 19:
            return _whole_second_test(read, operator, text)
    else:
        text = text.removesuffix(".000000")
    if operator in ORDERED:
        return _ordered_test(read, operator, text)
    return lambda row: read(row) == text


def _whole_second_test(read: Callable[[Record], Any], operator: str, text: str) -> Test:
    low, high = text[:SHOWN] + ".000000", next_second(text)
    if operator == "<=":
        return _ordered_test(read, "<", high)
    if operator == ">":
        return _ordered_test(read, ">=", high)
    if operator in {"<", ">="}:
        return _ordered_test(read, operator, low)
    return lambda row: low <= (read(row) or "") < high


def _ordered_test(read: Callable[[Record], Any], operator: str, value: Any) -> Test:
    """Compare as SQL does: null is never smaller nor greater."""
    if operator == ">":
        return lambda row: (seen := read(row)) is not False and seen > value
    if operator == ">=":
        return lambda row: (seen := read(row)) is not False and seen >= value
    if operator == "<":
        return lambda row: (seen := read(row)) is not False and seen < value
    return lambda row: (seen := read(row)) is not False and seen <= value


def _equal_test(known: Field, read: Callable[[Record], Any], operator: str, value: Any) -> Test:
    wanted = list(value) if isinstance(value, list | tuple) else [value]
    if known.type in {"one2many", "many2many"}:
        if wanted in ([False], [None]):
            return lambda row: not read(row)
        ids = set(wanted)
        return lambda row: not ids.isdisjoint(read(row))
    if operator == "in" or len(wanted) != 1:
        try:
            several = {False if item is None else item for item in wanted}
        except TypeError as error:
            raise OdooError(VALUE_ERROR, f"Invalid value {value!r} for {known.name}") from error
        return lambda row: read(row) in several
    one = False if wanted[0] is None else wanted[0]
    return lambda row: read(row) == one


def _text_test(read: Callable[[Record], Any], operator: str, pattern: str) -> Test:
    inner = "".join({"%": ".*", "_": "."}.get(sign, re.escape(sign)) for sign in pattern)
    wrapped = inner if operator.startswith("=") else f".*{inner}.*"
    flags = re.DOTALL | (re.IGNORECASE if "ilike" in operator else re.NOFLAG)
    match = re.compile(wrapped, flags).fullmatch
    return lambda row: match(str(read(row) or "")) is not None
