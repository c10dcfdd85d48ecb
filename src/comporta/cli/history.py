"""What happened: `comporta runs`, `run show`, `run cancel`, `log`.

A run whose lease ran out is shown as not responding, whatever its row still says.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from comporta.cli.console import Console
from comporta.cli.options import Config, Json, Told, Verbose, expect_command
from comporta.cli.session import read_workspace, with_workspace
from comporta.cli.words import (
    age_text,
    clock_text,
    columns,
    counts_text,
    ended_text,
    line_text,
    local_text,
    usage_text,
    value_text,
)
from comporta.core.language import Language
from comporta.core.outcome import ExitCode
from comporta.core.run import TERMINAL, Run, RunState
from comporta.errors import WrongUse
from comporta.ports.events import line_json
from comporta.workspace.named import account_named

if TYPE_CHECKING:
    from comporta.workspace.workspace import Workspace

RESULT_LETTERS = 200
FOLLOW_EVERY = timedelta(seconds=1)
RunId = Annotated[str, typer.Argument(metavar="ID", help="A run's id, or enough of its beginning.")]
run_app = typer.Typer(rich_markup_mode=None, invoke_without_command=True)


def runs(
    *,
    account: Annotated[str | None, typer.Option(metavar="A", help="Only this account.")] = None,
    state: Annotated[RunState | None, typer.Option(metavar="S", help="Only runs in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, metavar="N", help="How many at most.")] = 20,
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Show the last runs, newest first."""
    console = Console(is_json=as_json, is_verbose=verbose)

    async def work(workspace: "Workspace") -> None:
        found = await workspace.store.runs(account=account, state=state, limit=limit)
        if account is not None and not found:  # the runs of one that is gone are shown for as long as they are kept
            account_named(workspace.plans, account)
        alive = await living(workspace)
        console.document({"ok": True, "runs": [run.as_json() for run in found]})
        none = "No runs yet; `comporta sync` starts some." if account is None and state is None else "No such run."
        console.say(table(found, workspace, alive, width=console.width) or none)

    read_workspace(config, work, console=console)
    return ExitCode.DONE


@run_app.callback()
def run(context: typer.Context, as_json: Json = False) -> None:  # noqa: ARG001  console.py reads it
    """Show or cancel one run."""
    expect_command(context)


@run_app.command()
def show(run_id: RunId, config: Config = None, as_json: Json = False, verbose: Verbose = False) -> int:
    """Show one run."""
    console = Console(is_json=as_json, is_verbose=verbose)

    async def work(workspace: "Workspace") -> None:
        run = await found_run(workspace, run_id)
        zone = workspace.settings.zone
        console.document({"ok": True, "run": run.as_json()})
        window = f"{local_text(run.window_since, zone)} .. {local_text(run.window_until, zone)}"
        facts = [
            ("run", run.id),
            ("stream", f"{run.account}/{run.stream}"),
            ("state", state_text(run, await living(workspace))),
            ("request", f"{run.request}, {run.trigger.value}, attempt {run.attempt}, epoch {run.epoch}"),
            ("window", window if run.window_kind else "-"),
            ("counts", f"{run.counts.read} read: {counts_text(run.counts)}"),
            ("took", usage_text(run)),
            ("started", local_text(run.started_at, zone)),
            ("finished", local_text(run.finished_at, zone)),
        ]
        error = run.error or {}
        facts += [("error", f"{error['code']} {error['message']}"), ("next", error["next_step"])] if error else []
        console.say("\n".join(f"{name:9} {value}" for name, value in facts))

    read_workspace(config, work, console=console)
    return ExitCode.DONE


@run_app.command()
def cancel(run_id: RunId, config: Config = None, as_json: Json = False, verbose: Verbose = False) -> int:
    """Cancel a run: one that waits at once, one that runs at its next batch."""
    console = Console(is_json=as_json, is_verbose=verbose)

    async def work(workspace: "Workspace") -> None:
        known = await found_run(workspace, run_id)
        if known.state in TERMINAL:
            raise WrongUse(f"run {known.id} has ended already ({known.state.value})", next_step="Nothing to do.")
        run = await workspace.store.cancel(known.id) or known
        console.document({"ok": True, "run": run.as_json()})
        console.say(f"{run.id}: " + ("cancelled" if run.state is RunState.CANCELLED else "asked to stop"))

    with_workspace(config, work, console=console)
    return ExitCode.DONE


def log(
    run_id: RunId,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends.")] = False,
    language: Told = Language.EN,
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Show what a run did, step by step."""
    console = Console(is_json=as_json, is_verbose=verbose)

    async def work(workspace: "Workspace") -> None:
        run = await found_run(workspace, run_id)
        lines: list[dict[str, object]] = []
        after = 0
        while True:
            ended = (await found_run(workspace, run.id)).state in TERMINAL
            part = await workspace.store.log(run.id, after)
            for number, at, line in part:
                after = number
                lines += [line_json(number, at, line)] if console.is_json else []
                console.say(f"{local_text(at, workspace.settings.zone)}  {line.level:7}  {line_text(line, language)}")
            if not part and (ended or not follow):
                break
            if not part:
                await workspace.clock.sleep(FOLLOW_EVERY)
        console.document({"ok": True, "run": run.id, "lines": lines})

    read_workspace(config, work, console=console)
    return ExitCode.DONE


def table(runs: Sequence[Run], workspace: "Workspace", alive: frozenset[str], *, width: int | None = None) -> str:
    """Return runs as a table."""
    now = workspace.clock.now()
    rows = [
        (
            run.id,
            f"{run.account}/{run.stream}",
            state_text(run, alive),
            clock_text(run.started_at or run.queued_at, workspace.settings.zone, now=now),
            age_text(timedelta(seconds=run.duration_s)) if run.duration_s is not None else "-",
            value_text(ended_text(run), RESULT_LETTERS),
        )
        for run in runs
    ]
    return columns(("run", "stream", "state", "began", "took", "result"), rows, width=width)


def state_text(run: Run, alive: frozenset[str]) -> str:
    """Return the state people see: running means a lease that is alive."""
    if run.state is RunState.RUNNING and run.id not in alive:
        return "not responding"
    return f"{run.state.value.replace('_', ' ')}{' (dry)' if run.dry_run else ''}{' (partial)' if run.partial else ''}"


async def living(workspace: "Workspace") -> frozenset[str]:
    """Return the ids of runs whose lease is alive."""
    now = workspace.clock.now()
    return frozenset(
        row.holder for row in await workspace.store.leases() if row.holder and row.expires_at and row.expires_at > now
    )


async def found_run(workspace: "Workspace", run_id: str) -> Run:
    """Return the run of that id, or the only one whose id begins so."""
    run = await workspace.store.run(run_id)
    near = [run] if run else [each for each in await workspace.store.runs(limit=1_000) if each.id.startswith(run_id)]
    if len(near) == 1:
        return near[0]
    seen = f"{len(near)} of the last 1000 runs begin so" if near else "there is none"
    raise WrongUse(f"run {run_id}: {seen}", next_step="`comporta runs` lists the last ones.")
