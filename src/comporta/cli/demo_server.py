"""What a demo shows after its first sync: the real server, over simulators in which people go on working.

It is `comporta serve` in the same process. Only what runs brought is said, a line for each: some twenty streams a
minute have nothing new, and nobody would find the one that has.
"""

from collections.abc import Callable, Mapping

from comporta.cli.console import Console
from comporta.cli.serve import Duty, Role, be_always_on
from comporta.cli.words import counts_text, ended_text
from comporta.core.outcome import ExitCode
from comporta.core.run import Run, RunState
from comporta.errors import WrongUse
from comporta.ports.events import Unwatched
from comporta.settings.tree import Settings

EVERY = "1m"
"""How often each stream is due: as long as somebody who tries it out has patience."""
HOOK = "/hooks/mercadolivre"
LOOKS = ("/health/ready", "/metrics", "/api/v1/runs")
LOG_LEVEL = "error"
"""Of the server's log; lines for people say the rest."""


class News(Unwatched):
    """An observer that says in a line what a run changed, or how it failed."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def ended(self, run: Run) -> None:
        """Say it, with the time of day where the person is."""
        counts = run.counts
        is_well = run.state is RunState.SUCCEEDED
        if is_well and not (counts.inserted or counts.updated or counts.deleted or counts.rejected):
            return
        at = f"{run.finished_at.astimezone():%H:%M:%S}  " if run.finished_at else ""
        self._say(f"{at}{run.account}/{run.stream}: {counts_text(counts) if is_well else ended_text(run)}")


def place_for(settings: Settings, port: int | None, console: Console) -> tuple[str, int]:
    """Return where to listen: at the port asked for, which must be free, or else at the usual one if it is."""
    from comporta.web.server import listen

    wanted = settings.port if port is None else port
    try:
        listen(settings.host, wanted).close()
    except WrongUse:
        if port is not None:
            raise
        console.say(f"Port {wanted} is taken, so the server will take a free one; --port chooses.")
        return settings.host, 0
    return settings.host, wanted


def go_on(
    console: Console,
    settings: Settings,
    address: tuple[str, int],
    facts: Mapping[str, object],
    begin: Callable[[str], None],
) -> int:
    """Serve until told to end; ``facts`` are of the first sync.

    ``begin`` has people change things in all simulators, and Mercado Livre tell an address of it, as the real one does.
    """

    def greet(console: Console, server: Mapping[str, object]) -> None:
        url = server["url"]
        begin(f"{url}{HOOK}")
        console.document({**facts, "server": server})
        console.say(
            f"\nListening at {url}: see {', '.join(f'{url}{path}' for path in LOOKS)}."
            f"\nPeople change things now. Every stream is read again each minute, and Mercado Livre tells of changes"
            f"\nby itself. What comes over is said here; Ctrl-C ends it.\n"
        )

    duty = Duty(frozenset(Role), address, level=LOG_LEVEL, observers=[News(console.say)], greet=greet)
    be_always_on(console, settings, duty)
    console.say("Stopped. The simulators are gone; the database stays.")
    return ExitCode.DONE
