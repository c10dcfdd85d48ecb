"""The control routes of the ActiveCampaign simulator: truth, the limit's witness, and acts.

Truth is what a user with every right sees; the limit's witness is of each account by its name.
"""

from collections.abc import Callable
from typing import Any

from comporta.sandbox.activecampaign_activity import People
from comporta.sandbox.activecampaign_rows import filled
from comporta.sandbox.activecampaign_world import World
from comporta.sandbox.faults import Faults
from comporta.sandbox.meter import Meter
from comporta.sandbox.stats import Stats
from comporta.sandbox.waiting import WaitingControl


class ActiveCampaignControl(WaitingControl):
    """Answers the routes that begin with ``/_``."""

    def __init__(
        self, world: World, faults: Faults, stats: Stats, people: People, meters: Callable[[], dict[str, Meter]]
    ) -> None:
        super().__init__(world.clock, faults, stats, people)
        self.world = world
        self._meters = meters
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
