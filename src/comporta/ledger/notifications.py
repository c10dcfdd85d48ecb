"""Notifications in the ledger: one row for each resource, and their way into hints.

``keep`` is on the path of the answer to whoever sends, so it is one statement for all that came together; what was
answered is never sent again, so it is on the disk by then, whatever other writes may leave to the next moment.
``hand_over`` locks what it takes: told again meanwhile, a notification waits until that transaction ends, and
waits anew.
"""
# ruff: noqa: D102  ports.notifications.Inbox says what each method promises

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from comporta.core.hint import POSTPONED_MAX, UNDATED
from comporta.core.notification import Notification, later, merged
from comporta.ledger.pauses import pauses
from comporta.ledger.rows import instant_from, text_of
from comporta.ledger.session import Database, Row, Session, settled
from comporta.ports.notifications import Point

PORTION = 1_000
"""Notifications of one user that are handed over in one transaction."""
Hints = dict[tuple[str, str], datetime | None]
"""When each record was told of, by scope and key."""
T = TypeVar("T")


class LedgerInbox:
    """Implements ``ports.notifications.Inbox`` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, told: Sequence[Notification]) -> None:
        await self._write(lambda session: put_notifications(session, told), is_awaited=True)

    async def hand_over(self, source: str, streams: Mapping[str, Collection[str]], point: Point) -> int:
        if not await asyncio.to_thread(self._database.read, lambda session: has_waiting(session, source)):
            return 0
        return await self._write(lambda session: hand_over(session, source, streams, point))

    async def due(self) -> Sequence[str]:
        return await asyncio.to_thread(self._database.read, due_scopes)

    async def paused(self) -> Collection[str]:
        return await asyncio.to_thread(self._database.read, pauses)

    async def _write(self, work: Callable[[Session], T], *, is_awaited: bool = False) -> T:
        """Write; done twice, because the answer to COMMIT was lost, it is as good as once.

        ``is_awaited``: somebody waits for it, and relies on it.
        """
        write = self._database.write
        return await settled(lambda: asyncio.wrap_future(write(work, is_durable=is_awaited, is_brief=is_awaited)))


def put_notifications(session: Session, told: Sequence[Notification]) -> None:
    """Keep notifications; those of one resource are one row."""
    session.each("put_notification", [_values(each, session.now) for each in merged(told, session.now)])


def has_waiting(session: Session, source: str) -> bool:
    """Say whether anything waits that an account could look at."""
    row = session.one("has_waiting_notifications", {"source": source})
    return bool(row and row["found"])


def hand_over(session: Session, source: str, streams: Mapping[str, Collection[str]], point: Point) -> int:
    """Make hints of what waits for the users of accounts; return how many notifications were looked at."""
    hints: Hints = {}
    states: list[dict[str, object]] = []
    for user_id, accounts in sorted(_users(session, streams).items()):
        values = {"source": source, "user_id": user_id, "limit": PORTION}
        for row in session.all("waiting_notifications", values):
            key = {"source": source, "user_id": user_id, "topic": row["topic"], "resource": row["resource"]}
            scopes = _point(hints, row, point, {name: streams[name] for name in accounts})
            states.append(key | {"state": "handed" if scopes else "kept"})
    told = {place: text_of(at or UNDATED) for place, at in hints.items()}
    session.each("hint", [{"scope": scope, "parent": key, "told_at": told[scope, key]} for scope, key in sorted(hints)])
    session.each("notification_state", states)
    return len(states)


def due_scopes(session: Session) -> list[str]:
    """Return where there is something to look at now."""
    instants = {"now": text_of(session.now), "never": text_of(session.now + POSTPONED_MAX)}
    return [row["scope"] for row in session.all("due_scopes", instants)]


def _users(session: Session, streams: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    """Return the accounts of every user, of those accounts that are asked for."""
    users: dict[str, list[str]] = {}
    for row in session.all("login_users", {}):
        if row["account"] in streams:
            users.setdefault(row["user_id"], []).append(row["account"])
    return users


def _point(hints: Hints, row: Row, point: Point, streams: Mapping[str, Collection[str]]) -> Sequence[str]:
    """Add the hints of one notification; return the scopes that got one."""
    pointer = point(row["topic"], row["resource"])
    if pointer is None:
        return []
    scopes = [f"{account}/{pointer.stream}" for account, known in streams.items() if pointer.stream in known]
    sent_at = instant_from(row["sent_at"])
    for scope in scopes:
        place = (scope, pointer.key)
        hints[place] = later(hints[place], sent_at) if place in hints else sent_at
    return scopes


def _values(told: Notification, now: datetime) -> dict[str, object]:
    return {
        "source": told.source,
        "user_id": told.user_id,
        "topic": told.topic,
        "resource": told.resource,
        "application_id": told.application_id,
        "sent_at": text_of(told.sent_at),
        "now": text_of(now),
        "times": told.times,
    }
