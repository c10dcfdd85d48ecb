"""When two databases hold the same: numbers and JSON by their value, everything else letter by letter.

A table's sum is that of its rows' hashes, so it does not depend on the order in which they come.
PostgreSQL writes a JSON document in words of its own (another order of keys, no needless blanks), and
keeps ``5.0`` where SQLite has ``5``: such differences are none.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import lru_cache
from hashlib import blake2b

import msgspec

from comporta.moving.parts import Cell, Cells, Kind, Part

SUM_BITS = 128
INT64 = 2**63
EXACT_DIGITS = 15
"""Any number of so many digits comes back from a float as it was."""
JSON_LETTERS_KEPT = 200
DIGITS_MAX = 200_000
"""More than PostgreSQL's numbers may have: its numeric ends at 131,072 digits before the point."""
_EXACT = Context(prec=DIGITS_MAX)
_BLANKS = re.compile(r'("(?:[^"\\]|\\.)*")|\s+')
_row_bytes = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class Sum:
    """How many rows a table has, and the sum of their hashes."""

    rows: int = 0
    total: int = 0

    def __add__(self, other: "Sum") -> "Sum":
        return Sum(self.rows + other.rows, (self.total + other.total) % 2**SUM_BITS)

    @property
    def text(self) -> str:
        """Return the sum as hexadecimal digits."""
        return f"{self.total:032x}"


def sum_of(part: Part, rows: Iterable[Cells]) -> Sum:
    """Return the sum of some rows of a part."""
    json_places = [place for place, kind in enumerate(part.kinds.values()) if kind is Kind.JSON]
    count = total = 0
    for row in rows:
        if json_places or part.shape is None:
            row = _canonical(row, json_places, is_ledger=part.shape is None)  # noqa: PLW2901  the same row
        digest = blake2b(_row_bytes(row), digest_size=SUM_BITS // 8).digest()
        total += int.from_bytes(digest, "big")
        count += 1
    return Sum(count, total % 2**SUM_BITS)


def number_of(text: str) -> Cell:
    """Return what SQLite stores for a number of PostgreSQL's; a text where no float is exactly that number.

    >>> number_of("7"), number_of("5.0"), number_of("0.1"), number_of("0.12345678901234567890")
    (7, 5, 0.1, '0.12345678901234567890')
    """
    if "." not in text and text.lstrip("-").isdecimal() and -INT64 <= (whole := int(text)) < INT64:
        return whole
    value = float(text)
    if len(text) > EXACT_DIGITS and Decimal(repr(value)) != Decimal(text):
        return text
    return int(value) if value.is_integer() and -INT64 <= value < INT64 else value


def compact(text: str) -> str:
    """Return a JSON document without blanks between its words, all numbers as they were written.

    >>> compact('{"a b": [1, 2.50], "c": "d, e: f"}')
    '{"a b":[1,2.50],"c":"d, e: f"}'
    """
    return _BLANKS.sub(lambda found: found[1] or "", text)


def _canonical(row: Cells, json_places: Iterable[int], *, is_ledger: bool) -> Cells:
    cells = list(row)
    for place in json_places:
        cell = cells[place]
        if isinstance(cell, str):
            cells[place] = _short_json(cell) if len(cell) < JSON_LETTERS_KEPT else _json(cell)
    if is_ledger:
        cells = [storable(cell) for cell in cells]
    return tuple(cells)


def storable(cell: Cell) -> Cell:
    r"""Return a cell of the ledger as PostgreSQL's ledger would have written it: without the NUL character.

    >>> storable("a\0b"), storable(7)
    ('a\\0b', 7)
    """
    return cell.replace("\0", "\\0") if isinstance(cell, str) and "\0" in cell else cell


def _json(text: str) -> str:
    """Return a JSON document in one form; one that cannot be read only without its blanks."""
    try:
        return _write_json(_read_json(text)).decode()
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return compact(text)


def _decimal(text: str) -> Decimal:
    """Return a number with point or exponent in one form: PostgreSQL writes 1e2 as 100, and SQLite leaves it."""
    value = Decimal(text)
    if abs(value.adjusted()) >= DIGITS_MAX:
        return value
    if value != value.to_integral_value(context=_EXACT):
        return value.normalize(_EXACT)
    whole = value.to_integral_value(context=_EXACT)
    return abs(whole) if whole.is_zero() else whole.quantize(1, context=_EXACT)


_short_json = lru_cache(maxsize=4096)(_json)
_read_json = msgspec.json.Decoder(float_hook=_decimal).decode
_write_json = msgspec.json.Encoder(order="sorted", decimal_format="number").encode
