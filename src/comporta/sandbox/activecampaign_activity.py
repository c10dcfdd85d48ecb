"""People at work in the account: deals come, go, change and move; values change without their deal.

Which change comes next follows from the seed. Everything they do makes a list shift that somebody may
be paging through.
"""

from collections.abc import Callable
from random import Random

from comporta.sandbox import invented
from comporta.sandbox.activecampaign_fields import invent_value
from comporta.sandbox.activecampaign_seed import add_value, invent_contact, invent_deal
from comporta.sandbox.activecampaign_world import World
from comporta.sandbox.reality import Reality
from comporta.sandbox.workday import Workday

RECENT = 100
VALUES_OF_A_NEW_DEAL = 3


class People:
    """The simulated account's staff."""

    def __init__(self, world: World, rng: Random, reality: Reality) -> None:
        self.world = world
        self.changes = 0
        self._rng = rng
        self._workday = Workday(self.step, reality)
        self._menu: list[Callable[[], object]] = [
            *[self._create_deal] * 4,
            *[self._edit_deal] * 4,
            *[self._move_deal] * 3,
            *[self._delete_deal] * 2,
            *[self._edit_value] * 5,
            *[self._add_value] * 2,
            *[self._delete_value] * 2,
            *[self._create_contact] * 1,
            *[self._edit_contact] * 2,
            *[self._edit_definition] * 1,
        ]

    def start(self, rate: float) -> None:
        """Begin to make ``rate`` changes a second on a thread of its own."""
        self._workday.start(rate)

    def stop(self, *, is_finishing: bool = True) -> None:  # noqa: ARG002  nothing stays open here
        """Stop working."""
        self._workday.stop()

    def step(self, times: int = 1) -> None:
        """Make that many changes now; one for which there is nothing left is not made."""
        for _ in range(times):
            with self.world.lock:
                act = self._rng.choice(self._menu)
                if self.world.tables["deals"] and self.world.tables["dealCustomFieldData"]:
                    act()
                else:
                    self._create_deal()
                self.changes += 1

    def _pick(self, stream: str) -> int:
        """Return some id; recent ones are chosen more often."""
        ids = list(self.world.tables[stream])
        return self._rng.choice(ids[-RECENT:] if self._rng.random() < 0.3 else ids)

    def _create_deal(self) -> None:
        deal = self.world.insert("deals", invent_deal(self.world, self._rng))
        fields = list(self.world.tables["dealCustomFieldMeta"])
        for field in self._rng.sample(fields, min(VALUES_OF_A_NEW_DEAL, len(fields))):
            add_value(self.world, self._rng, deal, field)

    def _edit_deal(self) -> None:
        changed = {"value": str(self._rng.randint(10_000, 9_000_000)), "title": f"Ajuste {self.changes}"}
        self.world.update("deals", self._pick("deals"), changed)

    def _move_deal(self) -> None:
        stage = self._rng.choice(self.world.rows("dealStages"))
        self.world.update("deals", self._pick("deals"), {"stage": stage["id"], "group": stage["group"]})

    def _delete_deal(self) -> None:
        self.world.delete("deals", self._pick("deals"))

    def _edit_value(self) -> None:
        known = self._pick("dealCustomFieldData")
        field = self.world.tables["dealCustomFieldData"][known]["customFieldId"]
        definition = self.world.tables["dealCustomFieldMeta"][field]
        value = invent_value(definition, self._rng, self.world.clock.now(), self.world.zone)
        self.world.update("dealCustomFieldData", known, value)

    def _add_value(self) -> None:
        deal = self._pick("deals")
        held = {
            row["customFieldId"] for row in self.world.tables["dealCustomFieldData"].values() if row["dealId"] == deal
        }
        free = [field for field in self.world.tables["dealCustomFieldMeta"] if field not in held]
        if free:
            add_value(self.world, self._rng, deal, self._rng.choice(free))

    def _delete_value(self) -> None:
        self.world.delete("dealCustomFieldData", self._pick("dealCustomFieldData"))

    def _create_contact(self) -> None:
        self.world.insert("contacts", invent_contact(self.world, self._rng))

    def _edit_contact(self) -> None:
        changed = {"phone": f"+55 11 5550-{self._rng.randint(0, 9_999):04d}"}
        self.world.update("contacts", self._pick("contacts"), changed)

    def _edit_definition(self) -> None:
        known = self._pick("dealCustomFieldMeta")
        row = self.world.tables["dealCustomFieldMeta"][known]
        options = row["fieldOptions"]
        extra = [*options, f"Opção {len(options) + 1}"] if options else None
        label = row["fieldLabel"].split(" (")[0]
        renamed = f"{label} ({self._rng.choice(invented.KINDS)})" if self._rng.random() < 0.3 else label
        self.world.update("dealCustomFieldMeta", known, {"fieldLabel": renamed, "fieldOptions": extra})
