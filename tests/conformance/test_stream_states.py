"""How streams stand, for status and alerts: all of them in as many statements as one, on every database."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

import pytest
from tests.conformance.store_steps import MARCH, SCOPE, start
from tests.conformance.tables import THINGS

from comporta.core.coverage import Coverage
from comporta.core.record import Rejected
from comporta.core.run import RunState, Trigger
from comporta.core.ticket import Ticket
from comporta.core.window import Kind, Request
from comporta.errors import Busy
from comporta.ledger import alert_sight
from comporta.ledger.alert_sight import sight_of
from comporta.ledger.session import Row, Session, Values
from comporta.ledger.store import LedgerStore
from comporta.ledger.stream_states import stream_states
from comporta.ports.store import Batch, Ending
from comporta.ports.stream_state import StreamFacts, StreamState
from comporta.testing.clock import FakeClock

SHOPS = [f"shop{number}/thing" for number in range(40)]
DEPTH = 3
AHEAD = timedelta(days=8)


class Counted:
    """A session that counts what it is asked."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.now = session.now
        self.statements = 0

    def one(self, name: str, values: Values) -> Row | None:
        """Count it."""
        self.statements += 1
        return self._session.one(name, values)

    def all(self, name: str, values: Values) -> list[Row]:
        """Count it."""
        self.statements += 1
        return self._session.all(name, values)


def asked(store: LedgerStore, work: Callable[[Session], object]) -> int:
    """Return how many statements some work takes."""

    def counted(session: Session) -> int:
        counting = Counted(session)
        work(counting)  # type: ignore[arg-type]  # it reads and does nothing else
        return counting.statements

    return store._database.read(counted)


async def ended(store: LedgerStore, scope: str) -> None:
    """Let a run of a stream end that brought nothing."""
    account, _, stream = scope.partition("/")
    granted = await start(store, Ticket(account, stream, Request(), Trigger.SCHEDULE))
    await store.finish(granted.lease, Ending(RunState.SUCCEEDED))


@pytest.mark.parametrize("scopes", [SHOPS[:2], SHOPS], ids=["two", "forty"])
async def test_many_streams_are_looked_at_in_as_many_statements_as_two(
    store: LedgerStore, scopes: Sequence[str]
) -> None:
    """A database may be 120 ms away: forty streams, one after the other, would take half a minute."""
    for scope in scopes:
        await ended(store, scope)
    states = asked(store, lambda session: stream_states(session, scopes))
    sights = asked(store, lambda session: sight_of(session, {}, scopes, depth=DEPTH))

    assert (states, sights) == (6, 10)


async def test_all_that_is_known_of_a_stream_is_told(store: LedgerStore, clock: FakeClock) -> None:
    """A dry run is not its last; of a stream that nothing is known of, nothing is told."""
    granted = await start(store)
    await store.learn(granted.lease, StreamFacts(identity="prod", clock_offset_s=2.0))
    rejected = Batch(THINGS, rejected=[Rejected("7", "CMP-ROW-001", "no name", "{}")])
    await store.commit(granted.lease, rejected, Ending(RunState.SUCCEEDED, covered=MARCH, fingerprint="f"))
    clock.advance(timedelta(seconds=1))
    await store.enqueue(Ticket("shop", "thing", Request(), Trigger.MANUAL, dry_run=True))
    states = await store.states([SCOPE, "shop/other"])

    assert states[SCOPE] == StreamState(
        last=await store.run(granted.run.id),
        coverage=Coverage((MARCH,)),
        facts=await store.facts(SCOPE),
        waiting=1,
    )
    assert states[SCOPE].facts.identity == "prod"
    assert states["shop/other"] == StreamState()


async def test_each_history_is_that_of_its_own_stream(store: LedgerStore, clock: FakeClock) -> None:
    """Read together, they are told apart: so many of the newest runs of each, the newest first."""
    for times, scope in enumerate(SHOPS[:3], 1):
        for _ in range(times + 1):
            await ended(store, scope)
            clock.advance(timedelta(minutes=1))
    sight = store._database.read(lambda session: sight_of(session, {}, SHOPS[:4], depth=DEPTH))

    assert {scope: history.empty for scope, history in sight.histories.items()} == {
        SHOPS[0]: 2,
        SHOPS[1]: DEPTH,
        SHOPS[2]: DEPTH,
    }
    assert SHOPS[3] not in sight.newest


async def test_runs_of_a_clock_that_was_ahead_hide_none_that_came_after(store: LedgerStore, clock: FakeClock) -> None:
    """Once it is right again, what fails now is told now, and what went well is not called failed for as long."""
    clock.advance(AHEAD)
    granted = await start(store)
    error = {"code": "CMP-NET-001", "message": "m", "next_step": "n"}
    await store.finish(granted.lease, Ending(RunState.FAILED, error))
    clock.advance(-AHEAD)
    after = await start(store)
    await store.finish(after.lease, Ending(RunState.SUCCEEDED))
    last = (await store.states([SCOPE]))[SCOPE].last
    sight = store._database.read(lambda session: sight_of(session, {}, [SCOPE], depth=DEPTH))

    assert last is not None
    assert last.id == after.run.id
    assert sight.newest == {SCOPE: after.run.id}
    assert sight.histories[SCOPE].streak is None


async def test_who_found_a_stream_busy_does_not_hide_who_works_on_it(store: LedgerStore, clock: FakeClock) -> None:
    """A click, or a `sync`, during the first load of hours; what waits for it is shown as waiting."""
    granted = await start(store)
    clock.advance(timedelta(seconds=1))
    refused = await store.enqueue(Ticket("shop", "thing", Request(Kind.FULL), Trigger.MANUAL))
    waiting = (await store.states([SCOPE]))[SCOPE].last
    await store.skip(refused, Busy("held").as_json())
    during = (await store.states([SCOPE]))[SCOPE].last
    await store.finish(granted.lease, Ending(RunState.SUCCEEDED))
    after = (await store.states([SCOPE]))[SCOPE].last

    shown = [each and (each.id, each.state) for each in (waiting, during, after)]
    assert shown == [
        (refused.id, RunState.QUEUED),
        (granted.run.id, RunState.RUNNING),
        (refused.id, RunState.SKIPPED),
    ]


async def test_more_streams_than_one_look_can_take_have_their_turns(
    store: LedgerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was put off counts as not seen yet, so the next look takes it."""
    monkeypatch.setattr(alert_sight, "LOOKED_MAX", 3)
    for scope in SHOPS[:5]:
        await ended(store, scope)
    known: dict[str, str] = {}
    seen = []
    for _ in range(3):
        sight = store._database.read(partial(sight_of, known=known, scopes=SHOPS[:5], depth=DEPTH))
        known = dict(sight.newest)
        seen.append(len(sight.histories))

    assert seen == [3, 2, 0]
