"""Which columns a stream needs in its table, what a value's type is, and what may widen into what.

A table is shared by all accounts of a source and read by people while we write. So a column is only
ever added, or widened where every value it holds stays right as it is; it is never dropped, renamed or
rewritten. A type that does not fit gets a column *beside* the first, named ``field__type``.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from comporta.core.record import Column, ColumnType

WRITTEN_BY = "_cmp_run"
OURS = (WRITTEN_BY, "_cmp_synced_at", "_cmp_deleted_at", "_cmp_hash", "_cmp_extra")
"""The columns of ours at the end of every mirrored table; ``account`` stands before the source's key."""


@dataclass(frozen=True, slots=True)
class TablePlan:
    """What must change in a table, and into which of its columns each wanted column is written.

    ``cleared`` are columns of the same field in a type it no longer has: written as null with each row,
    so that nobody reads yesterday's value beside today's.
    """

    added: tuple[Column, ...]
    widened: tuple[Column, ...]
    placed: tuple[str, ...]
    cleared: tuple[str, ...]


def widen(present: ColumnType, wanted: ColumnType) -> ColumnType | None:
    """Return the type that holds both without touching what is stored, ``None`` when there is none.

    >>> widen(ColumnType.INTEGER, ColumnType.NUMERIC).value
    'numeric'
    >>> widen(ColumnType.INTEGER, ColumnType.TEXT) is None
    True
    """
    if present == wanted:
        return present
    if {present, wanted} == {ColumnType.INTEGER, ColumnType.NUMERIC}:
        return ColumnType.NUMERIC
    return None


def plan_table(present: Mapping[str, Column], wanted: Sequence[Column]) -> TablePlan:
    """Return how a table that has the columns ``present``, by name, must change to take ``wanted``."""
    added, widened, placed, cleared = [], [], [], []
    names = {column.name for column in wanted}
    for column in wanted:
        beside = Column(beside_name(column.name, column.type, names, present), column.type, column.field)
        first = present.get(column.name)
        if first is None:
            added.append(column)
            placed.append(column.name)
        elif (both := widen(first.type, column.type)) is not None:
            if both != first.type:
                widened.append(Column(column.name, both, column.field))
            placed.append(column.name)
        else:
            if beside.name not in present:
                added.append(beside)
            placed.append(beside.name)
        cleared += [each.name for each in present.values() if each.field == column.field and each.name != placed[-1]]
    return TablePlan(tuple(added), tuple(widened), tuple(placed), tuple(cleared))


def beside_name(name: str, kind: ColumnType, taken: Collection[str], present: Mapping[str, Column]) -> str:
    """Return the column beside ``name`` for values of another type, out of the way of the source's own names.

    >>> beside_name("x", ColumnType.TEXT, {"x"}, {}), beside_name("x", ColumnType.TEXT, {"x", "x__text"}, {})
    ('x__text', 'x__text_')
    """
    beside = f"{name}__{kind.value}"
    while beside in taken or (beside in present and widen(present[beside].type, kind) is None):
        beside += "_"
    return beside


def column_name(field: str) -> str:
    """Return the column for a source's field: snake_case, out of the way of our own columns.

    >>> column_name("partner_id"), column_name("account"), column_name("_cmp_run"), column_name("dealValue")
    ('partner_id', 'account_', '_cmp_run_', 'deal_value')
    """
    letters = []
    for place, letter in enumerate(field):
        if letter.isupper() and place > 0 and (field[place - 1].islower() or field[place - 1].isdigit()):
            letters.append("_")
        letters.append(letter.lower() if letter.isalnum() and letter.isascii() else "_")
    name = "".join(letters)
    return f"{name}_" if name == "account" or name.startswith("_cmp_") else name
