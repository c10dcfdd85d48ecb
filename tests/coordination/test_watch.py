"""The watch: it tells once whatever fails, waits for nobody, and does without the database when that is what fails."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta

import pytest

from comporta.coordination.telling import PATIENCE_S, TRIES, Teller
from comporta.coordination.watch import EVERY, LETTER, Promised, Watch, Ways
from comporta.core.alert import Alert, Wanted
from comporta.core.alert_facts import AlertBounds
from comporta.core.alert_letter import Letter
from comporta.core.alert_settling import QuietHours, claimed, confirmed, given_back, settle, to_tell
from comporta.core.coverage import Coverage, Interval
from comporta.core.language import Language
from comporta.errors import ComportaError, DestinationBusy, DestinationRefused
from comporta.errors_alerts import AppriseMissing, ChannelFailed
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
class Phone:
    """A channel that keeps what it takes, or fails, or hangs."""

    name: str = "phone"
    letters: list[Letter] = field(default_factory=list)
    tries: int = 0
    fails: ComportaError | None = None
    hangs: bool = False

    async def send(self, letter: Letter) -> None:
        self.tries += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails is not None:
            raise self.fails
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
        self.book = MemoryBook(self.clock, self.sight)
        self.watch = Watch(
            book=self.book,
            teller=Teller(self.phones, self.clock),
            streams=lambda: [Promised("loja", "orders", HOUR / 2, BEGUN - 9 * HOUR)],
            pauses=self.pauses,
            disk=self.disk,
            ways=Ways(Language.EN, UTC, quiet, bounds or AT_ONCE),
            clock=self.clock,
            machine="box",
            machine_clock=self.machine_clock,
            log=Silence(),
        )

    def sight(self) -> Sight:
        covered = Coverage((Interval(BEGUN - 9 * HOUR, self.covered_until),))
        return Sight(self.clock.now(), coverage={"loja/orders": covered})

    async def pauses(self) -> Mapping[str, tuple[float, str]]:
        return {}

    async def disk(self) -> tuple[str, int]:
        return "/data", self.free_mb

    async def pass_time(self, duration: timedelta) -> None:
        """Let so much time go by, with a look every half minute."""
        for _ in range(duration // EVERY):
            self.clock.advance(EVERY)
            self.machine_clock.advance(EVERY)
            await self.watch.look()


async def test_a_stream_that_becomes_stale_is_told_once_and_once_more_when_it_is_well() -> None:
    """Two hours of looking, and two letters."""
    scene = Scene()
    await scene.pass_time(2 * HOUR)
    assert scene.phones[0].heard == ["stale/loja opened"]
    scene.covered_until = scene.clock.now()
    await scene.pass_time(10 * MINUTE)

    assert scene.phones[0].heard == ["stale/loja opened", "stale/loja closed"]
    assert await scene.book.alerts() == []


async def test_trouble_that_comes_and_goes_is_told_once_and_its_end_once_it_stays_away() -> None:
    """A stream that is late every other minute for an hour, and then well."""
    scene = Scene(bounds=AlertBounds(grace=timedelta(), over_after=5 * MINUTE))
    await scene.pass_time(2 * HOUR)
    for _ in range(15):
        scene.covered_until = scene.clock.now()
        await scene.pass_time(2 * MINUTE)
        scene.covered_until = BEGUN
        await scene.pass_time(2 * MINUTE)
    assert scene.phones[0].heard == ["stale/loja opened"]
    scene.covered_until = scene.clock.now()
    await scene.pass_time(5 * MINUTE)
    assert scene.phones[0].heard == ["stale/loja opened"]
    await scene.pass_time(MINUTE)

    assert scene.phones[0].heard == ["stale/loja opened", "stale/loja closed"]
    assert [(each.times, each.closed_at) for each in scene.book.rows.values()] == [(1, scene.covered_until + EVERY)]


async def test_a_database_that_comes_and_goes_is_told_of_once() -> None:
    """From memory, as there is no book."""
    scene = Scene(bounds=AlertBounds(grace=timedelta(), over_after=5 * MINUTE))
    for _ in range(5):
        scene.book.fails_to_write = DestinationRefused("no space left")
        await scene.pass_time(2 * MINUTE)
        scene.book.fails_to_write = None
        await scene.pass_time(2 * MINUTE)
    assert scene.phones[0].heard == ["database opened"]
    await scene.pass_time(4 * MINUTE)

    assert scene.phones[0].heard == ["database opened", "database closed"]


async def test_after_a_start_streams_may_catch_up_before_they_are_stale() -> None:
    """A server that was down for a week would otherwise tell of every stream."""
    scene = Scene(bounds=AlertBounds(grace=5 * MINUTE))
    scene.clock.advance(timedelta(days=7))
    scene.watch._began_s = scene.clock.monotonic()
    await scene.pass_time(4 * MINUTE)
    assert scene.phones[0].heard == []
    scene.covered_until = scene.clock.now()
    await scene.pass_time(10 * MINUTE)

    assert scene.phones[0].heard == []


async def test_a_full_database_is_told_from_memory_and_so_is_its_end() -> None:
    """Nothing can be written, so nothing of it stands in the book."""
    scene = Scene()
    scene.book.fails_to_write = DestinationRefused("comporta.db: no space left to write")
    await scene.pass_time(5 * MINUTE)
    assert scene.phones[0].heard == ["database opened"]
    assert "no space left" in scene.phones[0].letters[0].body
    assert scene.book.rows == {}
    scene.book.fails_to_write = None
    await scene.pass_time(5 * MINUTE)

    assert scene.phones[0].heard == ["database opened", "database closed"]


async def test_a_database_that_is_busy_for_a_moment_is_nobodys_concern() -> None:
    """Busy for longer than a minute, it is; until then the book's own alerts are not told a second time."""
    scene = Scene()
    scene.free_mb = 3
    await scene.pass_time(MINUTE)
    scene.book.fails = DestinationBusy("locked")
    await scene.pass_time(MINUTE)
    assert scene.phones[0].heard == ["disk/box opened"]
    await scene.pass_time(MINUTE)

    assert "database opened" in scene.phones[0].heard


