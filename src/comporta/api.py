"""The Python entry point: one blocking call for scripts and notebooks.

It reads the same comporta.toml as the command line, in this process, and ends like ``comporta sync``:
the returned runs say how each stream ended. Errors of settings are raised; errors of runs are in the
runs. Where an event loop runs already, as in a notebook, the work is done in a thread of its own, which
is waited for: that loop does nothing meanwhile.
"""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from comporta.bootstrap.workspaces import open_workspace
from comporta.core.asked import Asked, request_for
from comporta.core.run import Run
from comporta.errors import WrongUse
from comporta.ports.system_clock import SystemClock
from comporta.settings.reading import read_settings


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
    now = SystemClock().now()
    start = now - since if isinstance(since, timedelta) else since
    _refuse_naive(since=start, until=until)
    request = request_for(Asked(start, until, full, max_records=max_records), now=now)
    settings = read_settings(Path(config) if config is not None else None)

    async def work() -> list[Run]:
        async with open_workspace(settings) as workspace:
            return await workspace.sync(names, request=request, dry_run=dry_run, wait=wait)

    return _finished(work())


def _refuse_naive(**instants: datetime | None) -> None:
    for name, instant in instants.items():
        if instant is not None and instant.tzinfo is None:
            message = f"{name} is {instant!r}, without a time zone; expected an aware datetime"
            raise WrongUse(message)


def _finished(work: Coroutine[Any, Any, list[Run]]) -> list[Run]:
    """Run to the end, beside the loop of this thread if it has one."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1, "comporta") as threads:
        return threads.submit(asyncio.run, work).result()
