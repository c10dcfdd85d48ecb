"""Notifications and hints in the ledger: kept once, handed over once, and never taken for done too early."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.conformance.conftest import StoreFactory
from tests.conformance.store_steps import MARCH, SCOPE, begin, start
from tests.conformance.tables import THINGS, thing

from comporta.core.hint import UNDATED, Hint
from comporta.core.instant import instant_text
from comporta.core.notification import Notification, Pointer
from comporta.core.record import Column, ColumnType, Rejected, Shape
from comporta.core.run import RunState
from comporta.core.schema import WRITTEN_BY
from comporta.ledger.notifications import LedgerInbox
from comporta.ledger.rows import instant_from
from comporta.ledger.session import Database
from comporta.ledger.store import LedgerStore
from comporta.ports.store import Batch, Ending
from comporta.testing.clock import BEGUN, FakeClock

MINUTE = timedelta(minutes=1)
STREAMS = {"shop": ("thing", "other"), "twin": ("thing",)}
LOGIN = dict.fromkeys(("issued_at", "expires_at", "token", "attempt", "attempted_at", "reason"))


def told(number: int = 1, *, sent_at: datetime | None = BEGUN, user: str = "7", topic: str = "things") -> Notification:
    """Return a notification of a thing."""
    return Notification("market", user, topic, f"/things/{number}", "app", sent_at)


def point(topic: str, resource: str) -> Pointer | None:
    """Return what a topic of things or others points at."""
    return Pointer(topic.removesuffix("s"), resource.rpartition("/")[2]) if topic in {"things", "others"} else None


class Ledger:
    """A ledger with its notifications, as a test looks at it."""

    def __init__(self, store: LedgerStore) -> None:
        self.store = store
        self.database: Database = store._database
        self.inbox = LedgerInbox(self.database)

    def login(self, account: str, user: str | None) -> None:
        """Let an account have the login of a user."""
        values: Mapping[str, Any] = LOGIN | {"account": account, "state": "good", "user_id": user, "attempts": 0}
        self.database.write_now(lambda session: session.run("put_login", {**values, "now": instant_text(session.now)}))

    async def hand_over(self) -> int:
        """Hand over what waits."""
        return await self.inbox.hand_over("market", STREAMS, point)

    def rows(self) -> dict[tuple[str, str, str], tuple[str, int, datetime | None]]:
        """Return state, times and instant by user, topic and resource."""
        schema = "" if "Sqlite" in type(self.database).__name__ else "comporta."
        query = f"SELECT user_id, topic, resource, state, times, sent_at FROM {schema}cmp_notification"
        found: list[Any] = self.database.read(lambda session: session.connection.execute(query).fetchall())
        return {(row[0], row[1], row[2]): (row[3], row[4], instant_from(row[5])) for row in map(tuple, found)}

    def states(self) -> list[str]:
        """Return the states, in order of user, topic and resource."""
        return [state for _, (state, _, _) in sorted(self.rows().items())]

    def hint(self, *rows: tuple[str, datetime | None]) -> None:
        """Hint the scope at records."""
        values = [{"scope": SCOPE, "parent": key, "told_at": instant_text(at) if at else None} for key, at in rows]
        self.database.write_now(lambda session: session.each("hint", values))


@pytest.fixture
async def ledger(store_factory: StoreFactory) -> Ledger:
    """Return a ledger in which the user 7 is the account shop."""
    opened = Ledger(store_factory())
    opened.login("shop", "7")
    return opened


async def test_what_is_told_again_is_one_row_that_waits_again(ledger: Ledger, clock: FakeClock) -> None:
    """However often, in one transaction or in several; the latest counts."""
    await ledger.inbox.keep([told(), told(sent_at=BEGUN - MINUTE), told(2)])
    await ledger.hand_over()
    clock.advance(MINUTE)
    await ledger.inbox.keep([told(sent_at=BEGUN + MINUTE)])

    assert ledger.rows() == {
        ("7", "things", "/things/1"): ("waiting", 3, BEGUN + MINUTE),
        ("7", "things", "/things/2"): ("handed", 1, BEGUN),
    }


async def test_what_is_answered_is_on_the_disk(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not sent again, so a power cut must not take it; and it goes before batches, for the sender waits."""
    asked: list[dict[str, bool]] = []
    write = ledger.database.write

    def write_and_look(work: Any, **how: bool) -> Any:  # noqa: ANN401  whatever is written
        asked.append(how)
        return write(work, **how)

    monkeypatch.setattr(ledger.database, "write", write_and_look)
    await ledger.inbox.keep([told()])

    assert asked == [{"is_durable": True, "is_brief": True}]


