"""The places where the suite for readers is played: a fake source, and a real reader on a simulated server.

Both hold forty orders with their lines, stamped over the past. What the suite asks for is asked of both in
the same words; what it compares with is what each source itself says it has.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from random import Random
from typing import Protocol
from zoneinfo import ZoneInfo

from comporta.coordination.budgets import SharedBudgets
from comporta.errors import SourceBadGateway
from comporta.ports.progress import Progress
from comporta.ports.source import Reader, Source, StreamRequest
from comporta.sandbox.activecampaign import ActiveCampaignSandbox
from comporta.sandbox.odoo import OdooSandbox
from comporta.sandbox.odoo_truth import records
from comporta.sources.activecampaign import ActiveCampaignSource
from comporta.sources.activecampaign_config import ActiveCampaignConfig
from comporta.sources.odoo import OdooSource
from comporta.sources.odoo_config import OdooConfig
from comporta.testing import FakeClock, FakeSource, MemoryLog

ORDERS, LINES = "sale.order", "sale.order.line"
COUNT = 40
PAGE = 7


class Late(Protocol):
    """A transaction that is still open."""

    def commit(self) -> None:
        """Show what it wrote."""


class Scene:
    """A source in which people work, and the readers that look at it."""

    def __init__(self, clock: FakeClock, source: Source) -> None:
        self.clock = clock
        self.source = source
        self.progress = Progress(clock)

    async def read(self, stream: str = ORDERS, domain: tuple[object, ...] = ()) -> Reader:
        """Return a reader of the stream."""
        return await self.source.read(StreamRequest(stream, domain=domain), self.progress)

    def create(self) -> int:
        """Create an order now and return its key."""
        raise NotImplementedError

    def begin(self) -> tuple[int, Late]:
        """Write to an order in a transaction that stays open; return its key and the transaction."""
        raise NotImplementedError

    def write(self, key: int, **values: str) -> None:
        """Change an order now."""
        raise NotImplementedError

    def remove(self, key: int) -> None:
        """Delete an order and its lines."""
        raise NotImplementedError

    def stamps(self, stream: str = ORDERS) -> dict[int, str]:
        """Return the canonical stamp of every record, by key, as the source itself knows it."""
        raise NotImplementedError

    def misbehave(self, how: str, times: int | None = None) -> None:
        """Let the next answers to page requests be ``empty``, ``short``, ``unfiltered`` or ``broken``."""
        raise NotImplementedError

    def replace_database(self) -> None:
        """Put another database behind the same URL."""
        raise NotImplementedError


class FakeScene(Scene):
    """The fake."""

    def __init__(self) -> None:
        clock = FakeClock()
        self.fake = FakeSource(clock, page_size=PAGE)
        super().__init__(clock, self.fake)
        self.orders, self.lines = self.fake.stream(ORDERS), self.fake.lines()
        for key in range(1, COUNT + 1):
            stamp = clock.now() - timedelta(hours=COUNT - key, minutes=key)
            self.orders.put(key, stamp=stamp, name=f"S{key}", state="sale" if key % 2 else "draft")
            for line in (2 * key - 1, 2 * key):
                self.lines.put(line, stamp=stamp, name="line", order_id=key)

    def create(self) -> int:
        return int(self.orders.put(max(int(key) for key in self.orders.records) + 1, name="new", state="draft"))

    def begin(self) -> tuple[int, Late]:
        late = self.orders.begin()
        return int(late.put(4, name="late")), late

    def write(self, key: int, **values: str) -> None:
        self.orders.write(key, values, stamp=self.clock.now())

    def remove(self, key: int) -> None:
        self.orders.remove(key)
        self.lines.remove(*[each.key for each in self.lines.records.values() if each.values["order_id"] == key])

    def stamps(self, stream: str = ORDERS) -> dict[int, str]:
        records = self.fake.stream(stream).records
        return {int(key): str(records[key].stamp) for key in sorted(records)}

    def misbehave(self, how: str, times: int | None = None) -> None:
        if how == "unfiltered":
            self.fake.ignores_filters = True
            return
        answers: dict[str, Callable[[Sequence[object]], Sequence[object]]] = {
            "empty": lambda _: [],
            "short": lambda page: page[:3],
        }
        if how == "broken":
            self.fake.script.on("page", times=times, raises=SourceBadGateway("502"))
            return
        self.fake.script.on("page", times=times, answers=answers[how])

    def replace_database(self) -> None:
        self.fake.becomes(unique="another")


class OdooScene(Scene):
    """The real reader, over HTTP, against the simulated Odoo."""

    def __init__(self, sandbox: OdooSandbox, clock: FakeClock) -> None:
        config = OdooConfig(sandbox.url, database="demo", login="demo", api_key="demo", page_size=PAGE)
        budgets = SharedBudgets(MemoryLog(clock), clock)
        super().__init__(clock, OdooSource(config, account="matriz", clock=clock, budgets=budgets, dice=Random(1)))
        self.sandbox = sandbox
        self.world = sandbox.world

    def create(self) -> int:
        return self.world.create(ORDERS, {"partner_id": 1})

    def begin(self) -> tuple[int, Late]:
        late = self.world.begin_late()
        late.write(ORDERS, 4, {"client_order_ref": "late"})
        return 4, late

    def write(self, key: int, **values: str) -> None:
        self.world.write(ORDERS, key, values)

    def remove(self, key: int) -> None:
        self.world.write(ORDERS, key, {"state": "cancel"})
        self.world.unlink(ORDERS, key)

    def stamps(self, stream: str = ORDERS) -> dict[int, str]:
        known = records(self.world, stream)
        return {each["id"]: each["write_date"].replace(" ", "T") + ".000000Z" for each in known}

    def misbehave(self, how: str, times: int | None = None) -> None:
        faults = {"empty": "empty_page", "short": "short_page", "unfiltered": "ignore_filter", "broken": "error_502"}
        label = "" if how in {"unfiltered", "broken"} else "search_read"
        self.sandbox.faults.add(f"{faults[how]}=1", times=times, label=label)

    def replace_database(self) -> None:
        self.sandbox.faults.add("other_database=1")


class OffsetDesk:
    """A simulated account and its readers."""

    def __init__(self, sandbox: ActiveCampaignSandbox, clock: FakeClock) -> None:
        self.sandbox = sandbox
        self.clock = clock
        self.progress = Progress(clock)
        config = ActiveCampaignConfig(
            sandbox.url, "demo", ZoneInfo("UTC"), page_size=PAGE, rate=(1_000, timedelta(seconds=1))
        )
        budgets = SharedBudgets(MemoryLog(clock), clock)
        self.source = ActiveCampaignSource(config, account="crm", clock=clock, budgets=budgets, dice=Random(1))

    async def read(self, stream: str = "deals", fields: tuple[str, ...] | None = None) -> Reader:
        """Return a reader of the stream."""
        return await self.source.read(StreamRequest(stream, fields), self.progress)

    def ids(self, stream: str = "deals") -> list[int]:
        """Return the ids that the source has, in order."""
        return sorted(self.sandbox.world.tables[stream])
