"""Making a mirrored table fit a shape on PostgreSQL: the table itself, new columns, and wider ones.

PostgreSQL changes no type of a column on which something builds. Our own views stand aside meanwhile; where a person
built on the column, or on such a view, its new values go into a column beside it.
"""

from collections.abc import Collection
from dataclasses import dataclass

from psycopg.errors import DependentObjectsStillExist

from comporta.core.record import Shape
from comporta.core.schema import TablePlan
from comporta.destinations.postgres_dependents import aside, pinned
from comporta.destinations.postgres_tables import (
    Connection,
    columns_of,
    dialect,
    execute,
    fitting,
    is_ours,
    lock_ddl,
    named,
    plan_for,
    refuse_taken,
)
from comporta.destinations.told import column_widened, columns_made, table_made
from comporta.destinations.upsert import add_columns, create_table
from comporta.ports.progress import LogLine


@dataclass(frozen=True, slots=True)
class Change:
    """What a table lacks, as it is told and in statements, and the columns that become wider by it."""

    told: list[LogLine]
    statements: list[str]
    widened: frozenset[str] = frozenset()


def fit_table(connection: Connection, schema: str, shape: Shape) -> list[LogLine]:
    """Make the table, or its missing columns; return what to tell of it."""
    if _change(connection, schema, shape) is None:
        return []
    lock_ddl(connection, schema)
    change = _change(connection, schema, shape)
    if change is None:
        return []
    if change.widened:
        try:
            return _widen(connection, schema, shape, change)
        except DependentObjectsStillExist:
            change = _change(connection, schema, shape, kept=change.widened) or Change([], [])
    for statement in change.statements:
        execute(connection, statement)
    return change.told


def _widen(connection: Connection, schema: str, shape: Shape, change: Change) -> list[LogLine]:
    """Change a table while our views of the columns that become wider stand aside."""
    views = aside(connection, schema, shape.table, [fitting(name) for name in change.widened])
    with connection.transaction():
        for statement in (*views.dropping, *change.statements, *views.making):
            execute(connection, statement)
    return change.told


def _change(connection: Connection, schema: str, shape: Shape, *, kept: Collection[str] = ()) -> Change | None:
    """Return what a table lacks; columns that are to be ``kept`` as they are get others beside them."""
    present = columns_of(connection, schema, [shape.table]).get(shape.table, {})
    if not is_ours(present):
        refuse_taken(connection, schema, shape.table)
    if not present:
        made = table_made(shape.table, len(shape.columns))
        return Change([made], [*_schema(connection, schema), *create_table(dialect(schema), shape)])
    plan = plan_for(present, shape, kept)
    if plan.widened:
        there = {fitting(each.name): each.name for each in plan.widened}
        built_on = {there[name] for name in pinned(connection, schema, shape.table, there)}
        plan = plan_for(present, shape, {*kept, *built_on})
    return _changing(schema, shape.table, plan) if plan.added or plan.widened else None


def _changing(schema: str, table: str, plan: TablePlan) -> Change:
    speak = dialect(schema)
    told: list[LogLine] = []
    statements: list[str] = []
    if plan.added:
        told.append(columns_made(table, (each.name for each in plan.added)))
        statements += add_columns(speak, table, plan.added)
    for each in plan.widened:
        told.append(column_widened(table, each.name, each.type))
        kind = speak.types[each.type]
        statements.append(f"ALTER TABLE {speak.table(table)} ALTER COLUMN {speak.name(each.name)} TYPE {kind}")
    return Change(told, statements, frozenset(each.name for each in plan.widened))


def _schema(connection: Connection, schema: str) -> list[str]:
    """Return what makes the schema; nothing where it exists, for who may use it may not be allowed to make it."""
    there = execute(connection, "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1", fitting(schema)).fetchone()
    return [] if there else [f"CREATE SCHEMA {named(schema)}"]
