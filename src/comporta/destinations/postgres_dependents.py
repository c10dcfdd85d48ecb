"""What builds on the columns of a mirrored table on PostgreSQL, which then refuses to change their types.

Our own views are in nobody's way: they are dropped and made again as they were, grants included, around the
change. What a person built (a view, a generated column, a trigger, a policy) stays untouched, and pins its column.
"""

from collections.abc import Collection
from dataclasses import dataclass

from comporta.destinations.postgres_tables import MARK, Connection, execute, fitting, table_name

# Rules (of views), defaults of generated columns, triggers, policies: ALTER COLUMN TYPE refuses for each of them.
_PINNED = """
SELECT DISTINCT a.attname
FROM pg_catalog.pg_depend d
JOIN pg_catalog.pg_class c ON c.oid = d.refobjid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
LEFT JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND r.oid = d.objid
WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND n.nspname = $1 AND c.relname = $2
  AND a.attname = ANY($3::text[]) AND d.classid IN ('pg_catalog.pg_rewrite'::regclass,
  'pg_catalog.pg_attrdef'::regclass, 'pg_catalog.pg_trigger'::regclass, 'pg_catalog.pg_policy'::regclass)
  AND NOT pg_catalog.starts_with(coalesce(pg_catalog.obj_description(r.ev_class, 'pg_class'), ''), $4)"""
# A view is younger than what it builds on: by age they can be made again one after the other.
_OURS = """
WITH RECURSIVE built AS (
  SELECT r.ev_class AS view
  FROM pg_catalog.pg_depend d
  JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
  JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
  WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
    AND d.refobjid = $1::text::regclass AND a.attname = ANY($2::text[])
  UNION
  SELECT r.ev_class
  FROM built
  JOIN pg_catalog.pg_depend d ON d.refobjid = built.view
  JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
  WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass)
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname), pg_catalog.pg_get_viewdef(c.oid),
  pg_catalog.obj_description(c.oid, 'pg_class')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid IN (SELECT view FROM built)
  AND pg_catalog.starts_with(coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), ''), $3)
ORDER BY c.oid"""
# What the owner may do needs no grant, and what the schema's default privileges give comes by itself.
_GRANTS = """
SELECT pg_catalog.format('GRANT %s ON %s TO %s%s', a.privilege_type, $1::text,
  CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.format('%I', r.rolname) END,
  CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_catalog.pg_class c
CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) a
LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
WHERE c.oid = $1::text::pg_catalog.regclass AND a.grantee <> c.relowner"""


@dataclass(frozen=True, slots=True)
class Aside:
    """Our views that build on some columns: what drops all of them, and what makes them again."""

    dropping: list[str]
    making: list[str]


def pinned(connection: Connection, schema: str, table: str, columns: Collection[str]) -> set[str]:
    """Return which columns, by the names they have there, PostgreSQL will not change because a person built on them."""
    rows = execute(connection, _PINNED, fitting(schema), fitting(table), list(columns), MARK)
    return {row[0] for row in rows}


def aside(connection: Connection, schema: str, table: str, columns: Collection[str]) -> Aside:
    """Return how to take our views away from some columns of a table, by the names they have there, and back."""
    views = execute(connection, _OURS, table_name(schema, table), list(columns), MARK).fetchall()
    making: list[str] = []
    for name, definition, comment in views:
        making.append(f"CREATE VIEW {name} AS\n{definition}")
        making.append(f"COMMENT ON VIEW {name} IS '{comment}'")
        making += grants(connection, name)
    return Aside([f"DROP VIEW {', '.join(view[0] for view in views)}"] if views else [], making)


def grants(connection: Connection, view: str) -> list[str]:
    """Return the statements that grant again what others may do with a view, by its quoted name."""
    return [row[0] for row in execute(connection, _GRANTS, view)]
