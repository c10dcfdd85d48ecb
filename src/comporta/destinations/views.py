"""The views in business words over the mirrored tables: orders, order_lines, order_products, products.

Each source contributes one SELECT to each view (``queries/views_<source>.sql``). A column of a view whose
mirrored columns do not exist (a stream not synced, a field not asked for) is null, not an error, so a view
is right from the first table on and is made again when columns appear. Views of ours carry a mark; a table
or view of the user's with such a name is refused, never replaced.
"""

import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from comporta.core.record import Column
from comporta.destinations.upsert import quoted
from comporta.errors import NameTaken

MARK = "/* made by comporta */"
VIEWS: Mapping[str, tuple[str, ...]] = {
    "orders": (
        "source", "account", "id", "number", "status", "customer", "currency", "total_minor", "ordered_at",
        "updated_at", "synced_at",
    ),
    "order_lines": (
        "source", "account", "order_id", "line_id", "product_code", "product_name", "quantity",
        "unit_price_minor", "total_minor", "currency",
    ),
    "order_products": ("source", "account", "order_number", "product_code", "quantity", "total_minor", "lines"),
    "products": (
        "source", "account", "id", "code", "name", "price_minor", "currency", "stock", "active", "updated_at",
    ),
}  # fmt: skip
SOURCES = ("odoo",)
# SQLite's names do not know upper case from lower; triggers have names of their own.
_TAKEN = "SELECT type, sql FROM sqlite_master WHERE name = ? COLLATE NOCASE AND type <> 'trigger'"
ColumnsOf = Callable[[sqlite3.Connection, str], Mapping[str, Column]]


def refresh(connection: sqlite3.Connection, columns_of: ColumnsOf) -> Sequence[str]:
    """Make every view that can be made, or make it again if it would differ; return what was done."""
    done = []
    for view in VIEWS:
        parts = [part for source in SOURCES if (part := _part(connection, source, view, columns_of))]
        if not parts:
            continue
        wanted = f"CREATE VIEW {view} AS {MARK}\n" + "\nUNION ALL\n".join(parts)
        present = _present(connection, view)
        if present == wanted:
            continue
        if present is not None:
            connection.execute(f"DROP VIEW {view}")
        connection.execute(wanted)
        done.append(f"view {view} {'made again' if present else 'created'}")
    return done


def _present(connection: sqlite3.Connection, view: str) -> str | None:
    """Return the definition of our view, ``None`` if there is none; refuse what is not ours."""
    row = connection.execute(_TAKEN, (view,)).fetchone()
    if row is None:
        return None
    kind, definition = row
    if kind != "view" or MARK not in definition:
        message = (
            f"the database has a {kind} called {view!r} that is not ours; Comporta's view of that name needs the place"
        )
        raise NameTaken(message)
    return str(definition)


def _part(connection: sqlite3.Connection, source: str, view: str, columns_of: ColumnsOf) -> str | None:
    """Return a source's SELECT for a view, absent columns as null; ``None`` without its first table."""
    template = _templates(source).get(view)
    if template is None:
        return None
    aliases = dict(re.findall(r"-- needs (\w+) as (\w+)", template))
    optional = dict(re.findall(r"-- joins (\w+) as (\w+)", template))
    if not all(columns_of(connection, table) for table in aliases):
        return None
    known = {alias: columns_of(connection, table) for table, alias in {**aliases, **optional}.items()}
    lines = [line for line in template.splitlines() if not line.startswith("-- ")]
    kept = [
        line
        for line in lines
        if not any(f"JOIN {table} " in line and not known[alias] for table, alias in optional.items())
    ]
    return re.sub(r"\b([a-z])\.(\w+)", lambda found: _column(found, known), "\n".join(kept)).strip()


def _column(found: "re.Match[str]", known: Mapping[str, Mapping[str, Column]]) -> str:
    alias, name = found.groups()
    if alias not in known:
        return found.group()
    return f"{alias}.{quoted(name)}" if name in known[alias] else "NULL"


@cache
def _templates(source: str) -> dict[str, str]:
    text = Path(__file__).with_name("queries").joinpath(f"views_{source}.sql").read_text("utf-8")
    blocks = text.split("-- view: ")[1:]
    return {name.strip(): body.strip().rstrip(";") for name, _, body in (block.partition("\n") for block in blocks)}
