"""Opening the workspace for one command, and handing over what runs when the process is told to end.

The first signal asks the workspace to stop after its current batch; the second ends the process at once.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, TypeVar

from comporta.cli.console import Console
from comporta.core.outcome import ExitCode
from comporta.observability.meter import UNMEASURED, Meter
from comporta.settings import read_log_level, read_settings
from comporta.settings_tree import Settings

if TYPE_CHECKING:
    from comporta.ports.events import Observer
    from comporta.workspace import Workspace

SIGNALS = ("SIGINT", "SIGTERM", "SIGBREAK")
T = TypeVar("T")


def with_workspace(
    settings: "Settings | Path | None",
    work: "Callable[[Workspace], Awaitable[T]]",
    *,
    console: Console,
    observer: "Observer | None" = None,
    hand_over: bool = False,
    on_stop: Callable[[], None] = lambda: None,
    log_level: str | None = None,
    meter: Meter = UNMEASURED,
) -> T:
    """Open the workspace, do the work in it and return its result.

    ``hand_over``: the first signal asks the workspace to stop, and then calls ``on_stop``. ``log_level`` is from where
    on the log is shown, whatever was asked for.
    """
    from comporta.bootstrap import open_workspace
    from comporta.cli.journal import journalled

    known = settings if isinstance(settings, Settings) else read_settings(settings)
    watcher = journalled(observer, log_level or read_log_level(is_verbose=console.is_verbose))

    async def go() -> T:
        async with open_workspace(known, observer=watcher, meter=meter) as workspace:
            if not hand_over:
                return await work(workspace)
            with _handing_over((workspace.stop, on_stop), console):
                return await work(workspace)

    return asyncio.run(go())


@contextmanager
def _handing_over(stops: Sequence[Callable[[], None]], console: Console) -> Iterator[None]:
    """Turn the first signal into ``stops``, the second into an end at once; restore what was before."""
    told: list[int] = []

    def on_signal(number: int, _: FrameType | None) -> None:
        if told:
            os._exit(ExitCode.FAILED)
        told.append(number)
        console.tell("Stopping after the current batch; once more to stop at once.")
        for stop in stops:
            stop()

    numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
