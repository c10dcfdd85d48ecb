"""What a server does with notifications: everything told of is read, once, and no account waits for another."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.engine.workshop import ORDERS, Workshop, at, hint, open_workshop

from comporta.coordination.notifications import GATHERING, MISSED_EVERY, Deliveries
from comporta.coordination.plans import Feed
from comporta.core.hint import DELAYS
from comporta.core.instant import instant_text
from comporta.core.notification import Notification, Pointer
from comporta.core.run import Trigger
from comporta.core.ticket import Ticket
from comporta.core.window import Kind, Request
from comporta.errors import AccessRefused, SourceUnavailable
from comporta.ledger.notifications import LedgerInbox
from comporta.ports.progress import Progress
from comporta.ports.store import Granted
from comporta.testing import FakeClock, FakeSource

PATIENCE_S = 8.0
HOUR = timedelta(hours=1)


def point(topic: str, resource: str) -> Pointer | None:
    """Return the record: the topic is the stream."""
    return Pointer(topic, resource)


class CountedInbox(LedgerInbox):
    """Counts how often it was looked what is due."""

    looks = 0

    async def due(self) -> Sequence[str]:
        self.looks += 1
        return await super().due()


@dataclass
class Post:
    """The notifications of a workshop's accounts, and the log of what looks at them."""

    workshop: Workshop
    missed: dict[str, list[Notification]] = field(default_factory=dict)
    problem: Exception | None = None
    is_silent: bool = False
    asked: list[str] = field(default_factory=list)
    said: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)
    deliveries: Deliveries | None = None

    def __post_init__(self) -> None:
        self.inbox = CountedInbox(self.workshop.database)

    def write(self, level: str, event: str, fields: Mapping[str, object]) -> None:
        """Remember what was logged."""
        self.said.append((event, fields))

    def account(self, name: str, *, source: FakeSource | None = None, **stream: Any) -> None:  # noqa: ANN401  anything may be given
        """Make an account whose source notifies, and whose user bears its name."""

        async def missed(progress: Progress) -> AsyncIterator[Sequence[Notification]]:
            self.asked.append(progress.scope)
            if self.problem is not None:
                raise self.problem
            if self.is_silent:
                await asyncio.Event().wait()
            yield self.missed.get(name, [])

        self.workshop.account(
            self.workshop.plan(children=(), **stream), name=name, source=source, feed=Feed("market", point, missed)
        )
        row = dict.fromkeys(("issued_at", "expires_at", "token", "attempt", "attempted_at", "reason"))
        values: dict[str, object] = {**row, "account": name, "state": "good", "user_id": name, "attempts": 0}
        now = instant_text(self.workshop.clock.now())
        self.workshop.database.write_now(lambda session: session.run("put_login", {**values, "now": now}))

    async def tell(self, *keys: int, user: str = "matriz", sent_at: datetime | None = None) -> None:
        """Keep notifications of orders, as the route does."""
        sent_at = sent_at or self.workshop.source.now()
        await self.inbox.keep([Notification("market", user, ORDERS, str(key), None, sent_at) for key in keys])
        if self.deliveries is not None:
            self.deliveries.wake()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Deliver, until the story is told."""
        executor = self.workshop.executor()
        self.deliveries = Deliveries(
            inbox=self.inbox,
            syncer=self.workshop.syncer(executor),
            clock=self.workshop.clock,
            stopping=executor.stopping,
            accounts=self.workshop.plans,
            log=self,
        )
        working = asyncio.ensure_future(self.deliveries.run())
        try:
            yield
        finally:
            executor.stop()
            await asyncio.wait_for(working, PATIENCE_S)

    async def until(self, holds: Callable[[], object]) -> None:
        """Let a little time pass, again and again, until something holds; or fail."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                self.workshop.clock.advance(GATHERING)
                await asyncio.sleep(0.02)

    async def passes(self, **span: float) -> None:
        """Let time pass, and what is due in it be looked at, twice, with little time between."""
        assert self.deliveries is not None
        self.workshop.passes(**span)
        for _ in range(2):
            looks = self.inbox.looks
            self.deliveries.wake()
            await self.until(lambda looks=looks: self.inbox.looks > looks)  # type: ignore[misc]  # an int

    def runs(self, account: str = "matriz") -> list[tuple[str, str, str]]:
        """Return trigger, request and state of the runs of an account, the oldest first."""
        query = "SELECT trigger, request, state FROM cmp_run WHERE account = ? ORDER BY queued_at, id"
        return [tuple(row) for row in self.workshop.query(query, account)]

    def is_quiet(self) -> bool:
        """Say whether no run is under way."""
        return not self.workshop.query("SELECT 1 FROM cmp_run WHERE state IN ('queued', 'running')")

    def told(self, account: str = "matriz") -> list[tuple[str, str, str]]:
        """Return the runs of an account that looked at notifications."""
        return [run for run in self.runs(account) if run[0] == "notification"]

    def hints(self) -> list[str]:
        """Return what is still to be looked at."""
        return [
            f"{scope} {key}" for scope, key in self.workshop.query("SELECT scope, parent FROM cmp_hint ORDER BY 1, 2")
        ]


