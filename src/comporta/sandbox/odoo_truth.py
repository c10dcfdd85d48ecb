"""What is really committed, for checks: every record of a model, archived ones too, unlabelled.

Stamps are as RPC shows them; ``_write_date_exact`` keeps the microseconds that RPC hides.
"""

from collections.abc import Callable
from datetime import UTC
from typing import Any

from comporta.sandbox.odoo_database import Database
from comporta.sandbox.odoo_fields import EXACT_STAMPS, Field, Record
from comporta.sandbox.odoo_stamps import SHOWN
from comporta.sandbox.odoo_values import reader_of
from comporta.sandbox.odoo_world import World


def truth(world: World, model: str) -> dict[str, Any]:
    """Return every committed record with all stored fields, and the source's instant of asking."""
    with world.lock:
        as_of = world.clock.now().astimezone(UTC).isoformat().replace("+00:00", "Z")
        return {"as_of": as_of, "records": records(world, model)}


def records(database: Database, model: str) -> list[dict[str, Any]]:
    """Return every committed record of a model, in order of id."""
    table = database.table(model)
    readers = {
        name: _reader(database, model, known)
        for name, known in table.model.fields.items()
        if known.is_stored and known.type != "binary"
    }
    stamp = table.model.cells["write_date"]
    return [
        {name: read(row) for name, read in readers.items()} | {"_write_date_exact": row[stamp]}
        for row in (table.rows[known] for known in table.ids)
    ]


def _reader(database: Database, model: str, known: Field) -> Callable[[Record], Any]:
    read = reader_of(database, model, known.name)
    if known.name in EXACT_STAMPS:
        return lambda row: read(row)[:SHOWN]
    if known.type in {"one2many", "many2many"}:
        return lambda row: list(read(row))
    if known.type == "boolean":
        return read
    return lambda row: None if (seen := read(row)) is False else seen
