"""The committed rows of one model, in order of id, with the few indexes that reading needs.

Rows are never changed in place once published: a reader may go on using the list it has, as under
PostgreSQL's snapshots. Ids of late commits arrive below ids already there, hence the sorted list.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator

from comporta.sandbox.odoo_fields import Cell, Model, Record

PARENT_COLUMNS = {
    "sale.order.line": "order_id",
    "product.product": "product_tmpl_id",
    "res.partner": "parent_id",
}


class Table:
    """Rows by id, the sorted ids, children by parent id, and the labels built so far."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.rows: dict[int, Record] = {}
        self.ids: list[int] = []
        self.next_id = 1
        self.pairs: dict[int, list[Cell]] = {}
        self.children: dict[int, list[int]] = {}
        parent = PARENT_COLUMNS.get(model.name)
        self._parent = model.cells[parent] if parent else None

    def reserve(self) -> int:
        """Return a new id; like a PostgreSQL sequence it never comes back, even after a rollback."""
        given = self.next_id
        self.next_id += 1
        return given

    def load(self, rows: Iterable[Record]) -> None:
        """Publish many new rows at once, in order of id."""
        for row in rows:
            known = row[0]
            self.rows[known] = row
            self.ids.append(known)
            self._adopt(known, row)
        self.next_id = max(self.next_id, self.ids[-1] + 1 if self.ids else 1)

    def publish(self, known: int, row: Record | None) -> None:
        """Make one committed version visible; ``None`` deletes the row for good."""
        old = self.rows.get(known)
        if old is not None:
            self._disown(known, old)
        self.pairs.pop(known, None)
        if row is None:
            if self.rows.pop(known, None) is not None:
                del self.ids[bisect_left(self.ids, known)]
            return
        if old is None:
            insort(self.ids, known)
        self.rows[known] = row
        self._adopt(known, row)

    def after(self, last: int | None, *, backwards: bool = False) -> Iterator[Record]:
        """Yield rows in order of id, beginning above ``last``."""
        start = 0 if last is None else bisect_right(self.ids, last)
        chosen = self.ids[start:] if start else self.ids
        rows = self.rows
        return (rows[known] for known in (reversed(chosen) if backwards else chosen))

    def _adopt(self, known: int, row: Record) -> None:
        parent = row[self._parent] if self._parent is not None else False
        if parent:
            insort(self.children.setdefault(parent, []), known)

    def _disown(self, known: int, row: Record) -> None:
        parent = row[self._parent] if self._parent is not None else False
        if parent:
            siblings = self.children[parent]
            siblings.remove(known)
