"""One database transaction: its stamp is its start, its rows are seen when it commits.

Changes lie in an overlay, copied on first write. A row another open transaction has touched, or that
was committed after this one began, is refused as PostgreSQL refuses it: serialization failure.
"""

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from comporta.sandbox import odoo_rules
from comporta.sandbox.odoo_database import Database, Key
from comporta.sandbox.odoo_errors import SERIALIZATION, OdooError, missing_record, unknown_field
from comporta.sandbox.odoo_fields import Draft, Field, Record
from comporta.sandbox.odoo_inputs import convert

Ids = int | Iterable[int]
ROBOT = 2
WRITE_DATE = 2


class Transaction:
    """Creates, writes and deletes under one stamp; use as a context manager, or commit by hand."""

    def __init__(self, database: Database, number: int, stamp: str, *, is_late: bool = False) -> None:
        self.database = database
        self.number = number
        self.stamp = stamp
        self.is_open = True
        self._is_late = is_late
        self._changes: dict[Key, Draft | None] = {}
        self._born: dict[int, list[int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.commit()
        else:
            self.rollback()

    def create(self, model: str, values: Mapping[str, Any]) -> int:
        """Create one record, with Odoo's defaults and the rules that follow; return its id."""
        with self.database.lock:
            plain, commands = self._split(model, values)
            return odoo_rules.create(self, model, plain, commands)

    def write(self, model: str, ids: Ids, values: Mapping[str, Any]) -> None:
        """Write values to records and whatever Odoo recomputes with them; equal values move the stamp too."""
        with self.database.lock:
            plain, commands = self._split(model, values)
            for known in self._existing(model, ids):
                odoo_rules.write(self, model, known, plain, commands)

    def unlink(self, model: str, ids: Ids) -> None:
        """Delete records, or refuse as Odoo does (confirmed orders, products in use)."""
        with self.database.lock:
            for known in self._existing(model, ids):
                odoo_rules.unlink(self, model, known)

    def write_unstamped(self, model: str, ids: Ids, values: Mapping[str, Any]) -> None:
        """Change cells as an SQL update would: no rule runs and ``write_date`` stays."""
        with self.database.lock:
            plain, _ = self._split(model, values)
            for known in self._existing(model, ids):
                self.put(model, known, plain)

    def commit(self) -> None:
        """Make everything visible at once, under the stamp of the start."""
        with self.database.lock:
            rows = {key: None if row is None else tuple(row) for key, row in self._changes.items()}
            self.database.publish(rows)
            self._end()

    def rollback(self) -> None:
        """Forget everything; the ids that were given out stay used."""
        with self.database.lock:
            self._end()

    def peek(self, model: str, known: int) -> Draft | Record | None:
        """Return a row as this transaction sees it, or ``None``."""
        key = (model, known)
        if key in self._changes:
            return self._changes[key]
        return self.database.table(model).rows.get(known)

    def cell(self, model: str, known: int, name: str) -> Any:
        """Return one cell as this transaction sees it; ``False`` where there is no such row."""
        row = self.peek(model, known)
        return row[self.database.models[model].cells[name]] if row is not None else False

    def insert(self, model: str, cells: Mapping[str, Any]) -> int:
        """Add a raw row without running any rule."""
        table = self.database.table(model)
        known = table.reserve()
        row = table.model.blank()
        row[0] = known
        magic = {"create_date": self.stamp, "write_date": self.stamp, "create_uid": ROBOT, "write_uid": ROBOT}
        for name, value in (magic | dict(cells)).items():
            row[table.model.cells[name]] = value
        self._claim(model, known)
        self._changes[model, known] = row
        if model == "sale.order.line":
            self._born.setdefault(row[table.model.cells["order_id"]], []).append(known)
        return known

    def put(self, model: str, known: int, cells: Mapping[str, Any]) -> None:
        """Change cells of a row, without rules and without moving its stamp."""
        places = self.database.models[model].cells
        row = self._own(model, known)
        for name, value in cells.items():
            row[places[name]] = value

    def touch(self, model: str, known: int) -> None:
        """Move a row's stamp to this transaction's start."""
        self.put(model, known, {"write_date": self.stamp, "write_uid": ROBOT})

    def remove(self, model: str, known: int) -> None:
        """Delete a row, without rules."""
        self._own(model, known)
        self._changes[model, known] = None

    def lines_of(self, order: int) -> list[int]:
        """Return the ids of an order's lines as this transaction sees them."""
        committed = self.database.table("sale.order.line").children.get(order, [])
        born = self._born.get(order, [])
        return [known for known in [*committed, *born] if self.peek("sale.order.line", known) is not None]

    def _own(self, model: str, known: int) -> Draft:
        row = self._changes.get((model, known))
        if row is None:
            self._claim(model, known)
            row = self._changes[model, known] = list(self.database.table(model).rows[known])
        return row

    def _claim(self, model: str, known: int) -> None:
        key = (model, known)
        holder = self.database.locked.setdefault(key, self.number)
        committed = self.database.table(model).rows.get(known)
        is_newer = self._is_late and committed is not None and committed[WRITE_DATE] > self.stamp
        if holder != self.number or is_newer:
            raise OdooError(SERIALIZATION, "could not serialize access due to concurrent update")

    def _existing(self, model: str, ids: Ids) -> list[int]:
        wanted = [ids] if isinstance(ids, int) else list(ids)
        missing = [known for known in wanted if self.peek(model, known) is None]
        if missing:
            raise missing_record(model, missing)
        return wanted

    def _split(self, model: str, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[Any]]:
        """Part plain cells from the commands on ``order_line``, refusing what the model does not have."""
        fields = self.database.table(model).model.fields
        plain: dict[str, Any] = {}
        commands: list[Any] = []
        for name, value in values.items():
            known = fields.get(name)
            if known is None:
                raise unknown_field(model, name)
            if name == "order_line":
                commands = list(value)
            elif self._is_writable(known):
                plain[name] = convert(known, value, self.database.version)
        return plain, commands

    @staticmethod
    def _is_writable(known: Field) -> bool:
        return (known.has_cell or bool(known.inherited_through)) and known.name != "id"

    def _end(self) -> None:
        locked = self.database.locked
        for key in [key for key, holder in locked.items() if holder == self.number]:
            del locked[key]
        self._changes = {}
        self.is_open = False
