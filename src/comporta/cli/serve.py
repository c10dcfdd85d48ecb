"""`comporta serve` and `comporta worker`: schedule, execute and listen, until told to end.

Several processes may share one database, each with all roles or with some. The first signal ends the server, hands
over what runs and exits; the second ends the process at once.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from comporta.cli.console import Console
from comporta.cli.options import Config, Json, Verbose
from comporta.cli.session import first_step, with_workspace
from comporta.cli.supervised import supervisor
from comporta.core.outcome import ExitCode
from comporta.errors import WrongUse
from comporta.settings.reading import read_log_level, read_settings
from comporta.settings.tree import Settings

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from comporta.cli.front import Front, Watch
    from comporta.coordination.mailbox import Mailbox
    from comporta.observability.log import Log
    from comporta.observability.meter import Meter
    from comporta.ports.events import Observer
    from comporta.workspace.workspace import Workspace


class Role(StrEnum):
    """What one process does."""

    WEB = "web"
    SCHEDULER = "scheduler"
    WORKERS = "workers"


LOG_LEVEL = "info"
"""A server has nobody who watches: its log is what it says."""
MetricsPort = Annotated[
    int | None,
    typer.Option(
        "--metrics-port", min=0, max=65_535, metavar="P", help="Let monitors look at /metrics and /health there."
    ),
]


def greet(console: Console, server: Mapping[str, object]) -> None:
    """Say that the server is at work, and where."""
    console.document({"ok": True, "server": server})
    if server["url"]:
        console.say(f"Listening at {server['url']}. Ctrl-C ends it.")
    elif server["metrics_url"]:
        console.say(f"At work; metrics at {server['metrics_url']}. Ctrl-C ends it.")
    else:
        console.say("At work, listening nowhere. Ctrl-C ends it.")


@dataclass(frozen=True, slots=True)
class Duty:
    """What one process does until it is told to end, who watches its runs, and what it says when it has begun.

    ``address`` is where it listens: to everybody, or to monitors only where the web is not its role. ``level`` is from
    where on its log is shown, unless somebody asks for another.
    """

    roles: frozenset[Role]
    address: tuple[str, int] | None = None
    at_once: bool = False
    level: str = LOG_LEVEL
    observers: "Sequence[Observer]" = ()
    greet: Callable[[Console, Mapping[str, object]], None] = greet


def serve(
    *,
    host: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Where to listen, on loopback.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, metavar="P", help="0 takes a free one.")] = None,
    no_web: Annotated[bool, typer.Option("--no-web", help="Listen nowhere.")] = False,
    no_scheduler: Annotated[bool, typer.Option("--no-scheduler", help="Schedule nothing; another one does.")] = False,
    no_workers: Annotated[bool, typer.Option("--no-workers", help="Execute nothing; `comporta worker` does.")] = False,
    metrics_port: MetricsPort = None,
    run_now: Annotated[bool, typer.Option("--run-now", help="Begin with a run of every stream.")] = False,
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Keep everything up to date: schedule, execute, listen for notifications. Ctrl-C ends it."""
    console = Console(is_json=as_json, is_verbose=verbose)
    settings = read_settings(config)
    left_out = {Role.WEB: no_web, Role.SCHEDULER: no_scheduler, Role.WORKERS: no_workers}
    roles = frozenset(role for role, is_left_out in left_out.items() if not is_left_out)
    if not roles:
        raise WrongUse("serve: --no-web, --no-scheduler and --no-workers leave nothing to do; expected at most two")
    if metrics_port is not None and not no_web:
        raise WrongUse("serve: --metrics-port is for --no-web; without that, /metrics is at --port")
    if host is not None and no_web and metrics_port is None:
        raise WrongUse("serve: --host is where to listen, and with --no-web that takes --metrics-port; expected both")
    if port is not None and no_web:
        raise WrongUse("serve: --port is where the web listens, and with --no-web nothing does but --metrics-port")
    if run_now and no_scheduler:
        raise WrongUse("serve: --run-now is for the scheduler, and with --no-scheduler there is none")
    listening = metrics_port if no_web else settings.port if port is None else port
    address = None if listening is None else (host or settings.host, listening)
    return be_always_on(console, settings, Duty(roles, address, at_once=run_now))


