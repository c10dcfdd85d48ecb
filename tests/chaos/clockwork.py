"""A source that is a function of the clock: the same at every process that knows its seed and its beginning.

So five processes read one truth at full speed, without a server between, and a test knows at the end what
the source holds. People create, edit and delete twenty times a second; some transactions commit late. Nothing
happens any more after ``until``.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import TypeVar

from comporta.core.instant import instant_text
from comporta.core.record import Value
from comporta.ports.clock import Clock
from comporta.testing import FakeSource, FakeStream, Script

T = TypeVar("T")

ORDERS, LINES, PARTNERS = STREAMS = ("sale.order", "sale.order.line", "res.partner")
SEEDED = {ORDERS: 60, LINES: 120, PARTNERS: 60}
LATE_MAX_S = 1.5
"""Shorter than the overlap, so that the next window finds it."""
LATE_SHARE = 0.1
LINE_KEYS_PER_ORDER = 10
FIRST_NEW = 100_000
"""Records that are made while the clock runs are counted from here, by the change that made them."""


@dataclass(frozen=True)
class Times:
    """When people begin and end, and how many changes they make in a second."""

    begins: datetime
    until: datetime
    rate: float = 20.0


class Clockwork(FakeSource):
    """A ``FakeSource`` whose records follow from the seed and the time."""

    def __init__(self, clock: Clock, times: Times, *, seed: int, page_size: int, latency: timedelta) -> None:
        super().__init__(clock, page_size=page_size)
        self.times, self.seed = times, seed
        self._real = clock
        self._begun = 0
        self._open: list[tuple[float, int, Random]] = []
        for name in (ORDERS, PARTNERS):
            self.stream(name)
        self.lines(LINES)
        self._seed_records()
        self.script = _Distant(clock, latency)
        self.script.watch = self.advance

    def advance(self) -> None:
        """Let everything happen that is due by now."""
        now = min(self._real.now(), self.times.until)
        elapsed = (now - self.times.begins).total_seconds()
        while self._begun < elapsed * self.times.rate:
            dice = Random(f"{self.seed}/{self._begun}")
            late = dice.uniform(0, LATE_MAX_S) if dice.random() < LATE_SHARE else 0.0
            heapq.heappush(self._open, (self._begun / self.times.rate + late, self._begun, dice))
            self._begun += 1
        # What begins at the very end is not waited for by anybody, so it commits at once.
        is_over = now == self.times.until
        while self._open and (is_over or self._open[0][0] <= elapsed):
            _, number, dice = heapq.heappop(self._open)
            self._change(number, dice)

    def truth(self, stream: str) -> dict[object, dict[str, object]]:
        """Return every record as it is now: its fields and its stamp, by key."""
        self.advance()
        return {key: {**each.values, "write_date": each.stamp} for key, each in self.stream(stream).records.items()}

    def _seed_records(self) -> None:
        for name, many in SEEDED.items():
            stamped = self.times.begins - timedelta(hours=2)
            for key in range(1, many + 1):
                values: dict[str, Value] = {"name": f"S{key}"}
                if name == LINES:
                    values["order_id"] = 1 + key % SEEDED[ORDERS]
                self.stream(name).write(key, values, stamp=stamped + timedelta(seconds=key))

    def _change(self, number: int, dice: Random) -> None:
        """Make the change of that number; what it is to change, it chooses as it commits."""
        stamp = self.times.begins + timedelta(seconds=number / self.times.rate)
        kind = dice.choice(("order", "order", "partner", "edit", "edit", "edit", "edit", "unlink_line", "unlink"))
        if kind == "order":
            self._create_order(number, dice, stamp)
        elif kind == "partner":
            self.stream(PARTNERS).put(FIRST_NEW + number, stamp=stamp, name=f"P{number}")
        elif kind == "edit":
            stream = self.stream(dice.choice(STREAMS))
            key = _some(stream, dice)
            # Who began before the last change of a record and commits after it is refused, as by row locks.
            if (stream.records[key].stamp or "") <= instant_text(stamp):
                stream.put(key, stamp=stamp, name=f"E{number}")
        elif kind == "unlink_line":
            lines = self.stream(LINES)
            lines.remove(_some(lines, dice))
        else:
            self._unlink_order(dice)

    def _create_order(self, number: int, dice: Random, stamp: datetime) -> None:
        order = FIRST_NEW + number
        self.stream(ORDERS).put(order, stamp=stamp, name=f"O{number}")
        for place in range(dice.randint(1, 4)):
            self.stream(LINES).put(order * LINE_KEYS_PER_ORDER + place, stamp=stamp, name=f"L{place}", order_id=order)

    def _unlink_order(self, dice: Random) -> None:
        orders, lines = self.stream(ORDERS), self.stream(LINES)
        if len(orders.records) <= SEEDED[ORDERS]:
            return
        order = _some(orders, dice)
        orders.remove(order)
        lines.remove(*[key for key, each in lines.records.items() if each.values["order_id"] == order])


class _Distant(Script):
    """A script whose every request takes as long as the way to the source."""

    def __init__(self, clock: Clock, latency: timedelta) -> None:
        super().__init__()
        self._clock, self._latency = clock, latency

    async def play(self, call: str, answer: Callable[[], T]) -> T:
        await self._clock.sleep(self._latency)
        return await super().play(call, answer)


def _some(stream: FakeStream, dice: Random) -> int:
    """Return the key of one record."""
    return dice.choice(sorted(int(key) for key in stream.records))
