"""Scrolls: a listing read to its end in steps, whose place the server keeps.

What is read was chosen when the scroll began. A step that was taken is gone, also when its answer never
arrived: whoever asks again gets the next one. A scroll ends some minutes after its last step.

An offset beside one is refused; of a limit one page of the vendor's says that it is, another that it is usual.
Where a step names none, it is as long as the first: a guess.
"""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from comporta.sandbox.clock import SourceClock
from comporta.sandbox.faults import Faults
from comporta.sandbox.mercadolivre_errors import Refused, bad_request

LIFE_S = 300.0
KEPT_MAX = 200


@dataclass
class Scroll:
    """One scroll: whose it is, what is left to read, and until when."""

    owner: tuple[str, int]
    chosen: list[Any]
    size: int
    until: datetime
    place: int = 0


class Scrolls:
    """All open scrolls; whoever calls holds the world's lock."""

    def __init__(self, clock: SourceClock, faults: Faults) -> None:
        self._clock = clock
        self._faults = faults
        self._open: dict[str, Scroll] = {}
        self._begun = 0

    def check(self, query: Mapping[str, str]) -> None:
        """Refuse what cannot stand beside a scroll.

        An offset of nought at its beginning can: a client in use sends it.
        """
        if query.get("offset", "0") != "0" or ("offset" in query and query.get("scroll_id")):
            raise Refused(bad_request("offset cannot be used with search_type=scan"))
        if {"limit", "scroll_id"} <= query.keys() and self._faults.happens("scroll_limit"):
            raise Refused(bad_request("limit cannot be used with scroll_id"))

    def begin(self, owner: tuple[str, int], chosen: list[Any], size: int) -> str:
        """Return the id of a new scroll over these, in steps of that size."""
        self._begun += 1
        known = urlsafe_b64encode(f"scroll-{owner[0]}-{owner[1]}-{self._begun:06d}".encode()).decode()
        if len(self._open) >= KEPT_MAX:
            del self._open[next(iter(self._open))]
        self._open[known] = Scroll(owner, chosen, size, self._end())
        return known

    def step(self, known: str, owner: tuple[str, int], amount: int | None) -> tuple[list[Any], int]:
        """Return the next so many (``None``: as at first), and how many there are in all.

        Refuse a scroll that is over or somebody else's.
        """
        scroll = self._open.get(known)
        if scroll is None or scroll.owner != owner or scroll.until <= self._clock.now():
            self._open.pop(known, None)
            raise Refused(bad_request("The scroll_id is invalid or has expired"))
        page = scroll.chosen[scroll.place : scroll.place + (scroll.size if amount is None else amount)]
        scroll.place += len(page)
        scroll.until = self._end()
        return page, len(scroll.chosen)

    def _end(self) -> datetime:
        fault = self._faults.strikes("scroll_expiry")
        return self._clock.now() + timedelta(seconds=fault.number if fault else LIFE_S)