@pytest.mark.parametrize("sent_at", [BEGUN, BEGUN - MINUTE])
async def test_what_tells_nothing_later_does_not_wait_again(ledger: Ledger, sent_at: datetime) -> None:
    """A source repeats for two days what it could not deliver; the record was read after all of it."""
    await ledger.inbox.keep([told()])
    await ledger.hand_over()

    await ledger.inbox.keep([told(sent_at=sent_at)])

    assert ledger.rows() == {("7", "things", "/things/1"): ("handed", 2, BEGUN)}


async def test_without_a_time_it_waits_again_always(ledger: Ledger, clock: FakeClock) -> None:
    """And so does one that claims to come from a time that is not yet."""
    for sent_at in (None, clock.now() + MINUTE):
        await ledger.inbox.keep([told(sent_at=sent_at)])
        assert ledger.rows() == {("7", "things", "/things/1"): ("waiting", ledger_times(ledger), None)}
        await ledger.hand_over()
    await ledger.inbox.keep([told()])

    assert ledger.states() == ["waiting"]
    assert (await ledger.store.hints(SCOPE, 9))[0].told_at == UNDATED


def ledger_times(ledger: Ledger) -> int:
    """Return how often the first thing was told of."""
    return ledger.rows()["7", "things", "/things/1"][1]


async def test_hints_are_made_and_their_notifications_handed_in_one_step(ledger: Ledger) -> None:
    """Of each account that has the user, and the stream; told in two topics, a record is hinted at once."""
    ledger.login("twin", "7")
    await ledger.inbox.keep([told(1), told(2), told(3, topic="others", sent_at=BEGUN - MINUTE)])

    count = await ledger.hand_over()

    assert count == 3
    assert ledger.states() == ["handed", "handed", "handed"]
    assert await ledger.store.hints(SCOPE, 9) == [Hint("1", told_at=BEGUN), Hint("2", told_at=BEGUN)]
    assert await ledger.store.hints("twin/thing", 9) == await ledger.store.hints(SCOPE, 9)
    assert await ledger.store.hints("shop/other", 9) == [Hint("3", told_at=BEGUN - MINUTE)]
    assert await ledger.store.hints("twin/other", 9) == []
    assert await ledger.hand_over() == 0


async def test_a_record_of_two_notifications_was_told_of_by_the_later(ledger: Ledger) -> None:
    """One hint; without an instant if either has none."""
    await ledger.inbox.keep([told(1), Notification("market", "7", "things", "/v2/1", None, BEGUN - MINUTE)])
    await ledger.inbox.keep([told(2), Notification("market", "7", "things", "/v2/2", None, None)])

    await ledger.hand_over()

    found = await ledger.store.hints(SCOPE, 9)
    assert found == [Hint("1", told_at=BEGUN), Hint("2", told_at=UNDATED)]


async def test_what_points_nowhere_is_kept(ledger: Ledger) -> None:
    """A topic that nobody knows, and a stream that the account does not have."""
    ledger.login("twin", "8")
    await ledger.inbox.keep([told(topic="claims"), told(2, user="8", topic="others")])

    await ledger.hand_over()

    assert ledger.states() == ["kept", "kept"]