def worker(
    *,
    host: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Where --metrics-port is, on loopback.")] = None,
    metrics_port: MetricsPort = None,
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Execute what is due, beside others on the same database. Ctrl-C ends it."""
    console = Console(is_json=as_json, is_verbose=verbose)
    settings = read_settings(config)
    if host is not None and metrics_port is None:
        raise WrongUse("worker: --host is where --metrics-port is, and none was given; expected both")
    address = None if metrics_port is None else (host or settings.host, metrics_port)
    return be_always_on(console, settings, Duty(frozenset({Role.WORKERS}), address))


def be_always_on(console: Console, settings: Settings, duty: Duty) -> int:
    """Do one's duty until told to end."""
    from comporta.cli.front import Watch
    from comporta.cli.scrape import watch_loop

    watch = Watch()
    for each in duty.observers:
        watch.watchers.add(each)
    level = read_log_level(is_verbose=console.is_verbose) or duty.level
    log = open_server_log(level, watch.metrics)
    roles = duty.roles

    async def work(workspace: "Workspace") -> None:
        deliveries = workspace.deliveries(log)
        mailbox = workspace.mailbox(deliveries)
        front = opened_front(workspace, watch, mailbox, duty)
        url = front.url if front and Role.WEB in roles else None
        server = {"url": url, "metrics_url": f"{front.url}/metrics" if front else None, "roles": sorted(roles)}
        log.write("info", "server_started", server)
        if not workspace.plans:
            console.tell(f"No account yet: nothing is synced.\n  Next: {first_step(settings)}")
        duty.greet(console, server)
        alive = supervisor().watch(workspace.look, stopping=workspace.stopping, clock=workspace.clock)
        parts = [
            alive,
            workspace.pulse(roles, log),
            watch_loop(watch.metrics, workspace),
            on_watch(workspace, log),
            workspace.newcomers(log),
        ]
        if Role.WORKERS in roles:
            parts += [deliveries.run(), workspace.dispatcher(log).run()]
        if Role.SCHEDULER in roles:
            parts.append(workspace.scheduler(log).run(at_once=duty.at_once))
        if front is not None:
            parts.append(front.run())
        await together(parts, stop=workspace.stop)
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


def opened_front(workspace: "Workspace", watch: "Watch", mailbox: "Mailbox", duty: Duty) -> "Front | None":
    """Listen as one's duty is; ``None`` where it is not."""
    from comporta.cli.front import open_front, open_lookout

    if duty.address is None:
        return None
    if Role.WEB in duty.roles:
        return open_front(workspace, watch, mailbox, duty.address)
    return open_lookout(workspace, watch, duty.address)


def open_server_log(level: str, meter: "Meter") -> "Log":
    """Return the log from a level on; whatever this process says on standard error waits for no reader from now on.

    What libraries say is in it, once for the process.
    """
    import logging

    from comporta.observability.log import Foreign, open_log
    from comporta.observability.unhurried import hurry_nobody

    hurry_nobody(
        dropped=lambda lines: meter.count("comporta_log_lines_dropped_total", lines),
        told=lambda lines: log.write("warning", "log_lines_dropped", {"lines": lines}),
    )
    log = open_log(level)
    logging.basicConfig(format="%(message)s", handlers=[Foreign(log)])
    return log


async def together(parts: "Sequence[Coroutine[Any, Any, None]]", *, stop: Callable[[], None]) -> None:
    """Let all parts work until they end. When one breaks, all end, and what broke is raised.

    A server that goes on without its scheduler or its workers would look well and do nothing; a process that ended is
    started anew by whoever watches over it.
    """

    async def watched(part: "Coroutine[Any, Any, None]") -> None:
        try:
            await part
        except BaseException:
            stop()
            raise

    ended = await asyncio.gather(*(watched(part) for part in parts), return_exceptions=True)
    broken = [each for each in ended if isinstance(each, BaseException)]
    if broken:
        raise broken[0]


async def on_watch(workspace: "Workspace", log: "Log") -> None:
    """Look for what people should be told of, until the workspace is told to stop."""
    from comporta.workspace.alarms import watch_of

    await watch_of(workspace, log).run(workspace.stopping)