async def test_what_was_told_without_the_book_is_not_told_again_with_it() -> None:
    """The disk fills up, the database fails, and comes back while the disk is still nearly full."""
    scene = Scene()
    scene.free_mb = 3
    scene.book.fails_to_write = DestinationRefused("no space left")
    await scene.pass_time(3 * MINUTE)
    scene.book.fails_to_write = None
    await scene.pass_time(3 * MINUTE)
    scene.free_mb = 9_000
    await scene.pass_time(3 * MINUTE)

    assert sorted(scene.phones[0].heard[:2]) == ["database opened", "disk/box opened"]
    assert scene.phones[0].heard[2:] == ["database closed", "disk/box closed"]


@pytest.mark.parametrize("over_after", [timedelta(), 5 * MINUTE])
async def test_what_opened_and_ended_without_the_book_is_told_to_be_over(over_after: timedelta) -> None:
    """The disk is freed before the database comes back: no row of it ever stood in the book."""
    scene = Scene(bounds=AlertBounds(grace=timedelta(), over_after=over_after))
    scene.free_mb = 3
    scene.book.fails_to_write = DestinationRefused("no space left")
    await scene.pass_time(MINUTE)
    scene.free_mb, scene.phones[0].fails = 9_000, ChannelFailed("refused")
    await scene.pass_time(MINUTE)
    scene.book.fails_to_write = scene.phones[0].fails = None
    await scene.pass_time(20 * MINUTE)

    heard = [each for each in scene.phones[0].heard if not each.startswith("channel")]
    assert sorted(heard) == ["database closed", "database opened", "disk/box closed", "disk/box opened"]
    assert (scene.watch._memory, "disk/box" in scene.book.rows) == ({}, False)


async def test_what_stands_in_the_book_ends_there_alone() -> None:
    """The disk was full before the database failed, and is freed before it comes back."""
    scene = Scene()
    scene.free_mb = 3
    await scene.pass_time(MINUTE)
    scene.book.fails_to_write = DestinationRefused("no space left")
    await scene.pass_time(MINUTE)
    scene.free_mb, scene.book.fails_to_write = 9_000, None
    await scene.pass_time(MINUTE)

    assert scene.phones[0].heard.count("disk/box closed") == 1