async def test_what_is_of_a_stranger_waits_until_an_account_has_him(ledger: Ledger) -> None:
    """His login may be made tomorrow; an account that is not ours is no reason."""
    await ledger.inbox.keep([told(user="8")])
    before = await ledger.hand_over()
    ledger.login("elsewhere", "8")
    elsewhere = await ledger.hand_over()
    ledger.login("twin", "8")

    after = await ledger.hand_over()

    assert (before, elsewhere, after) == (0, 0, 1)
    assert ledger.states() == ["handed"]
    assert [hint.key for hint in await ledger.store.hints("twin/thing", 9)] == ["1"]


async def test_another_source_has_its_own(ledger: Ledger) -> None:
    """Users of two sources may have one number."""
    await ledger.inbox.keep([Notification("bazaar", "7", "things", "/things/1", None, BEGUN)])

    assert await ledger.hand_over() == 0


async def test_a_hint_told_again_counts_anew(ledger: Ledger) -> None:
    """What was looked at before that is not what was told last."""
    ledger.hint(("1", BEGUN), ("2", None))
    first = await ledger.store.hints(SCOPE, 9)
    ledger.hint(("1", BEGUN - MINUTE), ("2", BEGUN))
    granted = await start(ledger.store)
    await ledger.store.commit(granted.lease, Batch(THINGS, [thing(1)], handled_hints=first))

    assert first == [Hint("1", told_at=BEGUN), Hint("2")]
    assert await ledger.store.hints(SCOPE, 9) == [Hint("1", 2, BEGUN), Hint("2", 2)]


async def test_a_batch_takes_away_what_it_looked_at(ledger: Ledger) -> None:
    """And nothing of another scope, and nothing if it does not come to pass."""
    ledger.hint(("1", BEGUN), ("2", BEGUN))
    first = await ledger.store.hints(SCOPE, 9)
    granted = await start(ledger.store)

    await ledger.store.commit(granted.lease, Batch(THINGS, handled_hints=first[:1]))

    assert [each.key for each in await ledger.store.hints(SCOPE, 9)] == ["2"]


async def test_a_postponed_hint_waits_for_its_time(ledger: Ledger, clock: FakeClock) -> None:
    """Told again, it does not."""
    ledger.hint(("1", BEGUN), ("2", BEGUN))
    first = await ledger.store.hints(SCOPE, 9)
    granted = await start(ledger.store)
    later = [(each, clock.now() + MINUTE) for each in first]
    await ledger.store.commit(granted.lease, Batch(THINGS, postponed_hints=later))
    now = await ledger.store.hints(SCOPE, 9)
    ledger.hint(("2", BEGUN))
    told_again = await ledger.store.hints(SCOPE, 9)
    clock.advance(MINUTE)

    assert now == []
    assert told_again == [Hint("2", 2, BEGUN)]
    assert await ledger.store.hints(SCOPE, 9) == [Hint("2", 2, BEGUN), Hint("1", 1, BEGUN, tries=1)]


async def test_what_was_looked_for_least_is_looked_at_first(ledger: Ledger, clock: FakeClock) -> None:
    """By key among equals, up to the limit; what is due only later than that instant is not looked at."""
    ledger.hint(("1", BEGUN), ("2", BEGUN), ("3", BEGUN))
    granted = await start(ledger.store)
    begun = clock.now()
    later = [(each, begun + MINUTE) for each in await ledger.store.hints(SCOPE, 2)]
    committed = await ledger.store.commit(granted.lease, Batch(THINGS, postponed_hints=later))
    again = [(replace(later[0][0], tries=1), begun + MINUTE)]
    await ledger.store.commit(committed.lease, Batch(THINGS, postponed_hints=again))
    ledger.hint(("4", BEGUN))
    clock.advance(MINUTE)

    assert [each.key for each in await ledger.store.hints(SCOPE, 9)] == ["3", "4", "2", "1"]
    assert [each.key for each in await ledger.store.hints(SCOPE, 3)] == ["3", "4", "2"]
    assert [each.key for each in await ledger.store.hints(SCOPE, 1)] == ["3"]
    assert [each.key for each in await ledger.store.hints(SCOPE, 9, due=begun)] == ["3", "4"]


