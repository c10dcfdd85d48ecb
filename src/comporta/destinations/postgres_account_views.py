"""The views ``deals_<account>`` on PostgreSQL, which knows an account's by the comment on it.

A cast that fails would break the whole view, and no release before 16 can be asked whether one would. So a text
is only cast where a regular expression has found that it must succeed: each day that there is, leap years included.

A column that goes, or gets another name or type, cannot be replaced in place. Then the view is dropped and made, its
grants with it, unless somebody built on it: then it stays as it was, and the run's log says so.
"""

from collections.abc import Sequence

from psycopg.errors import DependentObjectsStillExist, InvalidTableDefinition

from comporta.core.record import ColumnType
from comporta.destinations.account_views import (
    DATA,
    DATA_COLUMNS,
    DEALS,
    ID_DIGITS,
    META,
    Field,
    Words,
    plan,
    select,
)
from comporta.destinations.postgres_dependents import grants
from comporta.destinations.postgres_tables import (
    MARK,
    TYPES,
    Connection,
    Present,
    columns_of,
    execute,
    fitting,
    is_ours,
    lock_ddl,
    refuse_taken,
    table_name,
)
from comporta.destinations.postgres_views import digest
from comporta.destinations.told import view_left, view_made
from comporta.ports.progress import LogLine

_FOR = " for "
_OWNED = """
SELECT c.relname, pg_catalog.obj_description(c.oid, 'pg_class')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relkind = 'v'
  AND pg_catalog.starts_with(pg_catalog.obj_description(c.oid, 'pg_class'), $2)
ORDER BY c.oid"""
_DAY = (
    "(?!0000)(\\d{4}-((0[1-9]|1[0-2])-(0[1-9]|1\\d|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)"
    "|(\\d\\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)"
).replace("\\d", "[0-9]")
_PATTERNS = {
    ColumnType.NUMERIC: "^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)$",
    ColumnType.INTEGER: "^[+-]?[0-9]+$",
    ColumnType.DATE: f"^{_DAY}([ T].*)?$",
    ColumnType.TIMESTAMP: (
        f"^{_DAY}[ T]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]+)?)?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])$"
    ),
}
_NUMBER_MAX = 18
"""Letters in a number: what is longer may not fit into 64 bits."""


def owned(connection: Connection, schema: str) -> dict[str, str]:
    """Return the account of each view that is an account's."""
    return {view: _account(comment) for view, comment in _comments(connection, schema).items()}


def refresh(connection: Connection, schema: str, account: str | None = None) -> list[LogLine]:
    """Make the view of an account, or of all, or make it again if it would differ; tell what was done."""
    lock_ddl(connection, schema)
    found = columns_of(connection, schema, (DEALS, META, DATA))
    tables = {table: present for table, present in found.items() if is_ours(present)}
    if DEALS not in tables:
        return []
    before = _comments(connection, schema)
    there = {view: _account(comment) for view, comment in before.items()}
    fields = _fields(connection, schema, tables.get(META, {}), account)
    accounts = {account} if account is not None else {*there.values(), *_accounts(connection, schema, fields)}
    values = tables.get(DATA, {})
    is_filled = all(values.get(name) == kind for name, kind in DATA_COLUMNS.items())
    words = Words(
        table_name(schema, "deals"),
        table_name(schema, DATA) if is_filled else None,
        lambda key: f"CAST({key} AS text)",
        _typed,
        padded=f"pg_catalog.lpad(CAST(x.id AS text), {ID_DIGITS}, '0')",
        signwise=lambda text: f'({text}) COLLATE "C"',
    )
    told: list[LogLine] = []
    for view in plan(accounts, there, fields):
        definition = select(view, words)
        comment = f"{MARK}{digest(definition)}{_FOR}{view.account}"
        if before.get(view.name) != comment:
            told.append(_made(connection, schema, view.name, definition, is_there=view.name in before))
            if told[-1].level == "info":
                execute(connection, f"COMMENT ON VIEW {table_name(schema, view.name)} IS '{comment}'")
    return told


def _made(connection: Connection, schema: str, view: str, definition: str, *, is_there: bool) -> LogLine:
    """Make a view, or make it again, and return what to tell of it."""
    refuse_taken(connection, schema, view, "Comporta's view of that name")
    try:
        _replace(connection, table_name(schema, view), definition)
    except DependentObjectsStillExist as error:
        others = (error.diag.message_detail or "").replace("\n", ", ")
        return view_left(view, others)
    return view_made(view, is_there=is_there)


def _replace(connection: Connection, name: str, definition: str) -> None:
    """Make a view or replace it; where its columns do not allow that, drop it first."""
    try:
        with connection.transaction():
            execute(connection, f"CREATE OR REPLACE VIEW {name} AS\n{definition}")
    except InvalidTableDefinition:
        with connection.transaction():
            granted = grants(connection, name)
            execute(connection, f"DROP VIEW {name}")
            execute(connection, f"CREATE VIEW {name} AS\n{definition}")
            for grant in granted:
                execute(connection, grant)


def _comments(connection: Connection, schema: str) -> dict[str, str]:
    """Return the comment of each view that is an account's."""
    found = execute(connection, _OWNED, fitting(schema), MARK)
    return {view: comment for view, comment in found if _FOR in comment}


def _account(comment: str) -> str:
    return comment.partition(_FOR)[2]


def _accounts(connection: Connection, schema: str, fields: Sequence[Field]) -> set[str]:
    """Return the accounts that have custom fields or deals."""
    found = execute(connection, f"SELECT DISTINCT account FROM {table_name(schema, DEALS)}")
    return {each.account for each in fields} | {account for (account,) in found}


def _fields(connection: Connection, schema: str, present: Present, account: str | None) -> Sequence[Field]:
    """Return the field definitions that live; without labels they go by their ids, without types they are text."""
    if not present:
        return []
    known = ", ".join(f"{name}::text" if name in present else "NULL" for name in ("field_label", "field_type"))
    query = f"SELECT account, id, {known} FROM {table_name(schema, META)} WHERE _cmp_deleted_at IS NULL"
    if account is not None:
        return [Field(*row) for row in execute(connection, f"{query} AND account = $1", account)]
    return [Field(*row) for row in execute(connection, query)]


def _typed(kind: ColumnType, text: str) -> str:
    """Return the expression that reads a text as a type; null where it cannot be."""
    if text == "NULL" or kind == ColumnType.TEXT:
        return f"CAST({text} AS {TYPES[kind]})"
    value = f"pg_catalog.btrim({text})"
    is_fit = f"{value} ~ '{_PATTERNS[kind]}'"
    if kind in {ColumnType.NUMERIC, ColumnType.INTEGER}:
        is_fit += f" AND pg_catalog.length({value}) <= {_NUMBER_MAX}"
    if kind == ColumnType.DATE:
        value = f"pg_catalog.substr({value}, 1, 10)"
    return f"CASE WHEN {is_fit} THEN CAST({value} AS {TYPES[kind]}) END"
