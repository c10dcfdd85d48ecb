"""The book of alerts: opened once, changed, closed, and told by one of many, on every database."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.conformance.conftest import StoreFactory
from tests.conformance.store_steps import SCOPE, start

from comporta.core.alert import Alert, Kind, Wanted
from comporta.core.alert_settling import CLAIM
from comporta.core.instant import instant_text
from comporta.core.run import RunState
from comporta.errors import RecordAbsent
from comporta.ledger.alerts import LedgerAlerts
from comporta.ledger.session import Database
from comporta.ledger.store import LedgerStore
from comporta.ports.alerts import Settlement
from comporta.ports.store import Ending
from comporta.testing.clock import BEGUN, FakeClock

MINUTE = timedelta(minutes=1)
STALE = Wanted("stale/shop", Kind.STALE, "thing is 2h old", "Sync.", "shop", "thing", {"streams": ["thing"]})
LOGIN = Wanted("needs_login/shop", Kind.NEEDS_LOGIN, "revoked", "Connect.", "shop", None, {})


class Book:
    """The book as one process has it."""

    def __init__(self, store: LedgerStore) -> None:
        self.database: Database = store._database
        self.ledger = LedgerAlerts(self.database)

    async def settle(
        self, *wanted: Wanted, is_telling: bool = True, keeps: Callable[[Alert], bool] = lambda _: False
    ) -> Settlement:
        """Let there be these alerts."""
        return await self.ledger.settle(wanted, keeps=keeps, is_telling=is_telling)

    async def settle_and_tell(self, *wanted: Wanted, is_told: bool = True) -> list[str]:
        """Settle, and say that what was claimed was told or not; return it."""
        claimed = (await self.settle(*wanted)).claimed
        await self.ledger.confirm(claimed, is_told=is_told)
        return said(claimed)


def said(alerts: Sequence[Alert]) -> list[str]:
    """Return what is told of alerts, in short."""
    return [f"{each.key} {'opened' if each.is_open else 'closed'}" for each in alerts]


@pytest.fixture
def book(store: LedgerStore) -> Book:
    """Return the book of a process."""
    return Book(store)


async def test_an_alert_is_told_when_it_opens_and_when_it_closes_each_once(book: Book, clock: FakeClock) -> None:
    """And is one row, however often it is seen."""
    told = []
    for wanted in ([STALE], [STALE], [STALE, LOGIN], [LOGIN], [LOGIN], [], []):
        told.append(await book.settle_and_tell(*wanted))
        clock.advance(MINUTE)

    assert told == [
        ["stale/shop opened"],
        [],
        ["needs_login/shop opened"],
        ["stale/shop closed"],
        [],
        ["needs_login/shop closed"],
        [],
    ]
    assert await book.ledger.alerts() == []
    rows = await book.ledger.alerts(is_all=True)
    assert {(each.key, each.opened_at - BEGUN, each.closed_at and each.closed_at - BEGUN) for each in rows} == {
        ("stale/shop", 0 * MINUTE, 3 * MINUTE),
        ("needs_login/shop", 2 * MINUTE, 5 * MINUTE),
    }


async def test_an_alert_comes_back_whole(book: Book) -> None:
    """All that was wanted is in the row, and what is shown of it."""
    await book.settle_and_tell(STALE)
    (row,) = await book.ledger.alerts()

    assert (row.kind, row.account, row.stream, row.message, row.next_step) == (
        Kind.STALE,
        "shop",
        "thing",
        STALE.message,
        STALE.next_step,
    )
    assert row.fields == STALE.fields
    assert (row.told_at, row.is_sending, row.times) == (BEGUN, False, 1)


async def test_a_change_is_kept_and_not_told_again(book: Book, clock: FakeClock) -> None:
    """A second stream that becomes late makes the alert longer; the passing time changes nothing."""
    await book.settle_and_tell(STALE)
    clock.advance(MINUTE)
    older = replace(STALE, message="thing is 3h old", fields={"streams": ["thing"], "age_s": 9})
    both = replace(STALE, stream=None, message="two are old", fields={"streams": ["other", "thing"]})

    assert (await book.settle(older)).updated == []
    assert said((await book.settle(both)).updated) == ["stale/shop opened"]
    assert (await book.settle(both)).claimed == []
    (row,) = await book.ledger.alerts()
    assert (row.message, row.stream, row.opened_at, row.updated_at) == ("two are old", None, BEGUN, BEGUN + MINUTE)


async def test_what_comes_again_is_told_again(book: Book, clock: FakeClock) -> None:
    """It is the same row, which counts how often."""
    for wanted in ([STALE], [], [STALE]):
        clock.advance(MINUTE)
        told = await book.settle_and_tell(*wanted)
    (row,) = await book.ledger.alerts()

    assert told == ["stale/shop opened"]
    assert (row.times, row.opened_at) == (2, BEGUN + 3 * MINUTE)


async def test_what_comes_again_soon_is_the_same_alert(book: Book, clock: FakeClock) -> None:
    """Since when it may be over is kept, whoever looks next, and forgotten when it is not."""
    told, seen = [], []
    for wanted in ([STALE], [], [STALE], [], [], []):
        claimed = (await book.ledger.settle(wanted, keeps=lambda _: False, over_after=2 * MINUTE)).claimed
        await book.ledger.confirm(claimed, is_told=True)
        told += said(claimed)
        seen += [row.well_since and row.well_since - BEGUN for row in await book.ledger.alerts()]
        clock.advance(MINUTE)
    (row,) = await book.ledger.alerts(is_all=True)

    assert told == ["stale/shop opened", "stale/shop closed"]
    assert seen == [None, MINUTE, None, 3 * MINUTE, 3 * MINUTE]
    assert (row.times, row.closed_at, row.well_since, row.fields) == (1, BEGUN + 3 * MINUTE, None, STALE.fields)


async def test_of_many_processes_one_tells(store_factory: StoreFactory) -> None:
    """All look at the same moment."""
    books = [Book(store_factory()) for _ in range(5)]
    settled = await asyncio.gather(*(each.settle(STALE, LOGIN) for each in books))

    assert sorted(line for each in settled for line in said(each.claimed)) == [
        "needs_login/shop opened",
        "stale/shop opened",
    ]
    assert sum(len(each.opened) for each in settled) == 2


async def test_a_message_that_no_channel_took_is_told_later(book: Book) -> None:
    """The claim is given back."""
    assert await book.settle_and_tell(STALE, is_told=False) == ["stale/shop opened"]
    assert await book.settle_and_tell(STALE) == ["stale/shop opened"]
    assert await book.settle_and_tell(STALE) == []


async def test_who_dies_while_telling_is_followed_by_another(book: Book, clock: FakeClock) -> None:
    """Not at once, for the message may be under way."""
    await book.settle(STALE)
    assert (await book.settle(STALE)).claimed == []
    clock.advance(CLAIM + MINUTE)

    assert await book.settle_and_tell(STALE) == ["stale/shop opened"]


async def test_a_late_confirmation_of_a_lost_claim_changes_nothing(book: Book, clock: FakeClock) -> None:
    """Compare and set: the row names another's claim by now."""
    first = (await book.settle(STALE)).claimed
    clock.advance(CLAIM + MINUTE)
    second = (await book.settle(STALE)).claimed
    await book.ledger.confirm(first, is_told=False)
    (row,) = await book.ledger.alerts()

    assert (row.told_at, row.is_sending) == (second[0].told_at, True)