async def test_a_database_that_never_answers_holds_up_no_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look is bounded, and tells."""
    monkeypatch.setattr("comporta.coordination.watch.LOOK_S", 0.01)
    scene = Scene()
    scene.book.hangs = True
    await scene.pass_time(3 * MINUTE)

    assert scene.phones[0].heard == ["database opened"]


async def test_a_dead_channel_keeps_nothing_from_the_others_and_is_told_over_them() -> None:
    """It is tried three times, and then left alone for a while, longer each time."""
    dead, alive = Phone("email", fails=ChannelFailed("refused")), Phone("webhook")
    scene = Scene(dead, alive)
    await scene.pass_time(2 * HOUR)

    assert alive.heard == ["stale/loja opened", "channel/email opened"]
    assert TRIES <= dead.tries <= 3 * TRIES
    dead.fails = None
    scene.covered_until = scene.clock.now()
    await scene.pass_time(HOUR)
    assert "channel/email closed" in alive.heard


async def test_with_every_channel_dead_an_alert_waits_and_is_told_when_one_works() -> None:
    """Once."""
    phone = Phone(fails=ChannelFailed("refused"))
    scene = Scene(phone)
    await scene.pass_time(3 * HOUR)
    assert phone.tries < 10 * TRIES
    phone.fails = None
    await scene.pass_time(HOUR)

    assert phone.heard.count("stale/loja opened") == 1


async def test_a_channel_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a bounded time, all tries together."""
    monkeypatch.setattr("comporta.coordination.telling.PATIENCE_S", 0.01)
    assert PATIENCE_S < 180
    hanging, alive = Phone("email", hangs=True), Phone("webhook")
    scene = Scene(hanging, alive)
    await asyncio.wait_for(scene.pass_time(70 * MINUTE), 8)

    assert alive.heard[0] == "stale/loja opened"


async def test_a_channel_that_hangs_holds_up_no_shutdown() -> None:
    """What it was to take is told by the next process, when the claim has run out."""
    scene = Scene(Phone(hangs=True))
    scene.free_mb = 1
    stopping = asyncio.Event()
    running = asyncio.ensure_future(scene.watch.run(stopping))
    while not scene.phones[0].tries:
        await asyncio.sleep(0)
    stopping.set()
    await asyncio.wait_for(running, 2)

    assert scene.clock.now() - BEGUN == LETTER
    (row,) = await scene.book.alerts()
    assert (row.key, row.is_open) == ("disk/box", True)


async def test_what_a_person_must_install_is_not_tried_again_in_the_same_letter() -> None:
    """It would fail the same way."""
    phone = Phone("apprise", fails=AppriseMissing("not installed"))
    teller = Teller([phone], FakeClock())

    assert not await teller.tell(Letter("s", "b", ()))
    assert phone.tries == 1


async def test_without_a_channel_alerts_are_kept_for_the_list() -> None:
    """And are told if a channel is set later."""
    scene = Scene()
    scene.watch._teller = Teller([], scene.clock)
    await scene.pass_time(2 * HOUR)
    (row,) = await scene.book.alerts()

    assert (row.key, row.told_at) == ("stale/loja", None)


async def test_in_quiet_hours_only_what_cannot_wait_is_told() -> None:
    """A stale stream waits for the morning; a full disk does not."""
    scene = Scene(quiet=QuietHours(time(13), time(15), UTC))
    await scene.pass_time(MINUTE)
    await scene.pass_time(90 * MINUTE)
    scene.free_mb = 1
    await scene.pass_time(MINUTE)
    assert scene.phones[0].heard == ["disk/box opened"]
    await scene.pass_time(90 * MINUTE)

    assert scene.phones[0].heard == ["disk/box opened", "stale/loja opened"]


@pytest.mark.parametrize("jump", [timedelta(hours=3), timedelta(hours=-3)])
async def test_a_clock_that_jumps_is_told_for_an_hour(jump: timedelta) -> None:
    """Forward or back; the database's clock is another machine's."""
    scene = Scene()
    await scene.pass_time(2 * MINUTE)
    scene.machine_clock._begun += jump
    await scene.pass_time(2 * MINUTE)
    assert scene.phones[0].heard == ["clock/@box opened"]
    assert "jumped by 3h" in scene.phones[0].letters[0].body
    scene.covered_until = scene.clock.now() + 2 * HOUR
    await scene.pass_time(61 * MINUTE)

    assert scene.phones[0].heard == ["clock/@box opened", "clock/@box closed"]


async def test_a_fault_of_the_watch_ends_neither_it_nor_anything_else() -> None:
    """It is told to the log, and the next look begins anew."""
    scene = Scene()
    seen: list[str] = []

    async def broken() -> tuple[str, int]:
        seen.append("look")
        raise KeyError("nobody foresaw this")

    scene.watch._disk = broken
    stopping = asyncio.Event()
    running = asyncio.ensure_future(scene.watch.run(stopping))
    while len(seen) < 3:
        await asyncio.sleep(0.001)
    stopping.set()
    await asyncio.wait_for(running, 5)

    assert len(seen) >= 3
