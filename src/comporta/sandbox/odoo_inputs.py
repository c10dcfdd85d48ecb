"""What clients write, turned into cells: stamps parsed, many2many commands applied, types kept.

A wrong form is refused as Odoo refuses it, before anything is written.
"""

from collections.abc import Callable, Sequence
from typing import Any

from comporta.sandbox.odoo_fields import EXACT_STAMPS, Cell, Field
from comporta.sandbox.odoo_stamps import SHOWN, parse_stamp

SET_IDS = 6
LINK_ID = 4


def convert(known: Field, value: Any, version: int) -> Cell:
    """Return the cell for a written value; null and false alike become the field's empty value.

    >>> convert(Field("amount_total", "monetary"), 12, 19)
    12.0
    >>> convert(Field("tag_ids", "many2many"), [[6, 0, [3, 1]]], 19)
    (3, 1)
    """
    if value is None or (value is False and known.type != "boolean"):
        return known.empty
    if known.type == "datetime":
        text = parse_stamp(value, version)
        return text if known.name in EXACT_STAMPS else text[:SHOWN]
    if known.type == "date":
        return parse_stamp(value, version)[:10]
    return _CONVERTERS.get(known.type, _unchanged)(value)


def _unchanged(value: Any) -> Cell:
    return value


def _linked(value: Sequence[Any]) -> tuple[int, ...]:
    ids: list[int] = []
    for item in value:
        if isinstance(item, int):
            ids.append(item)
        elif item[0] == SET_IDS:
            ids = list(item[2])
        elif item[0] == LINK_ID:
            ids.append(item[1])
    return tuple(dict.fromkeys(ids))


_CONVERTERS: dict[str, Callable[[Any], Cell]] = {
    "boolean": bool,
    "integer": int,
    "float": float,
    "monetary": float,
    "char": str,
    "text": str,
    "html": str,
    "many2one": int,
    "many2many": _linked,
}