@pytest.fixture
async def workshop(path: Path) -> AsyncIterator[Workshop]:
    """Return a workshop whose clock moves only when told: how long a stream is left alone is the point here."""
    async with open_workshop(path, clock=FakeClock(is_jumping=False)) as opened:
        yield opened


@pytest.fixture
def post(workshop: Workshop) -> Post:
    """Return an account that hears of its orders, of which it has ten of nine o'clock."""
    workshop.source.stream().put_many(range(1, 11), stamp=at(9))
    opened = Post(workshop)
    opened.account("matriz")
    return opened


CAUGHT_UP = ("catch_up", "incremental", "succeeded")
LOOKED = ("notification", "notification", "succeeded")


async def test_what_is_told_is_read(post: Post, workshop: Workshop) -> None:
    """A new order, and a changed one; each once, with a run of its own in the history."""
    async with post.serving():
        await post.until(lambda: CAUGHT_UP in post.runs())
        workshop.passes(minutes=5)
        workshop.source.stream().put(11, name="new")
        workshop.source.stream().put(3, name="changed")
        await post.tell(3, 11)
        await post.until(lambda: workshop.rows() == workshop.truth() and post.is_quiet())

    assert post.told() == [LOOKED]
    assert post.hints() == []


async def test_a_start_reads_once_what_was_missed(post: Post, workshop: Workshop) -> None:
    """What the source could not deliver is asked for, the window reads it, and nothing is fetched a second time."""
    await workshop.run()
    workshop.passes(days=1)
    workshop.source.stream().put_many(range(1, 31))
    sent = workshop.source.now()
    post.missed["matriz"] = [Notification("market", "matriz", ORDERS, str(key), None, sent) for key in range(1, 31)]
    workshop.passes(minutes=10)
    workshop.source.script.asked.clear()
    async with post.serving():
        await post.until(lambda: LOOKED in post.runs() and not post.hints())

    assert workshop.rows() == workshop.truth()
    assert "fetch" not in workshop.source.script.asked
    assert ("missed_notifications_read", {"account": "matriz", "found": 30}) in post.said


async def test_missed_ones_are_asked_for_every_hour(post: Post, workshop: Workshop) -> None:
    """The same ones come for two days, and are looked at once."""
    sent = workshop.source.now()
    post.missed["matriz"] = [Notification("market", "matriz", ORDERS, "3", None, sent)]
    async with post.serving():
        await post.until(lambda: CAUGHT_UP in post.runs() and not post.hints())
        await post.passes(minutes=30)
        early = len(post.asked)
        for times in (2, 3):
            await post.passes(seconds=MISSED_EVERY.total_seconds())
            await post.until(lambda times=times: len(post.asked) >= times)  # type: ignore[misc]  # an int

    assert (early, len(post.asked)) == (1, 3)
    assert workshop.query("SELECT times >= 2, state FROM cmp_notification") == [(True, "handed")]
    assert len(post.told()) <= 1


