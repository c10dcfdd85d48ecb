"""History beyond its retention goes, of every kind and in bounded portions; what is open or alive stays."""

from datetime import timedelta

import pytest
from tests.conformance.conftest import TTL

from comporta.core.instant import instant_text
from comporta.core.run import RunState, Trigger
from comporta.core.ticket import Ticket
from comporta.core.window import Request
from comporta.ledger import retention
from comporta.ledger.notifications import LedgerInbox
from comporta.ledger.session import Session
from comporta.ledger.store import LedgerStore
from comporta.ports.progress import LogLine
from comporta.ports.store import Ending, Granted
from comporta.testing.clock import FakeClock

DAY = timedelta(days=1)
KINDS = ("cmp_run", "cmp_log", "cmp_notification", "cmp_alert", "cmp_instance")


def count(store: LedgerStore) -> dict[str, int]:
    """Return how many rows of each kind there are."""
    database = store._database
    prefix = "comporta." if "postgres" in database.where else ""

    def ask(session: Session) -> dict[str, int]:
        rows = {kind: session.connection.execute(f"SELECT count(*) FROM {prefix}{kind}").fetchone() for kind in KINDS}
        return {kind: row[0] for kind, row in rows.items() if row is not None}

    return database.read(ask)


def put(store: LedgerStore, script: str) -> None:
    """Execute a statement; ``{0}`` is what stands before a table's name."""
    prefix = "comporta." if "postgres" in store._database.where else ""
    store._database.write(lambda session: session.connection.execute(script.format(prefix))).result()


async def a_run(store: LedgerStore, stream: str) -> None:
    """Let a run end, with two lines of log."""
    run = await store.enqueue(Ticket("loja", stream, Request(), Trigger.MANUAL))
    granted = await store.acquire(run, ttl=TTL, timeout=DAY, instance="here")
    assert isinstance(granted, Granted)
    lines = (LogLine("info", "a", "b"), LogLine("info", "c", "d"))
    await store.finish(granted.lease, Ending(RunState.SUCCEEDED, log=lines))


def an_alert(store: LedgerStore, key: str, closed_at: str) -> None:
    """Open an alert, closed at that instant or at NULL."""
    put(
        store,
        "INSERT INTO {0}cmp_alert(key, kind, level, message, next_step, fields, opened_at, updated_at, closed_at)"
        f" VALUES ('{key}', 'stale', 'warning', 'm', 'n', '{{{{}}}}', '2020-01-01T00:00:00Z', '2020-01-01T00:00:00Z',"
        f" {closed_at})",
    )


async def test_every_kind_goes_when_it_is_old_and_over(store: LedgerStore, clock: FakeClock) -> None:
    """An alert that is open and a process that is alive stay, however long ago they began."""
    await a_run(store, "sale.order")
    now = instant_text(clock.now())
    an_alert(store, "closed", f"'{now}'")
    an_alert(store, "open", "NULL")
    for name, ended in (("gone", "NULL"), ("ended", f"'{now}'")):
        put(store, f"INSERT INTO {{0}}cmp_instance VALUES ('{name}', 'web', '1', '{now}', '{now}', {ended})")
    await store.forget(clock.now() - DAY)
    before = count(store)
    clock.advance(DAY + DAY)
    later = instant_text(clock.now())
    put(store, f"INSERT INTO {{0}}cmp_instance VALUES ('alive', 'web', '1', '{now}', '{later}', NULL)")
    await a_run(store, "res.partner")
    await store.forget(clock.now() - DAY)

    assert (before["cmp_run"], before["cmp_log"], before["cmp_alert"], before["cmp_instance"]) == (1, 2, 2, 2)
    after = count(store)
    assert (after["cmp_run"], after["cmp_log"], after["cmp_alert"], after["cmp_instance"]) == (1, 2, 1, 1)


async def test_a_portion_is_bounded_and_the_next_goes_on(
    store: LedgerStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No writer waits for a year's history; nothing to forget is no write."""
    monkeypatch.setattr(retention, "FORGOTTEN_MAX", 2)
    for number in range(5):
        await a_run(store, f"stream.{number}")
        an_alert(store, str(number), f"'{instant_text(clock.now())}'")
    clock.advance(DAY)
    left = []
    for _ in range(4):
        await store.forget(clock.now())
        found = count(store)
        left.append((found["cmp_run"], found["cmp_alert"]))

    assert left == [(3, 3), (1, 1), (0, 0), (0, 0)]
    assert await LedgerInbox(store._database).due() == []