async def test_what_was_told_again_meanwhile_is_not_postponed(ledger: Ledger, clock: FakeClock) -> None:
    """It is there now, perhaps."""
    ledger.hint(("1", BEGUN))
    first = await ledger.store.hints(SCOPE, 9)
    ledger.hint(("1", BEGUN))
    granted = await start(ledger.store)

    await ledger.store.commit(granted.lease, Batch(THINGS, postponed_hints=[(first[0], clock.now() + MINUTE)]))

    assert await ledger.store.hints(SCOPE, 9) == [Hint("1", 2, BEGUN)]


async def test_a_table_says_what_its_rows_refer_to(ledger: Ledger) -> None:
    """Each value once, of the account's living rows; or those that somebody names, whatever they were told of."""
    shape = Shape("shop", "thing", THINGS.columns, "id", "write_date")
    granted = await start(ledger.store)
    await ledger.store.prepare(granted.lease, shape)
    rows = [thing(1, name="done"), thing(2, name="open"), thing(3, name="open")]
    committed = await ledger.store.commit(granted.lease, Batch(shape, rows))
    committed = await ledger.store.commit(committed.lease, Batch(shape, deleted=[3]))

    found = await ledger.store.refer(committed.lease, shape, "id")
    all_of_them = [each.key for each in await ledger.store.hints(SCOPE, 9)]
    ledger.hint(("1", BEGUN))
    await ledger.store.look_again(committed.lease, [1, 3])

    assert (found, all_of_them) == (2, ["1", "2"])
    assert await ledger.store.hints(SCOPE, 9) == [Hint("1", times=2), Hint("2"), Hint("3")]


async def test_a_table_says_what_its_cells_hold(ledger: Ledger) -> None:
    """As the source gave them, and whose they are; of living rows alone, null where there is no column yet."""
    kinds = {"flag": ColumnType.BOOLEAN, "size": ColumnType.NUMERIC, "list": ColumnType.JSON, "late": ColumnType.TEXT}
    added = tuple(Column(name, kind, name) for name, kind in kinds.items())
    before = Shape("shop", "thing", (*THINGS.columns, *added[:-1]), "id", "write_date")
    shape = Shape("shop", "thing", (*THINGS.columns, *added), "id", "write_date")
    granted = await start(ledger.store)
    run = granted.lease.holder
    nothing = await ledger.store.cells("shop", shape, [1], ["flag"])
    await ledger.store.prepare(granted.lease, before)
    rows = [(*thing(1), True, 7.5, '[{"a":1}]'), (*thing(2), None, None, None), (*thing(3), False, 7, "[]")]
    committed = await ledger.store.commit(granted.lease, Batch(before, rows))
    await ledger.store.commit(committed.lease, Batch(before, deleted=[3]))

    found = await ledger.store.cells("shop", shape, [1, 2, 3, 4], [WRITTEN_BY, "flag", "size", "list", "late"])

    assert nothing == {}
    assert {key: list(cells) for key, cells in found.items()} == {
        1: [run, True, 7.5, '[{"a":1}]', None],
        2: [run, None, None, None, None],
    }


async def test_a_table_says_what_its_rows_refer_to_that_another_lacks(ledger: Ledger, clock: FakeClock) -> None:
    """And what is looked for in vain goes on being looked for as seldom, but now."""
    named = Shape("shop", "named", THINGS.columns, "id", "write_date")
    granted = await start(ledger.store)
    for shape in (THINGS, named):
        await ledger.store.prepare(granted.lease, shape)
    committed = await ledger.store.commit(granted.lease, Batch(THINGS, [thing(key) for key in range(1, 5)]))
    committed = await ledger.store.commit(committed.lease, Batch(named, [thing(1), thing(2)]))
    committed = await ledger.store.commit(committed.lease, Batch(named, deleted=[2]))
    ledger.hint(("3", None), ("9", BEGUN))
    waiting = [(each, clock.now() + MINUTE) for each in await ledger.store.hints(SCOPE, 9)]
    committed = await ledger.store.commit(committed.lease, Batch(THINGS, postponed_hints=waiting))

    found = await ledger.store.refer(committed.lease, THINGS, "id", lacking=named)
    before = [each.key for each in await ledger.store.hints(SCOPE, 9)]
    await ledger.store.wake(committed.lease)

    assert (found, before) == (3, ["2", "4"])
    assert await ledger.store.hints(SCOPE, 9) == [Hint("2"), Hint("4"), Hint("3", tries=1)]