async def test_what_is_kept_by_another_process_is_found(post: Post, workshop: Workshop) -> None:
    """Nobody wakes this one."""
    async with post.serving():
        await post.until(lambda: CAUGHT_UP in post.runs())
        workshop.source.stream().put(11, name="new")
        await post.inbox.keep([Notification("market", "matriz", ORDERS, "11", None, workshop.source.now())])
        await post.until(lambda: 11 in workshop.rows() and post.is_quiet())

    assert post.told() == [LOOKED]


@pytest.mark.full
async def test_what_is_not_there_yet_is_looked_for_again(post: Post, workshop: Workshop) -> None:
    """Without another notification."""
    async with post.serving():
        await post.until(lambda: CAUGHT_UP in post.runs())
        began = workshop.clock.now()
        await post.tell(11)
        await post.until(lambda: post.told() == [LOOKED])
        workshop.source.stream().put(11, name="late")
        await post.until(lambda: 11 in workshop.rows() and post.is_quiet())

    assert workshop.clock.now() - began >= DELAYS[0]


async def test_an_account_that_fails_delays_no_other(post: Post, workshop: Workshop) -> None:
    """Its runs are tried again after a minute, then less often; what it was told of stays."""
    other = FakeSource(workshop.clock)
    other.stream().put(1, name="S1")
    post.account("loja", source=other)
    await workshop.sync()
    workshop.passes(minutes=5)
    other.script.on("login", times=None, raises=AccessRefused("no"))
    workshop.source.stream().put(11, name="new")
    async with post.serving():
        await post.tell(1, user="loja")
        await post.tell(11)
        await post.until(lambda: 11 in workshop.rows() and post.is_quiet())
        await post.until(lambda: len(post.told("loja")) == 1 and post.is_quiet())
        await post.passes(seconds=50)
        again = [len(post.told("loja"))]
        for runs in (2, 2, 3):
            await post.passes(minutes=1)
            await post.until(lambda: len(post.told("loja")) >= runs and post.is_quiet())  # noqa: B023  awaited here
            again.append(len(post.told("loja")))

    assert {state for _, _, state in post.told("loja")} == {"failed"}
    assert again == [1, 2, 2, 3]
    assert post.hints() == [f"loja/{ORDERS} 1"]


async def test_missed_ones_that_cannot_be_read_stop_nothing(post: Post, workshop: Workshop) -> None:
    """It is told, and done again in an hour."""
    post.problem = SourceUnavailable("gone")
    async with post.serving():
        await post.until(lambda: CAUGHT_UP in post.runs())
        workshop.source.stream().put(11, name="new")
        await post.tell(11)
        await post.until(lambda: 11 in workshop.rows() and post.is_quiet())

    attempts = [fields["attempt"] for event, fields in post.said if event == "notifications_failed"]
    assert "matriz: read missed notifications" in attempts


async def test_a_stream_that_another_run_holds_is_waited_for(post: Post, workshop: Workshop) -> None:
    """Without a line in the history for each look at it."""
    await workshop.run()
    granted = await held(workshop)
    async with post.serving():
        await post.tell(3, sent_at=at(9))
        await post.until(lambda: post.hints() == [f"matriz/{ORDERS} 3"])
        workshop.store.renew(granted.lease, HOUR)
        await post.passes(minutes=5)
        before = post.told()
        await workshop.store.unlock(f"matriz/{ORDERS}")
        await post.until(lambda: LOOKED in post.told())

    assert before == []
    assert post.told() == [LOOKED]


