"""`comporta sync`: bring streams up to date in this process, show how it goes, say what was done.

The exit code is that of the last attempt of each stream: a run that failed and succeeded when it was
tried again did not fail.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from comporta.cli.changes import Changes
from comporta.cli.console import Console
from comporta.cli.options import Config, Json, Told, Verbose, Yes
from comporta.cli.request import Flags, request_from
from comporta.cli.session import with_workspace
from comporta.cli.watch import Lines
from comporta.cli.words import ended_text, totals_lines
from comporta.core.alert_words import step_of
from comporta.core.language import Language
from comporta.core.outcome import ExitCode, exit_code, last_attempts
from comporta.core.run import Run, RunState
from comporta.core.totals import Totals, totals
from comporta.core.window import Request
from comporta.errors import SettingsError, WrongUse
from comporta.observability.words import term
from comporta.ports.system_clock import SystemClock
from comporta.settings.reading import read_settings
from comporta.settings.tree import Settings

if TYPE_CHECKING:
    from comporta.cli.live import LiveTable
    from comporta.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Asked:
    """What a sync was asked for."""

    names: tuple[str, ...] = ()
    request: Request = field(default_factory=Request)
    is_dry: bool = False
    is_waiting: bool = False
    is_confirmed: bool = False
    concurrency: int | None = None
    language: Language = Language.EN


def sync(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ACCOUNT[/STREAM]]...", help="What to sync; nothing means everything."),
    ] = None,
    *,
    since: Annotated[str | None, typer.Option(metavar="WHEN", help="From then on: 2h ago, or an instant.")] = None,
    until: Annotated[str | None, typer.Option(metavar="WHEN", help="Up to then; with --since.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Everything, whatever is covered.")] = False,
    clear_first: Annotated[
        bool, typer.Option("--clear-first", help="Everything; afterwards remove what the source does not have.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing; show what would change.")] = False,
    max_records: Annotated[int | None, typer.Option(min=1, metavar="N", help="Stop after so many records.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for streams that another run holds.")] = False,
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=100, metavar="N", help="Pages in flight; 1 is one after another.")
    ] = None,
    yes: Yes = False,
    language: Told = Language.EN,
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Bring streams up to date now."""
    console = Console(is_json=as_json, is_verbose=verbose)
    settings = read_settings(config)
    flags = Flags(since, until, full, clear_first, max_records)
    request = request_from(flags, now=SystemClock().now(), zone=settings.zone)
    asked = Asked(
        tuple(names or ()),
        request,
        is_dry=dry_run,
        is_waiting=wait,
        is_confirmed=yes,
        concurrency=concurrency,
        language=language,
    )
    if clear_first and not dry_run and not yes:
        confirm(console, asked.names)
    runs, changes = perform(settings, asked, console)
    in_flight = pages_in_flight(settings, runs, concurrency)
    report(console, runs, changes if dry_run else None, totals(runs, concurrency=in_flight), language)
    return exit_code(runs)


def perform(settings: Settings, asked: Asked, console: Console) -> tuple[list[Run], Changes]:
    """Run it, watched; return the runs and what dry ones would change."""

    async def work(workspace: "Workspace") -> list[Run]:
        if not await workspace.targets(asked.names):
            raise SettingsError(
                f"{settings.path or settings.folder}: no account that is not paused, so there is nothing to sync",
                next_step="Write one into comporta.toml (`comporta init`), or add one with `comporta connect`.",
            )
        return await workspace.sync(
            asked.names,
            request=asked.request,
            dry_run=asked.is_dry,
            wait=asked.is_waiting,
            confirmed=asked.is_confirmed,
            concurrency=asked.concurrency,
        )

    watcher = watcher_for(console, asked.language)
    with watcher:
        runs = with_workspace(settings, work, console=console, observer=watcher, hand_over=True)
    return runs, watcher.changes


def watcher_for(console: Console, language: Language = Language.EN) -> "Lines | LiveTable":
    """Return who watches: a drawing on a terminal, lines elsewhere and beside a log, nobody with ``--json``."""
    if console.is_json:
        return Lines(changes=Changes(shown_max=None))
    if not console.is_terminal or console.is_verbose:
        return Lines(console.say, is_verbose=console.is_verbose, language=language)
    from comporta.cli.live import LiveTable

    return LiveTable(SystemClock(), language)


def report(
    console: Console, runs: Sequence[Run], changes: Changes | None, total: Totals, language: Language = Language.EN
) -> None:
    """Print the result: JSON, or a line per run and what a dry run would change, how fast it went, and the changes."""
    document: dict[str, object] = {"ok": exit_code(runs) is ExitCode.DONE, "runs": [run.as_json() for run in runs]}
    document["totals"] = total.as_json()
    if changes is not None:
        document |= {"changes": changes.as_json(), "changes_truncated": changes.is_truncated}
    console.document(document)
    for line in summary(runs, language):
        console.say(line)
    if changes is not None:
        for line in (*totals_lines(runs, total, language), *changes.lines(runs, language)):
            console.say(line)


def pages_in_flight(settings: Settings, runs: Sequence[Run], asked: int | None) -> int | None:
    """Return how many pages were allowed in flight: what was asked, else what all accounts are set to."""
    told = {account.concurrency if (account := settings.accounts.get(run.account)) else None for run in runs}
    return asked or (told.pop() if len(told) == 1 else None)


def summary(runs: Sequence[Run], language: Language = Language.EN) -> list[str]:
    """Return a line for each run, and the next step under one that did not end well.

    Attempts that brought nothing, and were followed by another, were told when they failed.
    """
    with_account = len({run.account for run in runs}) > 1
    following = "Next" if language is Language.EN else "Próximo passo"
    last = {run.id for run in last_attempts(runs)}
    lines = []
    for run in (run for run in runs if run.state is RunState.SUCCEEDED or run.counts.read or run.id in last):
        kind = run.window_kind or run.request.partition(" ")[0]
        which = "" if kind in {"incremental", "full"} else f" ({term(kind, language)})"
        lines.append(f"{f'{run.account}/' if with_account else ''}{run.stream}{which}: {ended_text(run, language)}")
        if run.error and run.error.get("next_step"):
            lines.append(f"  {following}: {step_of(run.error['code'], run.error['next_step'], language)}")
    return lines


def confirm(console: Console, names: Sequence[str]) -> None:
    """Have the person type what will be cleared; raise if they type anything else."""
    expected = " ".join(names) or "everything"
    console.tell("Rows that the source no longer has will be removed for good, once everything was read.")
    if console.ask(f"Type {expected} to go on: ", option="--yes") != expected:
        raise WrongUse(
            f"--clear-first: {expected} was not typed, so nothing was done", next_step="Use --yes in scripts."
        )
