"""The views ``deals_<account>`` on SQLite, which knows an account's by a mark in the view's text.

SQLite has no types for the columns of a view and no error for a bad cast, so what is not a number, date or time
is told by its letters; ``date`` and ``strftime`` carry a 31st of February over to March, hence the comparison.
"""

import re
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence

from comporta.core.record import Column, ColumnType
from comporta.destinations.account_views import (
    DATA,
    DATA_COLUMNS,
    DEALS,
    ID_DIGITS,
    META,
    AccountView,
    Field,
    Words,
    plan,
    select,
)
from comporta.destinations.sqlite_views import MARK, make
from comporta.destinations.upsert import quoted
from comporta.ports.progress import LogLine

ColumnsOf = Callable[[sqlite3.Connection, str], Mapping[str, Column]]
_OWNED = "SELECT name, sql FROM sqlite_master WHERE type = 'view' AND instr(sql, ?)"
_DATE = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"


def owned(connection: sqlite3.Connection) -> dict[str, str]:
    """Return the account of each view that is an account's."""
    views = connection.execute(_OWNED, (MARK,)).fetchall()
    return {name: found[1] for name, sql in views if (found := re.search(r"/\* for ([\w-]+) \*/", sql))}


def refresh(connection: sqlite3.Connection, columns_of: ColumnsOf, account: str | None = None) -> Sequence[LogLine]:
    """Make the view of an account, or of all, or make it again if it would differ; return what to tell of it."""
    if not columns_of(connection, DEALS):
        return []
    there = owned(connection)
    fields = _fields(connection, columns_of(connection, META), account)
    accounts = {account} if account is not None else {*there.values(), *_accounts(connection, fields)}
    present = columns_of(connection, DATA)
    values = DATA if present.keys() >= DATA_COLUMNS.keys() else None
    words = Words("deals", values, str, _typed, padded=f"printf('%0{ID_DIGITS}d', x.id)", signwise=str)
    return [done for view in plan(accounts, there, fields) for done in _made(connection, view, words)]


def _made(connection: sqlite3.Connection, view: AccountView, words: Words) -> Sequence[LogLine]:
    return make(connection, view.name, f"/* for {view.account} */\n{select(view, words)}")


def _accounts(connection: sqlite3.Connection, fields: Sequence[Field]) -> set[str]:
    """Return the accounts that have custom fields or deals."""
    found = connection.execute(f"SELECT DISTINCT account FROM {DEALS}").fetchall()
    return {each.account for each in fields} | {account for (account,) in found}


def _fields(connection: sqlite3.Connection, present: Collection[str], account: str | None) -> list[Field]:
    """Return the field definitions that live; without labels they go by their ids, without types they are text."""
    if not present:
        return []
    known = ", ".join(name if name in present else "NULL" for name in ("field_label", "field_type"))
    query = f"SELECT account, id, {known} FROM {quoted(META)} WHERE _cmp_deleted_at IS NULL"
    if account is not None:
        query += " AND account = ?"
    return [Field(*row) for row in connection.execute(query, (account,) if account is not None else ())]


def _typed(kind: ColumnType, text: str) -> str:
    """Return the expression that reads a text as a type; null where it cannot be."""
    if text == "NULL" or kind == ColumnType.TEXT:
        return text
    value = f"trim({text})"
    if kind in {ColumnType.NUMERIC, ColumnType.INTEGER}:
        letters = "0-9." if kind == ColumnType.NUMERIC else "0-9"
        is_number = (
            f"length({value}) <= 18 AND {value} GLOB '*[0-9]*' AND {value} GLOB '[{letters}+-]*'"
            f" AND substr({value}, 2) NOT GLOB '*[^{letters}]*' AND {value} NOT GLOB '*.*.*'"
        )
        return (
            f"CASE WHEN {is_number} THEN CAST({value} AS {'NUMERIC' if kind == ColumnType.NUMERIC else 'INTEGER'}) END"
        )
    day = f"substr({value}, 1, 10)"
    is_day = f"{value} GLOB '{_DATE}*' AND date({day}, '+0 days') = {day} AND {day} >= '0001'"
    if kind == ColumnType.DATE:
        return f"CASE WHEN {is_day} AND substr({value}, 11, 1) IN ('', ' ', 'T') THEN {day} END"
    is_time = (
        f"{value} GLOB '{_DATE}[T ][0-2][0-9]:[0-5][0-9]*' AND substr({value}, 12, 2) <= '23'"
        f" AND (substr({value}, 17) GLOB '*[+-][0-1][0-9]:[0-5][0-9]' OR {value} GLOB '*Z')"
    )
    return f"CASE WHEN {is_day} AND {is_time} THEN strftime('%Y-%m-%dT%H:%M:%f', {value}) || '000Z' END"