async def held(workshop: Workshop) -> Granted:
    """Take the lease of the orders, as another process does."""
    ticket = Ticket("matriz", ORDERS, Request(Kind.FULL), Trigger.MANUAL)
    run = await workshop.store.enqueue(ticket)
    granted = await workshop.store.acquire(run, ttl=HOUR, timeout=HOUR, instance="elsewhere")
    assert isinstance(granted, Granted)
    return granted


async def test_what_was_never_loaded_waits_for_its_first_load(post: Post, workshop: Workshop) -> None:
    """That reads it anyway."""
    workshop.source.script.on("page", times=None, raises=AccessRefused("no"))
    async with post.serving():
        await post.tell(3)
        await post.until(lambda: post.hints() and ("catch_up", "incremental", "failed") in post.runs())
        await post.passes(minutes=20)
        await post.passes(minutes=20)

    assert post.told() == []


async def test_a_paused_stream_is_left_alone(post: Post, workshop: Workshop) -> None:
    """What is told of it waits until it is not paused any more."""
    await workshop.run()
    post.account("matriz", is_paused=True)
    async with post.serving():
        await post.tell(3)
        await post.until(post.hints)
        await post.passes(minutes=20)
        await post.passes(minutes=20)

    assert [trigger for trigger, _, _ in post.runs()] == ["manual"]
    assert post.asked == []


async def test_told_to_stop_it_hands_over_what_runs(post: Post, workshop: Workshop) -> None:
    """The run ends as interrupted, and what it was told of is still there."""
    async with post.serving():
        await post.until(lambda: CAUGHT_UP in post.runs())
        turn = workshop.source.script.on("fetch", waits=True)
        await post.tell(3, sent_at=workshop.source.now() + timedelta(minutes=1))
        await post.until(turn.reached.is_set)

    assert post.told()[0] == (*LOOKED[:2], "interrupted")
    assert post.hints() == [f"matriz/{ORDERS} 3"]


async def test_a_source_that_does_not_answer_keeps_nobody_from_stopping(post: Post, workshop: Workshop) -> None:
    """It was asked for what was missed, and hangs; other accounts are at work meanwhile."""
    post.is_silent = True
    workshop.account(workshop.plan(children=()), name="loja", feed=Feed("market", point, nothing_missed))
    async with post.serving():
        await post.until(lambda: CAUGHT_UP in post.runs("loja") and post.asked)

    assert post.runs() == []


async def nothing_missed(_: Progress) -> AsyncIterator[Sequence[Notification]]:
    """Yield an empty page."""
    yield []


async def test_told_to_stop_at_once_it_begins_nothing(post: Post, workshop: Workshop) -> None:
    """Not even the first sync."""
    async with post.serving():
        pass

    assert post.runs() == []


async def test_accounts_of_other_sources_are_none_of_its_business(workshop: Workshop) -> None:
    """They are synced by whoever does."""
    workshop.account()
    post = Post(workshop)
    async with post.serving():
        await post.passes(minutes=20)
        await post.passes(minutes=20)

    assert post.runs() == []


async def test_a_burst_is_one_run(post: Post, workshop: Workshop) -> None:
    """Not one for each notification."""
    async with post.serving():
        await post.until(lambda: CAUGHT_UP in post.runs())
        workshop.source.stream().put_many(range(11, 61))
        for key in range(11, 61):
            await post.tell(key)
        await post.until(lambda: len(workshop.rows()) == 60 and post.is_quiet())

    assert len(post.told()) < 10
    assert workshop.query("SELECT sum(inserted) FROM cmp_run") == [(60,)]


async def test_what_is_told_while_a_run_looks_is_looked_at_at_once(post: Post, workshop: Workshop) -> None:
    """By the next run, for which no interval is waited."""
    async with post.serving():
        await post.until(lambda: CAUGHT_UP in post.runs())
        workshop.source.script.on("fetch", does=lambda: hint(workshop, 2))
        await post.tell(1)
        await post.until(lambda: workshop.source.script.asked.count("fetch") == 2 and post.is_quiet())

    assert post.told() == [LOOKED] * 2
    assert post.hints() == []
