"""Committed tables, row locks and labels: what transactions change and readers read.

Whoever reads or publishes holds ``lock``; it is never held while a client is being answered.
"""

from collections.abc import Mapping
from threading import RLock

from comporta.sandbox.odoo_errors import unknown_model
from comporta.sandbox.odoo_fields import Cell, Model, Record, build_models
from comporta.sandbox.odoo_labels import label_of
from comporta.sandbox.odoo_table import Table

Key = tuple[str, int]


class Database:
    """All tables of one simulated database."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.lock = RLock()
        self.models: dict[str, Model] = build_models(version)
        self.tables = {name: Table(model) for name, model in self.models.items()}
        self.locked: dict[Key, int] = {}

    def table(self, name: str) -> Table:
        """Return a model's table, or raise what Odoo raises for a model it does not have."""
        if name not in self.tables:
            raise unknown_model(name)
        return self.tables[name]

    def value(self, model: str, known: int, name: str) -> Cell:
        """Return one committed cell as it is stored."""
        table = self.table(model)
        return table.rows[known][table.model.cells[name]]

    def ids(self, model: str) -> list[int]:
        """Return the ids of all committed records, archived ones too."""
        with self.lock:
            return list(self.table(model).ids)

    def pair(self, model: str, known: Cell) -> Cell:
        """Return ``[id, label]`` of a many2one, or ``False``; labels are built once and kept."""
        if not known:
            return False
        table = self.tables.get(model)
        if table is None:
            return [known, f"{model},{known}"]
        found = table.pairs.get(known)
        if found is None:
            found = table.pairs[known] = [known, label_of(self.tables, model, known)]
        return found

    def publish(self, changes: Mapping[Key, Record | None]) -> None:
        """Make a transaction's rows visible, all at once."""
        for (model, known), row in changes.items():
            self.tables[model].publish(known, row)
            if model in {"product.template", "res.partner"}:
                self._forget_labels("product.product" if model == "product.template" else model, known)

    def _forget_labels(self, model: str, parent: int) -> None:
        table = self.tables[model]
        for child in table.children.get(parent, ()):
            table.pairs.pop(child, None)