async def test_what_nobody_heard_of_ends_in_silence(book: Book) -> None:
    """It opened and closed while no channel worked."""
    await book.settle(STALE, is_telling=False)
    closed = await book.settle()

    assert said(closed.closed) == ["stale/shop closed"]
    assert closed.claimed == []


async def test_a_muted_alert_is_told_neither_at_its_opening_nor_at_its_end(book: Book, clock: FakeClock) -> None:
    """Until the time is over; then it is told if it is still there."""
    await book.settle(STALE, is_telling=False)
    muted = await book.ledger.mute(STALE.key, BEGUN + 2 * MINUTE)
    assert muted is not None
    assert muted.muted_until == BEGUN + 2 * MINUTE
    assert await book.settle_and_tell(STALE) == []
    clock.advance(3 * MINUTE)
    assert await book.settle_and_tell(STALE) == ["stale/shop opened"]
    await book.ledger.mute(STALE.key, BEGUN + 9 * MINUTE)

    assert await book.settle_and_tell() == []
    assert (await book.ledger.mute(STALE.key, None)) is not None
    assert await book.settle_and_tell() == ["stale/shop closed"]
    assert await book.ledger.mute("nothing", None) is None


async def test_what_cannot_be_judged_stays_open(book: Book) -> None:
    """Who looks says so."""
    await book.settle_and_tell(STALE)

    assert (await book.settle(keeps=lambda row: row.kind is Kind.STALE)).closed == []


