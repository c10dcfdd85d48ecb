"""The control routes of the Odoo simulator: its truth, and acts by which a test sets a scene.

Acts happen in a transaction of their own, unless they name one that ``begin`` opened.
"""

from datetime import datetime
from typing import Any

from comporta.errors import BadValue
from comporta.sandbox.control import Act, Control
from comporta.sandbox.faults import Faults
from comporta.sandbox.odoo_activity import People
from comporta.sandbox.odoo_errors import OdooError
from comporta.sandbox.odoo_stamps import exact_text
from comporta.sandbox.odoo_transaction import Transaction
from comporta.sandbox.odoo_truth import truth
from comporta.sandbox.odoo_world import World
from comporta.sandbox.stats import Stats


class OdooControl(Control):
    """Answers the routes that begin with ``/_``."""

    refusals = (OdooError, BadValue)

    def __init__(self, world: World, faults: Faults, stats: Stats, people: People) -> None:
        super().__init__(world.clock, faults, stats, people)
        self.world = world
        self._acts |= {
            "create": lambda act: self._writer(act).create(act["model"], act.get("values", {})),
            "write": lambda act: self._writer(act).write(act["model"], act["ids"], act["values"]),
            "write_unstamped": lambda act: self._writer(act).write_unstamped(act["model"], act["ids"], act["values"]),
            "unlink": lambda act: self._writer(act).unlink(act["model"], act["ids"]),
            "archive": lambda act: self._writer(act).write(act["model"], act["ids"], {"active": False}),
            "unarchive": lambda act: self._writer(act).write(act["model"], act["ids"], {"active": True}),
            "begin": lambda act: self.world.begin_late().number,
            "commit": lambda act: self._transaction(act).commit(),
            "rollback": lambda act: self._transaction(act).rollback(),
            "finish": lambda act: people.finish(),
        }

    def truth(self, stream: str) -> dict[str, Any]:
        """Return every committed record of a model, and the source's instant of asking."""
        return truth(self.world, stream)

    def shown(self, instant: datetime) -> str:
        """Return an instant with the microseconds that Odoo stores."""
        return exact_text(instant)

    def _writer(self, act: Act) -> World | Transaction:
        return self._transaction(act) if "transaction" in act else self.world

    def _transaction(self, act: Act) -> Transaction:
        found = self.world.open.get(act["transaction"])
        if found is None or not found.is_open:
            raise BadValue(f"no open transaction {act['transaction']!r}")
        return found
