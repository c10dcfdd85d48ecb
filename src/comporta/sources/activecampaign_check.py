"""What ``comporta check`` says of an ActiveCampaign account: key, clock, and every stream.

It finds and tells; it raises for nothing that a person could mend.
"""

from collections.abc import Sequence
from typing import Protocol

from comporta.errors import ComportaError
from comporta.ports.clock import Clock
from comporta.ports.progress import Progress
from comporta.ports.source import Finding, StreamRequest
from comporta.sources.activecampaign_reader import ActiveCampaignReader
from comporta.sources.activecampaign_session import ActiveCampaignSession
from comporta.sources.found import failed, found_clock


class Account(Protocol):
    """An account as it is checked."""

    session: ActiveCampaignSession

    async def read(self, request: StreamRequest, progress: Progress) -> ActiveCampaignReader:
        """Return a stream's reader."""


async def check_account(account: Account, requests: Sequence[StreamRequest], clock: Clock) -> list[Finding]:
    """Return one finding for each thing tried; with a refused key nothing further is."""
    progress = Progress(clock)
    config = account.session.config
    try:
        there = await account.session.login(progress)
    except ComportaError as error:
        return [failed("key", error)]
    findings = [
        Finding("key", ok=True, message=f"ActiveCampaign at {config.shown_url} accepts the key"),
        found_clock(there, clock.now()),
    ]
    return [*findings, *[await _stream(account, request, progress) for request in requests]]


async def _stream(account: Account, request: StreamRequest, progress: Progress) -> Finding:
    """Read the first page: it takes the right to, and its total says how much there is."""
    try:
        reader = await account.read(request, progress)
        count = await reader.count(since=None, until=None)
    except ComportaError as error:
        return failed(request.stream, error)
    counted = "readable, without a total" if count is None else f"{count} records"
    details = {"records": count, "columns": len(reader.shape.columns), "stamp": reader.shape.stamp}
    message = f"{counted}, {len(reader.shape.columns)} columns"
    return Finding(request.stream, ok=True, message=message, details=details)