async def test_what_was_told_without_the_book_opens_as_told(book: Book) -> None:
    """A full disk was told from memory while no row could be written."""
    disk = Wanted("disk/box", Kind.DISK, "full", "Free.", fields={})
    heard = Alert("disk/box", Kind.DISK, disk.level, "full", "Free.", BEGUN, BEGUN, told_at=BEGUN)
    settled = await book.ledger.settle([disk], keeps=lambda _: False, told=[heard])

    assert said(settled.opened) == ["disk/box opened"]
    assert settled.claimed == []
    assert await book.settle_and_tell() == ["disk/box closed"]


async def test_a_look_sees_what_the_ledger_knows(store: LedgerStore, clock: FakeClock) -> None:
    """Coverage, the newest run and what it says, who runs, whose login is gone, and the scheduler."""
    book = Book(store)
    schema = "" if "Sqlite" in type(book.database).__name__ else "comporta."
    now = instant_text(BEGUN)
    for query in (
        (
            f"INSERT INTO {schema}cmp_login(account, state, token, attempts, reason, updated_at)"
            f" VALUES ('gone', 'needs_login', 't', 0, 'revoked', '{now}')"
        ),
        (
            f"INSERT INTO {schema}cmp_instance(instance, roles, version, started_at, seen_at)"
            f" VALUES ('box:7', 'web,scheduler', '1', '{now}', '{now}')"
        ),
        f"INSERT INTO {schema}cmp_pause(account, paused_at) VALUES ('quiet', '{now}')",
        (
            f"INSERT INTO {schema}cmp_quarantine(scope, key, code, reason, payload, run, first_seen, last_seen, times)"
            f" VALUES ('{SCOPE}', '1', 'c', 'r', '{{}}', 'x', '{now}', '{now}', 1),"
            f" ('{SCOPE}', '2', '{RecordAbsent.code}', 'r', '{{}}', 'x', '{now}', '{now}', 1)"
        ),
    ):
        book.database.write_now(lambda session, query=query: session.connection.execute(query))  # type: ignore[misc]  # a lambda with a default
    granted = await start(store)
    running = await book.ledger.look({}, [SCOPE], depth=60)
    await store.finish(
        granted.lease, Ending(RunState.FAILED, {"code": "CMP-NET-001", "message": "m", "next_step": "n"})
    )
    clock.advance(MINUTE)
    ended = await book.ledger.look({}, [SCOPE], depth=60)
    again = await book.ledger.look(ended.newest, [SCOPE], depth=60)
    clock.advance(60 * MINUTE)
    later = await book.ledger.look(ended.newest, [SCOPE], depth=60)

    assert [each.id for each in running.running.values()] == [granted.run.id]
    assert running.newest == {}
    assert ended.running == {}
    assert ended.newest == {SCOPE: granted.run.id}
    streak = ended.histories[SCOPE].streak
    assert streak is not None
    assert (streak.code, streak.times) == ("CMP-NET-001", 1)
    assert again.histories == {}
    assert (ended.logins, list(ended.paused), ended.quarantined) == ({"gone": "revoked"}, ["quiet"], {SCOPE: (2, 1)})
    assert later.quarantined == {SCOPE: (2, 2)}, "what may only be late is worth no alert for an hour"
    assert ended.scheduler is not None
    assert (ended.scheduler.instance, ended.scheduler.seen_at, ended.scheduler.has_ended) == ("box:7", BEGUN, False)
