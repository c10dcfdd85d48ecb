"""What ``comporta check`` says of an Odoo account: server, login, clock, and every stream.

It finds and tells; it raises for nothing that a person could mend.
"""

from collections.abc import Sequence
from contextlib import aclosing
from typing import Protocol

from comporta.errors import ComportaError
from comporta.ports.clock import Clock
from comporta.ports.progress import Progress
from comporta.ports.source import Finding, StreamRequest
from comporta.sources.found import failed, found_clock
from comporta.sources.odoo_config import OdooConfig
from comporta.sources.odoo_reader import OdooReader
from comporta.sources.odoo_session import OdooSession


class Account(Protocol):
    """An account as it is checked."""

    config: OdooConfig

    async def session(self, progress: Progress) -> OdooSession:
        """Return the login."""

    async def read(self, request: StreamRequest, progress: Progress) -> OdooReader:
        """Return a stream's reader."""


async def check_account(account: Account, requests: Sequence[StreamRequest], clock: Clock) -> list[Finding]:
    """Return one finding for each thing tried; without a login nothing further is."""
    progress = Progress(clock)
    try:
        session = await account.session(progress)
    except ComportaError as error:
        return [failed("login", error)]
    protocol = session.dialect.name
    findings = [
        Finding(
            "login",
            ok=True,
            message=f"Odoo {session.version} at {account.config.shown_url}, user {session.uid} over {protocol}",
            details={"version": session.version, "protocol": protocol, "user": session.uid},
        ),
        await _clock(session, progress, clock),
    ]
    return [*findings, *[await _stream(account, request, progress) for request in requests]]


async def _clock(session: OdooSession, progress: Progress, clock: Clock) -> Finding:
    try:
        there = await session.time(progress)
    except ComportaError as error:
        return failed("clock", error)
    return found_clock(there, clock.now(), look="both")


async def _stream(account: Account, request: StreamRequest, progress: Progress) -> Finding:
    try:
        reader = await account.read(request, progress)
        count = await reader.count(since=None, until=None)
        async with aclosing(reader.pages(since=None, until=None, after=None, limit=1)) as pages:
            await anext(pages)
    except ComportaError as error:
        return failed(request.stream, error)
    message = f"{count} records, {len(reader.shape.columns)} columns"
    details = {"records": count, "columns": len(reader.shape.columns), "stamp": reader.shape.stamp}
    return Finding(request.stream, ok=True, message=message, details=details)
