"""The views in business words over the mirrored tables: orders, order_lines, order_products, products, deals.

Each source contributes one SELECT to each view (``queries/views_<source>.sql``), in SQL that every
database takes. A column of a view whose mirrored columns do not exist (a stream not synced, a field not
asked for) is null, not an error, so a view is right from the first table on and is made again when columns
appear. How a view is made, and how ours is told from the user's, differs: ``sqlite_views``, ``postgres_views``.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from comporta.core.record import Column, ColumnType

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
    "deals": (
        "account", "id", "title", "pipeline", "stage", "status", "value_minor", "currency", "owner", "contact",
        "created_at", "updated_at",
    ),
}  # fmt: skip
SOURCES = ("odoo", "activecampaign", "mercadolivre")
MINOR_MAX = 10**16
"""Nothing that is sold costs so much; where a slip of the finger does, one row would break a view for all accounts."""
_MINOR = re.compile(r"minor(_sum)?{(.*?)}")
Tables = Mapping[str, Mapping[str, Column]]
"""The mirrored tables that exist, each with its columns by name."""


@dataclass(frozen=True, slots=True)
class Speech:
    """How a database writes a table, and a column by alias, name, type expected and column there is, if any.

    ``part`` is how it writes what one source contributes to a view: ids are numbers at one and text at another.
    """

    table: Callable[[str], str]
    column: Callable[[str, str, ColumnType, Column | None], str]
    part: Callable[[str, str], str] = lambda _, select: select


@dataclass(frozen=True, slots=True)
class Template:
    """What one source contributes to one view: ``needed`` and ``joined`` map tables to their aliases."""

    needed: Mapping[str, str]
    joined: Mapping[str, str]
    kinds: Mapping[str, ColumnType]
    lines: tuple[str, ...]


def tables() -> list[str]:
    """Return every table that some view speaks of."""
    templates = [template for source in SOURCES for template in _templates(source).values()]
    return sorted({table for each in templates for table in (*each.needed, *each.joined)})


def selects(present: Tables, speech: Speech) -> Iterator[tuple[str, str]]:
    """Yield each view that can be made, and the SELECT that it stands for."""
    for view in VIEWS:
        templates = [_templates(source)[view] for source in SOURCES if view in _templates(source)]
        made = [_part(each, present, speech) for each in templates if all(map(present.get, each.needed))]
        parts = [speech.part(view, each) for each in made]
        if parts:
            yield view, "\nUNION ALL\n".join(parts)


def _part(template: Template, present: Tables, speech: Speech) -> str:
    """Return a source's SELECT, the joins of absent tables left out and absent columns null."""
    named = {**template.needed, **template.joined}
    known = {alias: present.get(table, {}) for table, alias in named.items()}
    absent = [f"JOIN {table} " for table, alias in template.joined.items() if not known[alias]]

    def column(found: "re.Match[str]") -> str:
        alias, name = found.groups()
        return speech.column(alias, name, template.kinds[name], known[alias].get(name))

    kept = [line for line in template.lines if not any(join in line for join in absent)]
    text = re.sub(rf"\b({_either(known)})\.(\w+)", column, "\n".join(kept))
    return re.sub(rf"(?<=FROM |JOIN )({_either(named)})(?= )", lambda found: speech.table(found.group()), text)


def _either(names: Iterable[str]) -> str:
    return "|".join(sorted(names, key=len, reverse=True))


@cache
def _templates(source: str) -> dict[str, Template]:
    text = Path(__file__).with_name("queries").joinpath(f"views_{source}.sql").read_text("utf-8")
    head, *blocks = text.split("-- view: ")
    kinds = {
        name: ColumnType(kind) for kind, names in re.findall(r"-- (\w+) columns: (.*)", head) for name in names.split()
    }
    return {
        name.strip(): _template(body.strip().rstrip(";"), kinds)
        for name, _, body in (block.partition("\n") for block in blocks)
    }


def _template(body: str, kinds: Mapping[str, ColumnType]) -> Template:
    return Template(
        needed=dict(re.findall(r"-- needs (\w+) as (\w+)", body)),
        joined=dict(re.findall(r"-- joins (\w+) as (\w+)", body)),
        kinds=kinds,
        lines=tuple(_MINOR.sub(_minor, line) for line in body.splitlines() if not line.startswith("-- ")),
    )


def _minor(found: "re.Match[str]") -> str:
    """Return an amount in minor units as a whole number, or the sum of such; null where there is none."""
    is_sum, amount = found.groups()
    whole = f"CASE WHEN abs({amount}) < {MINOR_MAX} THEN CAST(round({amount}) AS BIGINT) END"
    return f"CASE WHEN max(abs({amount})) < {MINOR_MAX} THEN sum({whole}) END" if is_sum else whole
