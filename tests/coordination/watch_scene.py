"""A watch with a book, a notebook and telephones in memory, and a clock that a story moves."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from comporta.coordination.telling import Teller
from comporta.coordination.watch import EVERY, Promised, Watch, Ways
from comporta.core.alert import Alert, Wanted
from comporta.core.alert_facts import AlertBounds, SchedulerFact
from comporta.core.alert_letter import Letter
from comporta.core.alert_settling import QuietHours, claimed, confirmed, given_back, settle, to_tell
from comporta.core.coverage import Coverage, Interval
from comporta.core.language import Language
from comporta.errors import ComportaError
from comporta.observability.log import Silence
from comporta.ports.alerts import Settlement, Sight
from comporta.testing.clock import BEGUN, FakeClock

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
AT_ONCE = AlertBounds(grace=timedelta(), over_after=timedelta())


@dataclass
class MemoryBook:
    """A book in memory; ``fails`` is raised by every look, ``fails_to_write`` by every settlement."""

    clock: FakeClock
    sight: Callable[[], Sight]
    rows: dict[str, Alert] = field(default_factory=dict)
    fails: ComportaError | None = None
    fails_to_write: ComportaError | None = None
    hangs: bool = False

    async def look(self, known: Mapping[str, str], scopes: Sequence[str], *, depth: int) -> Sight:
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails is not None:
            raise self.fails
        return self.sight()

    async def settle(
        self,
        wanted: Sequence[Wanted],
        *,
        keeps: Callable[[Alert], bool],
        told: Sequence[Alert] = (),
        quiet: QuietHours | None = None,
        is_telling: bool = True,
        over_after: timedelta = timedelta(),
    ) -> Settlement:
        if self.fails_to_write is not None:
            raise self.fails_to_write
        now = self.clock.now()
        settled = settle(list(self.rows.values()), wanted, now, told=told, keeps=keeps, over_after=over_after)
        self.rows |= {each.key: each for each in (*settled.opened, *settled.updated, *settled.closed)}
        claims = [claimed(each, now) for each in to_tell(list(self.rows.values()), now, quiet)] if is_telling else []
        self.rows |= {each.key: each for each in claims}
        return Settlement(settled.opened, settled.updated, settled.closed, claims)

    async def confirm(self, claimed: Sequence[Alert], *, is_told: bool) -> None:
        self.rows |= {each.key: confirmed(each) if is_told else given_back(each) for each in claimed}

    async def alerts(self, *, is_all: bool = False) -> Sequence[Alert]:
        return [each for each in self.rows.values() if is_all or each.is_open]

    async def mute(self, key: str, until: datetime | None) -> Alert | None:
        self.rows[key] = replace(self.rows[key], muted_until=until)
        return self.rows[key]


@dataclass
class MemoryNotebook:
    """A notebook in memory; one that ``fails`` keeps nothing, as a file on a full disk."""

    alerts: Sequence[Alert] = ()
    fails: bool = False

    async def read(self) -> Sequence[Alert]:
        return self.alerts

    async def keep(self, alerts: Sequence[Alert]) -> bool:
        if not self.fails:
            self.alerts = alerts
        return not self.fails


@dataclass
class Phone:
    """A channel that keeps what it takes, when it is ``ready``, or fails, or hangs."""

    name: str = "phone"
    letters: list[Letter] = field(default_factory=list)
    tries: int = 0
    fails: ComportaError | None = None
    hangs: bool = False
    ready: asyncio.Event | None = None

    async def send(self, letter: Letter) -> None:
        self.tries += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails is not None:
            raise self.fails
        if self.ready is not None:
            await self.ready.wait()
        self.letters.append(letter)

    @property
    def heard(self) -> list[str]:
        """Return what was told, in short."""
        return [
            f"{each.key} {'opened' if each.is_open else 'closed'}" for letter in self.letters for each in letter.alerts
        ]


class Scene:
    """A watch over one stream that is covered until some instant."""

    def __init__(self, *phones: Phone, bounds: AlertBounds | None = None, quiet: QuietHours | None = None) -> None:
        self.clock = FakeClock()
        self.machine_clock = FakeClock(is_jumping=False)
        self.phones = phones or (Phone(),)
        self.covered_until = BEGUN
        self.free_mb = 9_000
        self.silence: ComportaError | None = None
        self.away: ComportaError | None = None
        self.is_guarded = False
        self.scheduler: SchedulerFact | None = None
        self.book = MemoryBook(self.clock, self.sight)
        self.notebook = MemoryNotebook()
        self.begin(bounds or AT_ONCE, quiet)

    def begin(self, bounds: AlertBounds = AT_ONCE, quiet: QuietHours | None = None) -> None:
        """Let a process begin, in place of the one before."""
        self.watch = Watch(
            book=self.book,
            notebook=self.notebook,
            teller=Teller(self.phones, self.clock),
            streams=lambda: [Promised("loja", "orders", HOUR / 2, BEGUN - 9 * HOUR, is_guarded=self.is_guarded)],
            pauses=self.pauses,
            disk=self.disk,
            legacy_silence=self.legacy_silence,
            away=lambda: self.away,
            ways=Ways(Language.EN, UTC, quiet, bounds),
            clock=self.clock,
            machine="box",
            machine_clock=self.machine_clock,
            log=Silence(),
        )

    def sight(self) -> Sight:
        covered = Coverage((Interval(BEGUN - 9 * HOUR, self.covered_until),))
        return Sight(self.clock.now(), coverage={"loja/orders": covered}, scheduler=self.scheduler)

    async def pauses(self) -> Mapping[str, tuple[float, str]]:
        return {}

    async def legacy_silence(self) -> ComportaError | None:
        return self.silence

    async def disk(self) -> tuple[str, int]:
        return "/data", self.free_mb

    async def pass_time(self, duration: timedelta) -> None:
        """Let so much time go by, with a look every half minute."""
        for _ in range(duration // EVERY):
            self.clock.advance(EVERY)
            self.machine_clock.advance(EVERY)
            await self.watch.look()
