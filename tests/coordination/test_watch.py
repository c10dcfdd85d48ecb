"""The watch: it tells once whatever fails, waits for nobody, and does without the database when that is what fails."""

import asyncio
from datetime import UTC, time, timedelta

import pytest
from tests.coordination.watch_scene import HOUR, MINUTE, Phone, Scene

from comporta.coordination.telling import PATIENCE_S, TRIES, Teller
from comporta.coordination.watch import EVERY, LETTER
from comporta.core.alert_facts import AlertBounds, SchedulerFact
from comporta.core.alert_letter import Letter
from comporta.core.alert_settling import QuietHours
from comporta.errors import DestinationBusy, DestinationRefused
from comporta.errors_alerts import AppriseMissing, ChannelFailed
from comporta.errors_guard import LegacyLockUnreachable
from comporta.errors_postgres import DatabaseUnreachable
from comporta.testing.clock import BEGUN, FakeClock


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


@pytest.mark.parametrize("is_back_first", [True, False])
async def test_what_was_told_from_memory_is_told_to_be_over_by_the_next_process(*, is_back_first: bool) -> None:
    """Whoever is told that the database fails restarts things."""
    scene = Scene()
    scene.book.fails_to_write = DestinationRefused("no space left")
    await scene.pass_time(5 * MINUTE)
    scene.book.fails_to_write = None if is_back_first else scene.book.fails_to_write
    scene.begin()
    await scene.pass_time(MINUTE)
    scene.book.fails_to_write = None
    await scene.pass_time(MINUTE)
    scene.begin()
    await scene.pass_time(MINUTE)

    assert scene.phones[0].heard == ["database opened", "database closed"]
    assert list(scene.notebook.alerts) == []


@pytest.mark.parametrize("dies", [False, True])
async def test_of_two_processes_with_one_notebook_one_tells_that_it_is_over(*, dies: bool) -> None:
    """Both look in the same second, as after a restart of all; if the first dies meanwhile, the other tells later."""
    scene = Scene()
    scene.book.fails_to_write = DestinationRefused("no space left")
    await scene.pass_time(5 * MINUTE)
    first = scene.watch
    scene.begin()
    await scene.watch.look()
    scene.book.fails_to_write = None
    scene.phones[0].ready = asyncio.Event()
    telling = asyncio.ensure_future(first.look())
    while scene.phones[0].tries < 2:
        await asyncio.sleep(0)
    beside = asyncio.ensure_future(scene.watch.look())
    for _ in range(100):
        await asyncio.sleep(0)
    tries = scene.phones[0].tries
    if dies:
        telling.cancel()
    scene.phones[0].ready.set()
    await asyncio.wait({telling, beside})
    await scene.pass_time(5 * MINUTE)

    assert tries == 2
    assert scene.phones[0].heard == ["database opened", "database closed"]
    assert list(scene.notebook.alerts) == []


async def test_without_a_notebook_the_end_is_told_from_memory() -> None:
    """The disk on which it would be is full."""
    scene = Scene()
    scene.notebook.fails = True
    scene.book.fails_to_write = DestinationRefused("no space left")
    await scene.pass_time(5 * MINUTE)
    scene.book.fails_to_write = None
    await scene.pass_time(MINUTE)

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


@pytest.mark.parametrize("is_known_before", [False, True])
async def test_of_a_database_that_is_away_it_is_told_why(
    monkeypatch: pytest.MonkeyPatch, *, is_known_before: bool
) -> None:
    """The look that waits for it hears nothing, and could tell only that; where it is known, nobody waits for it."""
    scene = Scene()
    scene.book.hangs = True
    if not is_known_before:
        monkeypatch.setattr("comporta.coordination.watch.LOOK_S", 0.01)
        await scene.watch.look()
    scene.away = DatabaseUnreachable("nobody listens there", next_step="Start the server.")
    await scene.pass_time(2 * MINUTE)
    told = scene.phones[0].letters[0].alerts[0]

    assert (scene.phones[0].heard, told.fields["code"]) == (["database opened"], DatabaseUnreachable.code)
    assert (told.fields["error"], told.next_step) == ("nobody listens there", "Start the server.")


async def test_after_the_database_was_away_others_may_catch_up_first() -> None:
    """Nobody could say that it is alive, or bring a stream up to date; who still does not is told of."""
    scene = Scene(bounds=AlertBounds(grace=5 * MINUTE, over_after=timedelta()))
    scene.covered_until = scene.clock.now() + 2 * HOUR
    scene.scheduler = SchedulerFact("box:1", scene.clock.now(), has_ended=False)
    scene.book.fails = DestinationBusy("away")
    await scene.pass_time(4 * HOUR)
    scene.book.fails = None
    await scene.pass_time(2 * MINUTE)
    assert scene.phones[0].heard == ["database opened", "database closed"]
    await scene.pass_time(4 * MINUTE)

    assert scene.phones[0].heard[2:] == ["scheduler opened"]


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


async def test_a_silent_redis_is_told_of_and_not_what_is_late_because_of_it() -> None:
    """Once a minute has gone by: a restart of it takes less. It is over when it answers again."""
    scene = Scene()
    scene.silence = LegacyLockUnreachable("127.0.0.1:9: refused")
    scene.is_guarded = True
    await scene.pass_time(EVERY)
    soon = list(scene.phones[0].heard)
    await scene.pass_time(2 * HOUR)
    later = list(scene.phones[0].heard)
    scene.silence, scene.covered_until = None, scene.clock.now()
    await scene.pass_time(EVERY)

    assert (soon, later) == ([], ["legacy_lock opened"])
    assert scene.phones[0].heard == ["legacy_lock opened", "legacy_lock closed"]
