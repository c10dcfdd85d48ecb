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
    from comporta.cli.scrape import Scrape
    from comporta.coordination.mailbox import Mailbox
    from comporta.web.server import Server
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
    from comporta.cli.scrape import Scrape, watch_loop
    from comporta.coordination.measured import Measured
    from comporta.observability.log import open_log
    from comporta.observability.metrics import Metrics

    console = Console(is_json=as_json, is_verbose=verbose)
    settings = read_settings(config)
    level = read_log_level(is_verbose=verbose) or LOG_LEVEL
    log = open_log(level)
    chosen = (host or settings.host, settings.port if port is None else port)

    metrics = Metrics()
    measured = Measured(metrics)

    async def work(workspace: "Workspace") -> None:
        deliveries = workspace.deliveries(log)
        mailbox = workspace.mailbox(deliveries)
        scrape = Scrape(workspace, metrics, measured)
        server = None if no_web else opened(workspace, mailbox, scrape, *chosen)
        url = server.url if server else None
        log.write("info", "server_started", {"url": url})
        console.document({"ok": True, "server": {"url": url}})
        console.say(f"Listening at {url}. Ctrl-C ends it." if url else "At work, listening nowhere. Ctrl-C ends it.")
        async with asyncio.TaskGroup() as group:
            alive = supervisor().watch(workspace.look, stopping=workspace.stopping, clock=workspace.clock)
            for each in (deliveries.run(), watch_loop(metrics, workspace), alive):
                group.create_task(each)
            if server is not None:
                group.create_task(server.run())
                group.create_task(stopped(workspace, server))
        await mailbox.aclose()
        log.write("info", "server_stopped", {"url": url})

    with_workspace(settings, work, console=console, observer=measured, hand_over=True, log_level=level, meter=metrics)
    return ExitCode.DONE


async def stopped(workspace: "Workspace", server: "Server") -> None:
    """Stop the server when the workspace is told to stop."""
    await workspace.stopping.wait()
    server.stop()


def opened(workspace: "Workspace", mailbox: "Mailbox", scrape: "Scrape", host: str, port: int) -> "Server":
    """Return the server, listening."""
    from comporta.source_kinds import HOOKS
    from comporta.web.app import Doors, make_app
    from comporta.web.server import Server

    hooks = {source: hook.read for source, hook in HOOKS.items()}
    doors = Doors(hooks, mailbox.post, workspace.look, scrape.text, scrape.metrics)
    return Server(make_app(doors), host=host, port=port)
