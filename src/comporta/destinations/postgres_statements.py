"""What is said to PostgreSQL about the rows of one shape, built once for all its batches.

Rows travel as COPY's text, in which every canonical value may stay as it is: the server parses numbers,
times and JSON into the types of the columns, exactly and whatever the session's settings are.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from comporta.core.record import ColumnType
from comporta.core.schema import TablePlan
from comporta.destinations.postgres_tables import Table, dialect, named

_BESIDE = (ColumnType.INTEGER, ColumnType.JSON)
"""Types of what each row brings along, ``_cmp_hash`` and ``_cmp_extra``."""


@dataclass(frozen=True, slots=True)
class Statements:
    """The statements that write one shape into its table.

    ``straight`` copies rows (account, fields, hash, extra, run, time) into the table itself. ``make``,
    ``fill`` (fields, hash, extra) and ``merges`` take them there by a temporary table. Parameters
    of each merge are account, run, time, and its answer is the keys inserted and the keys updated; there is one
    by whether it overwrites newer versions, and by whether there are limited rows, known by having no hash.
    """

    straight: str
    make: str
    fill: str
    merges: Mapping[tuple[bool, bool], str]


def statements(table: Table, plan: TablePlan) -> Statements:
    """Return the statements for a table that was made to fit ``plan``."""
    shape, names = table.shape, [*map(named, plan.placed), "_cmp_hash", "_cmp_extra"]
    is_other = "t._cmp_hash IS DISTINCT FROM excluded._cmp_hash"
    is_newer = ""
    if shape.stamp is not None:
        stamp = names[shape.index(shape.stamp)]
        # Where the new row has no stamp the comparison is null: not newer, as in sort.decide.
        is_newer = f" AND (t.{stamp} IS NULL OR excluded.{stamp} >= t.{stamp})"
    listed = ", ".join(names)
    wanted = {False: is_other + is_newer, True: is_other}
    return Statements(
        straight=f"COPY {table.name} (account, {listed}, _cmp_run, _cmp_synced_at) FROM STDIN",
        make=f"CREATE TEMPORARY TABLE cmp_rows ({', '.join(_described(table, names))}) ON COMMIT DROP",
        fill=f"COPY pg_temp.cmp_rows ({listed}) FROM STDIN",
        merges={
            (overwrites, has_limited): _merge(table, plan, names, wanted[overwrites], has_limited=has_limited)
            for overwrites in (False, True)
            for has_limited in (False, True)
        },
    )


def _described(table: Table, names: list[str]) -> list[str]:
    speak, shape = dialect(table.schema), table.shape
    kinds = [speak.types[kind] for kind in (*(each.type for each in shape.columns), *_BESIDE)]
    if table.key_kind == ColumnType.TEXT:
        kinds[shape.index(shape.key)] += speak.key
    return [f"{name} {kind}" for name, kind in zip(names, kinds, strict=True)]


def _merge(table: Table, plan: TablePlan, names: list[str], is_wanted: str, *, has_limited: bool) -> str:
    """Return the statement that takes the rows from the temporary table into the mirrored one, in order of keys.

    It judges each row by what the table has at that moment, under the row's lock. A row that was updated
    has been locked, which shows in its ``xmax``; a row that is left as it is does not come back. Of a limited
    row that is there by now no field is written, only that it lives.
    """
    listed, key = ", ".join(names), named(table.shape.key)
    written = [*names, "_cmp_run", "_cmp_synced_at", "_cmp_deleted_at"]
    values = {name: f"excluded.{name}" for name in written} | {named(name): "NULL" for name in plan.cleared}
    if has_limited:
        is_wanted += " AND excluded._cmp_hash IS NOT NULL"
        kept = [*names, *map(named, plan.cleared)]
        values |= {name: f"CASE WHEN excluded._cmp_hash IS NULL THEN t.{name} ELSE {values[name]} END" for name in kept}
    assignments = [f"{name} = {value}" for name, value in values.items()]
    return (
        "WITH written AS ("
        f"INSERT INTO {table.name} AS t (account, {', '.join(written)})"
        f" SELECT $1, {listed}, $2, $3::timestamptz, NULL FROM pg_temp.cmp_rows ORDER BY {key}"
        f" ON CONFLICT (account, {key}) DO UPDATE SET {', '.join(assignments)}"
        f" WHERE t._cmp_deleted_at IS NOT NULL OR {is_wanted}"
        f" RETURNING t.{key} AS key, t.xmax = 0 AS is_new)"
        " SELECT array_agg(key) FILTER (WHERE is_new), array_agg(key) FILTER (WHERE NOT is_new) FROM written"
    )
