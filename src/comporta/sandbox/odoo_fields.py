"""The field tables of ``odoo_models`` as values: which fields a model has in which Odoo version.

A record is a plain list with one cell for every field that is a column in PostgreSQL; fields without
a cell (one2many, computed, inherited through ``product_tmpl_id``) are worked out when they are read.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from comporta.sandbox.odoo_models import FIRST_VERSION, INHERITS, LAST_VERSION, MAGIC, MODELS

# A cell holds bool, int, float, str, a tuple of ids or a dict; the field's type says which.
Cell = Any
# A committed record is a tuple: nobody changes it in place, and one of plain values costs Python's
# garbage collector nothing, which otherwise walks through every record ten times a second.
Record = tuple[Any, ...]
Draft = list[Any]

EMPTY: dict[str, Cell] = {
    "integer": 0,
    "float": 0.0,
    "monetary": 0.0,
    "one2many": (),
    "many2many": (),
}
EXACT_STAMPS = frozenset({"create_date", "write_date"})


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a model, as ``fields_get`` would describe it."""

    name: str
    type: str
    relation: str = ""
    selection: tuple[str, ...] = ()
    is_stored: bool = True
    is_required: bool = False
    inherited_through: str = ""

    @property
    def has_cell(self) -> bool:
        """Tell whether the record itself keeps the value."""
        return self.is_stored and self.type not in {"one2many", "binary"}

    @property
    def empty(self) -> Cell:
        """Return what RPC shows for an unset value: ``False`` but for numbers and lists."""
        return EMPTY.get(self.type, False)

    @property
    def label(self) -> str:
        """Return a readable name, as the ``string`` attribute gives it."""
        return self.name.removesuffix("_ids").removesuffix("_id").replace("_", " ").strip().title()


@dataclass(frozen=True, slots=True)
class Model:
    """A model's fields in one version, and where each cell lies in its records."""

    name: str
    fields: dict[str, Field]
    cells: dict[str, int] = field(default_factory=dict)

    def blank(self) -> Draft:
        """Return a record with every cell unset."""
        return [self.fields[name].empty for name in self.cells]


def build_models(version: int) -> dict[str, Model]:
    """Return every model as the given Odoo version has it."""
    models = {name: _build_model(name, text, version) for name, text in MODELS.items()}
    for name, (parent, link) in INHERITS.items():
        own = models[name].fields
        own.update(
            {
                known.name: replace(known, is_stored=False, is_required=False, inherited_through=link)
                for known in models[parent].fields.values()
                if known.name not in own and not known.name.startswith("product_variant")
            }
        )
    return models


def _build_model(name: str, text: str, version: int) -> Model:
    lines = [line for line in (MAGIC + text).splitlines() if line.strip()]
    parsed = [_parse_field(line.split()) for line in lines if _in_version(line.split()[2:], version)]
    fields = {known.name: known for known in parsed}
    columns = [known.name for known in fields.values() if known.has_cell]
    return Model(name, fields, {column: place for place, column in enumerate(columns)})


def _parse_field(words: list[str]) -> Field:
    """Read ``name type[:detail] [computed] [required] [16-18]``.

    >>> _parse_field("state selection:draft,sale required".split()).selection
    ('draft', 'sale')
    """
    kind, _, detail = words[1].partition(":")
    options = tuple(detail.replace("~", " ").split(",")) if kind == "selection" else ()
    relation = detail if kind != "selection" else ""
    return Field(words[0], kind, relation, options, "computed" not in words[2:], "required" in words[2:])


def _in_version(flags: list[str], version: int) -> bool:
    """Tell whether a field's version range, if it has one, holds the version.

    >>> _in_version(["computed", "17-"], 16), _in_version(["16-18"], 18), _in_version([], 19)
    (False, True, True)
    """
    spans = [flag for flag in flags if "-" in flag]
    for span in spans:
        first, _, last = span.partition("-")
        if not int(first or FIRST_VERSION) <= version <= int(last or LAST_VERSION):
            return False
    return True
