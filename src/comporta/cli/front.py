"""What `comporta serve` shows to the outside: the server, and the streams of events that end before it.

A server that is told to stop waits for what is open; a stream of events is open for as long as nobody ends it.
"""

import asyncio
from dataclasses import dataclass, field

from comporta.bootstrap.source_kinds import HOOKS
from comporta.cli.scrape import Scrape
from comporta.coordination.mailbox import Mailbox
from comporta.coordination.measured import Measured
from comporta.coordination.watchers import Watchers
from comporta.core.notification import Notification
from comporta.observability.metrics import Metrics
from comporta.web.app import make_app
from comporta.web.broadcast import Broadcast
from comporta.web.doors import Doors
from comporta.web.server import Server
from comporta.workspace.reception import WorkspaceReception
from comporta.workspace.workspace import Workspace


@dataclass(slots=True)
class Watch:
    """Who watches the runs of this process: the metrics, and whoever is added."""

    metrics: Metrics = field(default_factory=Metrics)
    measured: Measured = field(init=False)
    watchers: Watchers = field(init=False)

    def __post_init__(self) -> None:
        self.measured = Measured(self.metrics)
        self.watchers = Watchers(self.measured)


@dataclass(frozen=True, slots=True)
class Front:
    """A server that takes connections already, and answers them in ``run``."""

    server: Server
    stopping: asyncio.Event
    broadcast: Broadcast | None = None

    @property
    def url(self) -> str:
        """Return where it listens."""
        return self.server.url

    async def run(self) -> None:
        """Answer until the workspace is told to stop."""
        async with asyncio.TaskGroup() as group:
            if self.broadcast is not None:
                group.create_task(self.broadcast.run())
            group.create_task(self.server.run())
            await self.stopping.wait()
            if self.broadcast is not None:
                self.broadcast.close()
            self.server.stop()


def open_front(workspace: Workspace, watch: Watch, mailbox: Mailbox, at: tuple[str, int]) -> Front:
    """Listen at a host and port."""
    scrape = Scrape(workspace, watch.metrics, watch.measured)
    broadcast = Broadcast(workspace.store, workspace.clock)
    doors = Doors(
        hooks={source: hook.read for source, hook in HOOKS.items()},
        post=mailbox.post,
        look=workspace.look,
        trouble=workspace.store.trouble,
        measure=scrape.text,
        meter=watch.metrics,
        reception=WorkspaceReception(workspace),
        broadcast=broadcast,
    )
    server = Server(make_app(doors), host=at[0], port=at[1])
    watch.watchers.add(broadcast)
    workspace.on_wake(broadcast.prompt)
    return Front(server, workspace.stopping, broadcast)


def open_lookout(workspace: Workspace, watch: Watch, at: tuple[str, int]) -> Front:
    """Listen at a host and port for monitors only: health and metrics, of a process that takes nothing from anybody."""
    scrape = Scrape(workspace, watch.metrics, watch.measured)
    doors = Doors(
        {}, _nobody, workspace.look, trouble=workspace.store.trouble, measure=scrape.text, meter=watch.metrics
    )
    return Front(Server(make_app(doors), host=at[0], port=at[1], option="--metrics-port"), workspace.stopping)


async def _nobody(told: Notification) -> None:
    raise AssertionError(f"there is no hook, so nothing leads here: {told}")
