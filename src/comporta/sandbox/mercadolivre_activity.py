"""People at work: buyers who pay, cancel and want their money back, carriers, and sellers who mind their items.

Which change comes next follows from the seed.
"""

from random import Random

from comporta.sandbox.mercadolivre_world import World
from comporta.sandbox.reality import Reality
from comporta.sandbox.workday import Workday


class People:
    """Everybody who changes something."""

    def __init__(self, world: World, rng: Random, reality: Reality) -> None:
        self.world = world
        self.changes = 0
        self._rng = rng
        self._workday = Workday(self.step, reality)

    def start(self, rate: float) -> None:
        """Begin to make ``rate`` changes a second on a thread of its own."""
        self._workday.start(rate)

    def stop(self, *, is_finishing: bool = True) -> None:  # noqa: ARG002  nothing stays open here
        """Stop working."""
        self._workday.stop()

    def step(self, times: int = 1) -> None:
        """Make that many changes now."""
        self.changes += times
