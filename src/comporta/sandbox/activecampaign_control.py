"""The control routes of the ActiveCampaign simulator: truth, the limit's witness, and acts.

An act with ``"after": N`` waits until N more requests were answered (of those whose label contains its
``"on"``): so a row goes, or moves, exactly between two pages.
"""

from collections.abc import Callable
from threading import RLock
from typing import Any

from comporta.errors import BadValue
from comporta.sandbox.activecampaign_activity import People
from comporta.sandbox.activecampaign_limit import Meter
from comporta.sandbox.activecampaign_rows import filled
from comporta.sandbox.activecampaign_world import World
from comporta.sandbox.control import Act, Control
from comporta.sandbox.faults import Faults
from comporta.sandbox.stats import Stats


class ActiveCampaignControl(Control):
    """Answers the routes that begin with ``/_``."""

    def __init__(
        self, world: World, faults: Faults, stats: Stats, people: People, meters: Callable[[], dict[str, Meter]]
    ) -> None:
        super().__init__(world.clock, faults, stats, people)
        self.world = world
        self._meters = meters
        self._lock = RLock()
        self._waiting: list[tuple[int, str, Act]] = []
        self._acts |= {
            "insert": lambda act: world.insert(act["stream"], filled(act["stream"], **act.get("values", {}))),
            "update": lambda act: world.update(
                act["stream"], int(act["id"]), act.get("values", {}), is_stamped=act.get("stamp", True)
            ),
            "delete": lambda act: world.delete(act["stream"], int(act["id"])),
        }

    def truth(self, stream: str) -> dict[str, Any]:
        """Return every row of a stream as its owner sees it, and the source's instant of asking."""
        with self.world.lock:
            return {"as_of": self.shown(self.clock.now()), "records": self.world.rows(stream)}

    def statistics(self) -> dict[str, Any]:
        """Return the counts, and what the limit saw: of all accounts by name, of the unnamed one by itself."""
        limits = {name: meter.as_json() for name, meter in self._meters().items()}
        return {**super().statistics(), "limit": limits.get(""), "limits": limits}

    def perform(self, act: Act) -> Any:
        """Do an act, now or when so many requests were answered."""
        if not act.get("after"):
            return super().perform(act)
        if act["do"] not in self._acts:
            raise BadValue(f"unknown act {act['do']!r}; expected one of {', '.join(sorted(self._acts))}")
        with self._lock:
            self._waiting.append((int(act["after"]), act.get("on", ""), {**act, "after": 0}))
        return None

    def count(self, label: str) -> None:
        """Note that a request was answered; do the acts whose turn has come."""
        with self._lock:
            counted = [(left - (on in label), on, act) for left, on, act in self._waiting]
            self._waiting = [entry for entry in counted if entry[0] > 0]
            for _, _, act in [entry for entry in counted if entry[0] <= 0]:
                self.perform(act)
