"""`comporta serve`: listen for notifications, and look at what they tell of, until told to end.

Its first form: a scheduler, an API of runs and pages come with later releases. The first signal ends the server,
hands over what runs and exits; the second ends the process at once.
"""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from comporta.cli.console import Console
from comporta.cli.options import Config, Json, Verbose
from comporta.cli.session import with_workspace
from comporta.cli.supervised import supervisor
from comporta.core.outcome import ExitCode
from comporta.settings import read_log_level, read_settings

if TYPE_CHECKING:
    from comporta.workspace import Workspace

LOG_LEVEL = "info"
"""A server has nobody who watches: its log is what it says."""


def serve(
    *,
    host: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Where to listen, on loopback.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, metavar="P", help="0 takes a free one.")] = None,
    no_web: Annotated[bool, typer.Option("--no-web", help="Listen nowhere; look at what was kept.")] = False,
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Listen for notifications of sources, and fetch what they tell of. Ctrl-C ends it."""
    from comporta.cli.front import Watch, open_front
    from comporta.cli.scrape import watch_loop
    from comporta.observability.log import open_log

    console = Console(is_json=as_json, is_verbose=verbose)
    settings = read_settings(config)
    level = read_log_level(is_verbose=verbose) or LOG_LEVEL
    log = open_log(level)
    at = (host or settings.host, settings.port if port is None else port)
    watch = Watch()

    async def work(workspace: "Workspace") -> None:
        deliveries = workspace.deliveries(log)
        mailbox = workspace.mailbox(deliveries)
        front = None if no_web else open_front(workspace, watch, mailbox, at)
        url = front.url if front else None
        log.write("info", "server_started", {"url": url})
        console.document({"ok": True, "server": {"url": url}})
        console.say(f"Listening at {url}. Ctrl-C ends it." if url else "At work, listening nowhere. Ctrl-C ends it.")
        async with asyncio.TaskGroup() as group:
            alive = supervisor().watch(workspace.look, stopping=workspace.stopping, clock=workspace.clock)
            for each in (deliveries.run(), watch_loop(watch.metrics, workspace), alive):
                group.create_task(each)
            if front is not None:
                group.create_task(front.run())
        await mailbox.aclose()
        log.write("info", "server_stopped", {"url": url})

    with_workspace(
        settings,
        work,
        console=console,
        observer=watch.watchers,
        hand_over=True,
        log_level=level,
        meter=watch.metrics,
    )
    return ExitCode.DONE
