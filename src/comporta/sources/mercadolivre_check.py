"""What ``comporta check`` says of a Mercado Livre account: login, clock, and every stream.

It finds and tells; it raises for nothing that a person could mend.
"""

from collections.abc import Sequence
from typing import Protocol

from comporta.errors import ComportaError
from comporta.ports.clock import Clock
from comporta.ports.progress import Progress
from comporta.ports.source import Finding, Reader, StreamRequest
from comporta.sources.found import failed, found_clock
from comporta.sources.mercadolivre_session import MercadoLivreSession


class Account(Protocol):
    """An account as it is checked."""

    session: MercadoLivreSession

    async def read(self, request: StreamRequest, progress: Progress) -> Reader:
        """Return a stream's reader."""


async def check_account(account: Account, requests: Sequence[StreamRequest], clock: Clock) -> list[Finding]:
    """Return one finding for each thing tried; without a login nothing further is."""
    progress = Progress(clock)
    session = account.session
    try:
        there = await session.look(progress)
        seller = await session.user_id(progress)
    except ComportaError as error:
        return [failed("login", error)]
    findings = [
        Finding("login", ok=True, message=f"{session.config.shown_url} accepts us as seller {seller}"),
        found_clock(there, clock.now()),
    ]
    return [*findings, *[await _stream(account, request, progress) for request in requests]]


async def _stream(account: Account, request: StreamRequest, progress: Progress) -> Finding:
    """Count what there is: it takes the right to read it. What orders refer to cannot be counted."""
    try:
        reader = await account.read(request, progress)
        count = await reader.count(since=None, until=None)
    except ComportaError as error:
        return failed(request.stream, error)
    parents = reader.shape.parent_stream
    counted = f"{count} records" if count is not None else f"read as {parents} refer to it" if parents else "readable"
    details = {"records": count, "columns": len(reader.shape.columns), "stamp": reader.shape.stamp}
    message = f"{counted}, {len(reader.shape.columns)} columns"
    return Finding(request.stream, ok=True, message=message, details=details)
