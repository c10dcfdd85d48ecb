"""The Python entry point: one blocking call for scripts and notebooks.

It reads the same comporta.toml as the command line, in this process and thread, and ends like
``comporta sync``: the returned runs say how each stream ended. Errors of settings are raised; errors of
runs are in the runs.
"""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

from comporta.bootstrap import open_workspace
from comporta.core.run import Run
from comporta.core.window import Kind, Request
from comporta.errors import WrongUse
from comporta.ports.system_clock import SystemClock
from comporta.settings import read_settings


def sync(
    *names: str,
    since: datetime | timedelta | None = None,
    until: datetime | None = None,
    full: bool = False,
    dry_run: bool = False,
    max_records: int | None = None,
    wait: bool = False,
    config: str | Path | None = None,
) -> list[Run]:
    """Bring accounts or streams ("matriz", "matriz/sale.order") up to date now; no name means everything.

    ``since`` is an aware instant, or a duration back from now. Returns every run, failed attempts too.
    """
    request = _request(since, until, full=full, max_records=max_records)
    settings = read_settings(Path(config) if config is not None else None)

    async def work() -> list[Run]:
        async with open_workspace(settings) as workspace:
            return await workspace.sync(names, request=request, dry_run=dry_run, wait=wait)

    return asyncio.run(work())


def _request(
    since: datetime | timedelta | None, until: datetime | None, *, full: bool, max_records: int | None
) -> Request:
    if full and (since is not None or until is not None):
        raise WrongUse("full reads everything; it does not go together with since or until")
    for name, instant in (("since", since), ("until", until)):
        if isinstance(instant, datetime) and instant.tzinfo is None:
            message = f"{name} is {instant!r}, without a time zone; expected an aware datetime"
            raise WrongUse(message)
    if full:
        return Request(Kind.FULL, max_records=max_records)
    if since is None and until is None:
        return Request(max_records=max_records)
    start = SystemClock().now() - since if isinstance(since, timedelta) else since
    return Request(Kind.MANUAL, start, until, max_records)
