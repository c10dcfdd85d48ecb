"""Opening the workspace for one command, and handing over what runs when the process is told to end.

The first signal asks the workspace to stop after its current batch; the second ends the process at once, and so does
the deadline that begins with the first (cli.ending).
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import TYPE_CHECKING, TypeVar

from comporta.cli.console import Console
from comporta.cli.ending import DEADLINE_S, Deadline
from comporta.core.outcome import ExitCode
from comporta.observability.meter import UNMEASURED, Meter
from comporta.observability.unhurried import write_the_last
from comporta.settings.reading import read_log_level, read_settings
from comporta.settings.tree import Settings

if TYPE_CHECKING:
    from comporta.ports.events import Observer
    from comporta.workspace.workspace import Workspace

SIGNALS = ("SIGINT", "SIGTERM", "SIGBREAK")
T = TypeVar("T")


def with_workspace(
    settings: "Settings | Path | None",
    work: "Callable[[Workspace], Awaitable[T]]",
    *,
    console: Console,
    observer: "Observer | None" = None,
    hand_over: bool = False,
    log_level: str | None = None,
    meter: Meter = UNMEASURED,
) -> T:
    """Open the workspace, do the work in it and return its result.

    ``hand_over``: the first signal asks the workspace to stop. ``log_level`` is from where on the log is shown,
    whatever was asked for.
    """
    from comporta.bootstrap.workspaces import open_workspace
    from comporta.cli.journal import journalled

    known = settings if isinstance(settings, Settings) else read_settings(settings)
    watcher = journalled(observer, log_level or read_log_level(is_verbose=console.is_verbose))

    opened: list[Workspace] = []
    deadline = Deadline(is_needed=lambda: any(each.is_renewing() for each in opened), end=lambda: _give_up(console))

    async def go() -> T:
        async with open_workspace(known, observer=watcher, meter=meter) as workspace:
            if not hand_over:
                return await work(workspace)
            opened.append(workspace)
            with _handing_over((workspace.stop, deadline.begin), console):
                return await work(workspace)

    try:
        return asyncio.run(go())
    finally:
        deadline.call_off()


def read_workspace(
    settings: "Settings | Path | None", work: "Callable[[Workspace], Awaitable[T]]", *, console: Console
) -> T:
    """Do work that only reads. Where there is no database yet none is made, and people hear what to do.

    The work finds an empty one then, which is gone afterwards: so it says of nothing what it always says.
    """
    from comporta.bootstrap.databases import has_ledger

    known = settings if isinstance(settings, Settings) else read_settings(settings)
    if has_ledger(known):
        return with_workspace(known, work, console=console)
    console.tell(f"No database yet at {known.database_shown}; none was made.\n  Next: {first_step(known)}")
    with TemporaryDirectory(prefix="comporta-") as folder:
        empty = replace(known, database=f"sqlite:///{Path(folder).as_posix()}/comporta.db")
        return with_workspace(empty, work, console=console)


def first_step(known: Settings) -> str:
    """Say how to come to a first account, or to a first sync of those that are there."""
    if known.said:
        return "`comporta check`, then `comporta sync`."
    if known.path is not None:
        return f"`comporta connect SOURCE NAME`, or write an account into {known.path}."
    here = "or call this in the folder of comporta.toml, or with --config FILE"
    return f"`comporta init`, or `comporta connect SOURCE NAME`; {here}."


def _give_up(console: Console) -> None:
    """End the process at once, and say so."""
    console.tell(
        f"Ended {DEADLINE_S:g} s after it was told to, before all was handed over: the database takes no writes, or"
        " does not answer. What still says that it is running is taken up when its lease has run out."
    )
    write_the_last()
    os._exit(ExitCode.FAILED)


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
