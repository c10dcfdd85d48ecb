"""The invented account on its first day: people, pipelines, custom fields, then deals with their values.

Everything follows from the seed; only the instants hang on the base instant given. The history spans
two years, so that stamps fall into summer time and out of it, and one deal in fifty was imported in a
batch that shares one stamp.
"""

from datetime import datetime, timedelta
from random import Random

from comporta.sandbox import invented
from comporta.sandbox.activecampaign_fields import definitions, entry, invent_value
from comporta.sandbox.activecampaign_rows import ZERO_STAMP, filled
from comporta.sandbox.activecampaign_world import Row, World

HISTORY = timedelta(days=730)
QUIET_END = timedelta(days=3)
VALUE_SHARE = 0.41
PIPELINES = {
    "Vendas novas": ("Primeiro contato", "Proposta enviada", "Negociação", "Fechamento"),
    "Renovações": ("A renovar", "Em conversa", "Renovação assinada"),
    "Parcerias": ("Avaliação", "Em implantação"),
}
USERS = (("admin", "Eulália"), ("vendas", "Damião"), ("parcerias", "Conceição"))
CONTACTS_MIN, ACCOUNTS_MIN = 20, 5


class Seeder:
    """Fills an empty account once."""

    def __init__(self, world: World, rng: Random) -> None:
        self.world = world
        self.rng = rng
        self.first = world.clock.now() - HISTORY
        self.span = HISTORY - QUIET_END

    def seed(self, deals: int) -> None:
        """Invent everything there is, around so many deals."""
        self._basics()
        self._people(max(CONTACTS_MIN, deals // 2), max(ACCOUNTS_MIN, deals // 10))
        share = 0.0
        for place in range(deals):
            if place % 50 not in {1, 2}:
                share = max(share, min(1.0, (place + self.rng.random()) / deals))
            self._deal(self.first + self.span * share)
        self._age()

    def _basics(self) -> None:
        world, dawn = self.world, self.first
        for login, name in USERS:
            person = {"firstName": name, "lastName": self.rng.choice(invented.LAST), "email": f"{login}@example.com"}
            world.insert("users", filled("users", username=login, **person), dawn)
        for title, steps in PIPELINES.items():
            group = world.insert("dealGroups", filled("dealGroups", title=title), dawn)
            stages = [
                world.insert("dealStages", filled("dealStages", title=step, group=str(group), order=str(order)), dawn)
                for order, step in enumerate(steps, 1)
            ]
            world.tables["dealGroups"][group]["stages"] = [str(known) for known in stages]
            world.tables["dealStages"][stages[0]].update(cdate=None, udate=None)
        for definition in definitions():
            world.insert("dealCustomFieldMeta", definition, dawn)

    def _people(self, contacts: int, accounts: int) -> None:
        for _ in range(accounts):
            self.world.insert("accounts", filled("accounts", name=invented.company(self.rng)), self._moment())
        for _ in range(contacts):
            self.world.insert("contacts", invent_contact(self.world, self.rng), self._moment())

    def _deal(self, born: datetime) -> None:
        deal = self.world.insert("deals", invent_deal(self.world, self.rng), born)
        for field in self.world.tables["dealCustomFieldMeta"]:
            if self.rng.random() < VALUE_SHARE:
                add_value(self.world, self.rng, deal, field, born)
        if self.rng.random() < 0.3:
            due = self.world.written("dealTasks", "duedate", born + timedelta(days=self.rng.randint(1, 20)))
            owner = {"id": str(deal), "type": "deal"}
            task = filled("dealTasks", title="Ligar para o cliente", relid=str(deal), owner=owner, duedate=due)
            known = str(self.world.insert("dealTasks", task, born))
            self.world.tables["deals"][deal].update(nexttaskid=known, nextTask=known)

    def _age(self) -> None:
        """Let three deals in five have been changed since; the list's own order is that of change."""
        end = self.first + self.span
        changed: list[tuple[datetime, int]] = []
        for known, row in self.world.tables["deals"].items():
            born = datetime.fromisoformat(row["cdate"])
            at = born + (end - born) * self.rng.random() if self.rng.random() < 0.6 else born
            row["mdate"] = self.world.written("deals", "mdate", at)
            changed.append((at, known))
        self.world.touched["deals"] = {known: place for place, (_, known) in enumerate(sorted(changed))}

    def _moment(self) -> datetime:
        return self.first + self.span * (self.rng.random() * 0.7)


def invent_contact(world: World, rng: Random) -> Row:
    """Return a new contact."""
    first, last = invented.person(rng).split(" ", 1)
    number = len(world.tables["contacts"]) + 1
    return filled(
        "contacts", email=f"contato{number}@example.com", email_local=f"contato{number}", email_domain="example.com",
        phone=f"+55 11 5550-{number % 10_000:04d}", firstName=first, lastName=last, hash=f"{rng.getrandbits(128):032x}",
    )  # fmt: skip


def invent_deal(world: World, rng: Random) -> Row:
    """Return a new deal; in some the hash is missing and the last date is none at all."""
    stage = rng.choice(list(world.tables["dealStages"].values()))
    account = str(rng.choice(list(world.tables["accounts"]))) if rng.random() < 0.7 else None
    row = filled(
        "deals", title=f"Proposta {invented.company(rng)}", owner=str(rng.choice(list(world.tables["users"]))),
        contact=str(rng.choice(list(world.tables["contacts"]))),
        account=account, customerAccount=account, organization=account,
        group=stage["group"], stage=stage["id"], value=str(rng.randint(10_000, 9_000_000)),
        currency="usd" if rng.random() < 0.1 else "brl", status=rng.choice("00012"),
        percent=str(rng.randrange(0, 100, 10)), activitycount=str(rng.randint(0, 9)),
        winProbability=rng.randint(1, 99) if rng.random() < 0.2 else None, nextdate=_next_date(world, rng),
        edate="2019-11-22 14:15:37" if rng.random() < 0.2 else ZERO_STAMP, hash=f"{rng.getrandbits(32):08x}",
    )  # fmt: skip
    if row["winProbability"] is not None:
        row["winProbabilityMdate"] = world.written("deals", "winProbabilityMdate", world.clock.now())
    if rng.random() < 0.1:
        del row["hash"]
    return row


def _next_date(world: World, rng: Random) -> str | None:
    if rng.random() > 0.3:
        return None
    return world.written("deals", "nextdate", world.clock.now() + timedelta(days=rng.randint(1, 60)))


def add_value(world: World, rng: Random, deal: int, field: int, at: datetime | None = None) -> int:
    """Give a deal a value of a custom field; return the entry's id."""
    definition = world.tables["dealCustomFieldMeta"][field]
    value = invent_value(definition, rng, at or world.clock.now(), world.zone)
    return world.insert("dealCustomFieldData", entry(deal, field, value), at)
