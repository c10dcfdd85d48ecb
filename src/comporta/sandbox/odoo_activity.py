"""People at work: creating, editing, deleting, archiving, and long transactions that commit late.

Which change comes next follows from the seed; when it comes is the thread's affair. ``step`` makes
changes without any thread, for tests.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from threading import RLock
from typing import Any

from comporta.sandbox import invented
from comporta.sandbox.odoo_errors import OdooError
from comporta.sandbox.odoo_transaction import Transaction
from comporta.sandbox.odoo_world import World
from comporta.sandbox.reality import Reality
from comporta.sandbox.workday import Workday

RECENT = 500
Change = Callable[[World | Transaction], None]


class People:
    """The simulated company's staff."""

    def __init__(
        self, world: World, rng: Random, reality: Reality, *, late_commit: timedelta, late_share: float
    ) -> None:
        self.world = world
        self.late_commit = late_commit
        self.late_share = late_share
        self.changes = 0
        self._rng = rng
        self._lock = RLock()
        self._due: list[tuple[datetime, Transaction]] = []
        self._workday = Workday(self.step, reality)
        self._menu: list[Change] = [
            *[self._create_order] * 5,
            *[self._edit_order] * 4,
            *[self._confirm_order] * 2,
            *[self._edit_line] * 5,
            *[self._reword_line] * 2,
            *[self._add_note] * 1,
            *[self._delete_line] * 2,
            *[self._delete_order] * 1,
            *[self._edit_partner] * 2,
            *[self._edit_product] * 2,
            *[self._toggle_archived] * 1,
        ]

    def start(self, rate: float) -> None:
        """Begin to make ``rate`` changes a second on a thread of its own."""
        self._workday.start(rate)

    def stop(self, *, is_finishing: bool = True) -> None:
        """Stop working; open transactions are committed, unless told not to."""
        self._workday.stop()
        if is_finishing:
            self.finish()

    def step(self, times: int = 1) -> None:
        """Make that many changes now, and commit the long transactions whose time has come."""
        for _ in range(times):
            with self._lock:
                self._commit_due()
                self._change()

    def finish(self) -> None:
        """Commit every transaction that is still open, these people's and the scenes' alike."""
        with self._lock, self.world.lock:
            self._due = []
            for transaction in [known for known in self.world.open.values() if known.is_open]:
                transaction.commit()

    def _commit_due(self) -> None:
        now = self.world.clock.now()
        for _, transaction in [entry for entry in self._due if entry[0] <= now]:
            transaction.commit()
        self._due = [entry for entry in self._due if entry[1].is_open]

    def _change(self) -> None:
        """Make one change; one that the rules or another's lock refuse is simply not made."""
        act = self._rng.choice(self._menu)
        is_late = bool(self.late_commit) and self._rng.random() < self.late_share
        transaction = self.world.begin(is_late=is_late)
        try:
            with self.world.lock:
                act(transaction)
        except OdooError:
            transaction.rollback()
            return
        self.changes += 1
        if is_late:
            delay = self.late_commit * self._rng.random()
            self._due.append((self.world.clock.now() + delay, transaction))
        else:
            transaction.commit()

    def _pick(self, model: str) -> int:
        """Return some id; recent ones are chosen more often."""
        ids = self.world.table(model).ids
        pool = ids[-RECENT:] if self._rng.random() < 0.5 else ids
        return self._rng.choice(pool)

    def _create_order(self, writer: World | Transaction) -> None:
        lines: list[Any] = [
            [0, 0, {"product_id": self._pick("product.product"), "product_uom_qty": self._rng.randint(1, 9)}]
            for _ in range(self._rng.randint(1, 5))
        ]
        writer.create("sale.order", {"partner_id": self._pick("res.partner"), "order_line": lines})

    def _edit_order(self, writer: World | Transaction) -> None:
        reference = f"PC-{self._rng.randint(1, 99_999)}"
        writer.write("sale.order", self._pick("sale.order"), {"client_order_ref": reference})

    def _confirm_order(self, writer: World | Transaction) -> None:
        writer.write("sale.order", self._pick("sale.order"), {"state": self._rng.choice(("sale", "cancel", "draft"))})

    def _edit_line(self, writer: World | Transaction) -> None:
        values = {"product_uom_qty": self._rng.randint(1, 20)}
        writer.write("sale.order.line", self._pick("sale.order.line"), values)

    def _reword_line(self, writer: World | Transaction) -> None:
        writer.write("sale.order.line", self._pick("sale.order.line"), {"name": self._rng.choice(invented.NOTES)})

    def _add_note(self, writer: World | Transaction) -> None:
        note = {"display_type": "line_note", "name": self._rng.choice(invented.NOTES)}
        writer.create("sale.order.line", {"order_id": self._pick("sale.order"), **note})

    def _delete_line(self, writer: World | Transaction) -> None:
        writer.unlink("sale.order.line", self._pick("sale.order.line"))

    def _delete_order(self, writer: World | Transaction) -> None:
        writer.unlink("sale.order", self._pick("sale.order"))

    def _edit_partner(self, writer: World | Transaction) -> None:
        writer.write("res.partner", self._pick("res.partner"), {"name": invented.company(self._rng)})

    def _edit_product(self, writer: World | Transaction) -> None:
        values = {"list_price": self._rng.randint(500, 90_000) / 100}
        writer.write("product.template", self._pick("product.template"), values)

    def _toggle_archived(self, writer: World | Transaction) -> None:
        model = self._rng.choice(("res.partner", "product.product"))
        known = self._pick(model)
        writer.write(model, known, {"active": not self.world.value(model, known, "active")})
