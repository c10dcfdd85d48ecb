"""The simulated company: committed tables, the source's own clock, and the one way to change them.

Every change goes through a ``Transaction``. Its stamp is its start; its rows are seen at commit, which
may be much later. Rows a transaction has touched are locked for the others, as in PostgreSQL.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from comporta.sandbox.clock import SourceClock
from comporta.sandbox.odoo_database import Database
from comporta.sandbox.odoo_stamps import exact_text
from comporta.sandbox.odoo_transaction import Ids, Transaction


class World(Database):
    """A database with a clock, an identity and people who may change it."""

    def __init__(self, *, version: int, clock: SourceClock, uuid: str) -> None:
        super().__init__(version)
        self.clock = clock
        self.uuid = uuid
        self.open: dict[int, Transaction] = {}
        self._last_transaction = 0

    def begin(self, *, is_late: bool = False) -> Transaction:
        """Start a transaction now; its rows carry this instant."""
        with self.lock:
            self._last_transaction += 1
            transaction = Transaction(self, self._last_transaction, self._stamp(), is_late=is_late)
            self.open = {number: known for number, known in self.open.items() if known.is_open}
            self.open[transaction.number] = transaction
            return transaction

    def begin_late(self) -> Transaction:
        """Start a transaction that stays open until its ``commit`` is called: the late commit of the sheet."""
        return self.begin(is_late=True)

    def create(self, model: str, values: Mapping[str, Any]) -> int:
        """Create one record in a transaction of its own and return its id."""
        with self.lock, self.begin() as transaction:
            return transaction.create(model, values)

    def create_many(self, model: str, many: Iterable[Mapping[str, Any]]) -> list[int]:
        """Create several records in one transaction: one stamp for all of them."""
        with self.lock, self.begin() as transaction:
            return [transaction.create(model, values) for values in many]

    def write(self, model: str, ids: Ids, values: Mapping[str, Any]) -> None:
        """Write the same values to records in one transaction."""
        with self.lock, self.begin() as transaction:
            transaction.write(model, ids, values)

    def write_unstamped(self, model: str, ids: Ids, values: Mapping[str, Any]) -> None:
        """Change cells as an SQL update would: no rule runs and ``write_date`` stays."""
        with self.lock, self.begin() as transaction:
            transaction.write_unstamped(model, ids, values)

    def unlink(self, model: str, ids: Ids) -> None:
        """Delete records in one transaction; nothing of them remains."""
        with self.lock, self.begin() as transaction:
            transaction.unlink(model, ids)

    def _stamp(self) -> str:
        return exact_text(self.clock.now())