async def test_what_no_row_names_any_more_is_let_go(ledger: Ledger, clock: FakeClock) -> None:
    """With its place in quarantine; but what is here, was told of, or was not looked for yet, is looked for on."""
    named = Shape("shop", "named", THINGS.columns, "id", "write_date")
    granted = await start(ledger.store)
    for shape in (THINGS, named):
        await ledger.store.prepare(granted.lease, shape)
    committed = await ledger.store.commit(granted.lease, Batch(THINGS, [thing(1)]))
    committed = await ledger.store.commit(committed.lease, Batch(named, [thing(2)]))
    ledger.hint(("1", None), ("2", None), ("3", None), ("4", BEGUN))
    vain = [(each, clock.now() + MINUTE) for each in await ledger.store.hints(SCOPE, 9)]
    ledger.hint(("5", None))
    waiting = [Rejected(str(key), "X", "not there", "{}") for key in range(1, 6)]
    batch = Batch(THINGS, postponed_hints=vain, rejected=waiting)
    committed = await ledger.store.commit(committed.lease, batch)

    found = await ledger.store.let_go(committed.lease, named, THINGS, "id")
    clock.advance(MINUTE)

    assert found == 1
    assert sorted(each.key for each in await ledger.store.hints(SCOPE, 9)) == ["1", "2", "4", "5"]
    assert [each.key for each in await ledger.store.quarantine(SCOPE)] == ["1", "2", "4", "5"]


async def test_a_stream_is_due_that_was_loaded_has_hints_and_is_held_by_nobody(
    ledger: Ledger, clock: FakeClock
) -> None:
    """What was never loaded reads it anyway; a postponed hint makes it due when its time has come."""
    ledger.hint(("1", BEGUN))
    unloaded = await ledger.inbox.due()
    granted = await start(ledger.store)
    plan = await begin(ledger.store, granted)
    held = await ledger.inbox.due()
    ending = Ending(RunState.SUCCEEDED, covered=MARCH, fingerprint="f", pass_id=plan.id)
    await ledger.store.commit(granted.lease, Batch(THINGS), ending)
    due = await ledger.inbox.due()
    first = await ledger.store.hints(SCOPE, 9)
    granted = await start(ledger.store)
    again = [(first[0], clock.now() + MINUTE)]
    await ledger.store.commit(granted.lease, Batch(THINGS, postponed_hints=again), Ending(RunState.SUCCEEDED))
    postponed = await ledger.inbox.due()
    clock.advance(MINUTE)

    assert (unloaded, held, due, postponed) == ([], [], [SCOPE], [])
    assert await ledger.inbox.due() == [SCOPE]


async def test_old_notifications_are_forgotten(ledger: Ledger, clock: FakeClock) -> None:
    """Whatever their state; what came again is not old."""
    await ledger.inbox.keep([told(1), told(2)])
    clock.advance(MINUTE)
    await ledger.inbox.keep([told(2)])
    await ledger.store.forget(clock.now() - MINUTE)
    kept = len(ledger.rows())

    await ledger.store.forget(clock.now())

    assert kept == 2
    assert [resource for _, _, resource in ledger.rows()] == ["/things/2"]


async def test_two_processes_hand_over_side_by_side(ledger: Ledger, store_factory: StoreFactory) -> None:
    """Each notification once, whoever is faster."""
    other = Ledger(store_factory())
    await ledger.inbox.keep([told(number) for number in range(50)])

    first = await ledger.hand_over()
    second = await other.hand_over()

    assert (first, second) == (50, 0)
    assert {each.times for each in await ledger.store.hints(SCOPE, 99)} == {1}
