"""From Odoo's description of a model to the columns we keep.

Fields are discovered, never hard-coded: localisations and studios add their own. What a release
renamed is found under either name and kept under the one the server has.
"""

import difflib
from collections.abc import Mapping, Sequence

import msgspec

from comporta.core.record import Column, ColumnType, Shape
from comporta.core.schema import column_name
from comporta.errors import UnknownField
from comporta.sources.odoo_streams import PARENTS

SOURCE = "odoo"
KEY = "id"
STAMP = "write_date"

_RENAMED = (("tax_id", "tax_ids"), ("product_uom", "product_uom_id"), ("groups_id", "group_ids"))
"""Names of one field before and since 19."""

_TYPES = {
    "integer": ColumnType.INTEGER,
    "many2one": ColumnType.INTEGER,
    "many2one_reference": ColumnType.INTEGER,
    "float": ColumnType.NUMERIC,
    "monetary": ColumnType.NUMERIC,
    "boolean": ColumnType.BOOLEAN,
    "datetime": ColumnType.TIMESTAMP,
    "date": ColumnType.DATE,
    "char": ColumnType.TEXT,
    "text": ColumnType.TEXT,
    "html": ColumnType.TEXT,
    "selection": ColumnType.TEXT,
    "reference": ColumnType.TEXT,
    "binary": ColumnType.TEXT,
}
"""Everything else (lists of ids, properties, json, types yet to come) is kept as JSON text."""

_LEFT_OUT = frozenset({"binary", "one2many"})
"""By default: attachments, and lists that come complete with the stream they list."""


class Field(msgspec.Struct, frozen=True):
    """What ``fields_get`` says of a field."""

    type: str
    store: bool = True


ATTRIBUTES = ("type", "store")


def describe(stream: str, fields: Mapping[str, Field], wanted: Sequence[str] | None, *, subject: str) -> Shape:
    """Return the stream's shape: the key first, then the fields in alphabetical order."""
    if wanted is None:
        names = {name for name, known in fields.items() if known.store and known.type not in _LEFT_OUT}
    else:
        names = {_resolve(name, fields, subject=subject) for name in wanted}
    parent, parent_stream = PARENTS.get(stream, ("", ""))
    names |= {name for name in (STAMP, parent) if name in fields}
    columns = _columns([KEY, *sorted(names - {KEY})], fields, first=(KEY, STAMP, parent))
    return Shape(
        SOURCE,
        stream,
        columns,
        key=KEY,
        stamp=STAMP if STAMP in names else None,
        parent=parent if parent in names else None,
        parent_stream=parent_stream if parent in names else None,
    )


def _resolve(name: str, fields: Mapping[str, Field], *, subject: str) -> str:
    if name in fields:
        return name
    for names in _RENAMED:
        present = [other for other in names if name in names and other in fields]
        if present:
            return present[0]
    near = difflib.get_close_matches(name, fields, n=1, cutoff=0.5)
    hint = f"; the nearest is {near[0]!r}" if near else ""
    message = f"{subject}: the model has no field {name!r} among the {len(fields)} that this user may read{hint}"
    raise UnknownField(message)


def _columns(names: Sequence[str], fields: Mapping[str, Field], *, first: Sequence[str]) -> tuple[Column, ...]:
    """Return a column for each field; of fields that would share a name, those in ``first`` keep it."""
    columns: dict[str, str] = {}
    for name in sorted(names, key=lambda name: name not in first):
        column = column_name(name)
        while column in columns.values():
            column += "_"
        columns[name] = column
    return tuple(Column(columns[name], _type(name, fields), name) for name in names)


def _type(name: str, fields: Mapping[str, Field]) -> ColumnType:
    return ColumnType.INTEGER if name == KEY else _TYPES.get(fields[name].type, ColumnType.JSON)
