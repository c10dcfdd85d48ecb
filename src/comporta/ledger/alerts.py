"""The book of alerts in the ledger: opened, changed, closed and claimed in one transaction for each look.

The rows are read and written in the same write transaction, locked on PostgreSQL, so two processes settle one after
the other; and a claim is written only where the row still says what was read (``claim_alert``), which would also
hold if they did not.
"""
# ruff: noqa: D102  ports.alerts.AlertBook says what each method promises

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from comporta.core.alert import Alert, Wanted
from comporta.core.alert_settling import QuietHours, Settled, claimed, confirmed, given_back, settle, to_tell
from comporta.ledger.alert_rows import alert_from, values_of
from comporta.ledger.alert_sight import sight_of
from comporta.ledger.rows import text_of
from comporta.ledger.session import Database, Session
from comporta.ports.alerts import Settlement, Sight

T = TypeVar("T")


class LedgerAlerts:
    """Implements ``ports.alerts.AlertBook`` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # One thread of its own: a look at a database that hangs keeps no other part of the process waiting.
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="comporta-alerts")

    async def look(self, known: Mapping[str, str], scopes: Sequence[str], *, depth: int) -> Sight:
        return await self._read(lambda session: sight_of(session, known, scopes, depth=depth))

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
        def work(session: Session) -> Settlement:
            known = [alert_from(row) for row in session.all("alerts_at_hand", {})]
            settled = settle(known, wanted, session.now, told=told, keeps=keeps, over_after=over_after)
            settlement = put_settled(session, settled)
            return replace(settlement, claimed=claim(session, quiet) if is_telling else ())

        return await self._write(work)

    async def confirm(self, claimed: Sequence[Alert], *, is_told: bool) -> None:
        def work(session: Session) -> None:
            for each in claimed:
                _claim(session, each, confirmed(each) if is_told else given_back(each))

        await self._write(work)

    async def alerts(self, *, is_all: bool = False) -> Sequence[Alert]:
        name = "alerts" if is_all else "open_alerts"
        return await self._read(lambda session: [alert_from(row) for row in session.all(name, {})])

    async def mute(self, key: str, until: datetime | None) -> Alert | None:
        def work(session: Session) -> Alert | None:
            row = session.one("mute_alert", {"key": key, "muted_until": text_of(until)})
            return alert_from(row) if row else None

        return await self._write(work)

    async def _write(self, work: Callable[[Session], T]) -> T:
        return await asyncio.wrap_future(self._database.write(work))

    async def _read(self, work: Callable[[Session], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._reader, self._database.read, work)


def put_settled(session: Session, settled: Settled) -> Settlement:
    """Write what a look changes; what another process opened meanwhile is not opened again."""
    opened = [each for each in settled.opened if session.run("open_alert", values_of(each))]
    for each in (*settled.updated, *settled.closed):
        session.run("change_alert", values_of(each))
    return Settlement(opened, settled.updated, settled.closed)


def claim(session: Session, quiet: QuietHours | None) -> Sequence[Alert]:
    """Claim what is to be told, and return it."""
    rows = [alert_from(row) for row in session.all("alerts_at_hand", {})]
    claims = [(row, claimed(row, session.now)) for row in to_tell(rows, session.now, quiet)]
    return [after for before, after in claims if _claim(session, before, after)]


def _claim(session: Session, before: Alert, after: Alert) -> bool:
    """Write who tells an alert, if the row still says what it said before."""
    was = {"was_told_at": text_of(before.told_at), "was_told_closed_at": text_of(before.told_closed_at)}
    return session.run("claim_alert", {**values_of(after), **was}) == 1
