"""Putting things right by hand: `comporta reconcile`, `unlock`, `quarantine`.

Whatever of this writes rows is a run, with lease, fence and counts, like any other.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from comporta.cli.console import Console
from comporta.cli.options import Config, Json, Stream, Verbose, Yes
from comporta.cli.session import read_workspace, with_workspace
from comporta.cli.sync import summary, watcher_for
from comporta.cli.words import columns, local_text, value_text
from comporta.core.instant import short_text
from comporta.core.login import LOGIN_SCOPE
from comporta.core.outcome import ExitCode, exit_code
from comporta.core.run import Run
from comporta.errors import WrongUse
from comporta.ports.store import LeaseRow, Quarantined

if TYPE_CHECKING:
    from comporta.workspace.workspace import Workspace

REASON_LETTERS = 200
DIFFERENCES = ("missing", "different", "extra")
quarantine_app = typer.Typer(rich_markup_mode=None, invoke_without_command=True)


def reconcile(
    stream: Stream,
    *,
    repair: Annotated[
        bool, typer.Option("--repair", help="Write what is missing or differs; mark what is gone.")
    ] = False,
    exact: Annotated[bool, typer.Option("--exact", help="Compare every key and stamp of a large table too.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait while another run holds the stream.")] = False,
    yes: Yes = False,
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Compare a stream with its source: missing, different, gone there; repair it."""
    console = Console(is_json=as_json, is_verbose=verbose)

    async def work(workspace: "Workspace") -> tuple[list[Run], dict[str, object]]:
        runs = await workspace.reconcile(stream, repair=repair, exact=exact, confirmed=yes, wait=wait)
        return runs, await found_by(workspace, runs)

    watcher = watcher_for(console)
    with watcher:
        runs, result = with_workspace(config, work, console=console, observer=watcher, hand_over=True)
    code, is_left = exit_code(runs), not repair and _differs(runs, result)
    if code is ExitCode.DONE and is_left:  # looked at, and not well: what calls this from cron goes by it
        code = ExitCode.FAILED
    console.document({"ok": code is ExitCode.DONE, "reconcile": result, "runs": [run.as_json() for run in runs]})
    if result:
        console.say(
            f"{stream}: {result['rows']:,} rows, {result['missing']} missing, {result['different']} different,"
            f" {result['extra']} gone at the source; {result['identical_percent']} % identical"
        )
    else:
        for line in summary(runs):
            console.say(line)
    if is_left:
        console.say(f"  Next: comporta reconcile {stream} --repair")
    return code


def _differs(runs: Sequence[Run], result: Mapping[str, object]) -> bool:
    """Say whether a comparison found anything; where records cannot be listed, what it would write says so."""
    would_write = any(run.counts.inserted or run.counts.updated for run in runs)
    return would_write or any(result.get(each) for each in DIFFERENCES)


def unlock(
    stream: Stream, yes: Yes = False, config: Config = None, as_json: Json = False, verbose: Verbose = False
) -> int:
    """Free a stream: whoever held it can write nothing more."""
    console = Console(is_json=as_json, is_verbose=verbose)

    async def work(workspace: "Workspace") -> bool:
        from comporta.coordination.rescuer import release

        workspace.expect_scope(stream)
        now = workspace.clock.now()
        held = next((row for row in await workspace.store.leases() if row.scope == stream and row.holder), None)
        if held is not None and held.expires_at is not None and held.expires_at > now and not yes:
            console.tell(_alive_text(held))
            if console.ask(f"Type {stream} to go on: ", option="--yes") != stream:
                raise WrongUse(
                    f"unlock: {stream} was not typed, so nothing was done", next_step="Use --yes in scripts."
                )
        return await release(workspace.store, workspace.observer, stream)

    freed = with_workspace(config, work, console=console)
    console.document({"ok": True, "unlocked": freed, "scope": stream})
    console.say(f"{stream}: free" if freed else f"{stream}: nobody held it")
    return ExitCode.DONE


def _alive_text(held: LeaseRow) -> str:
    """Say what freeing a scope does to who holds it."""
    if held.scope.endswith(LOGIN_SCOPE):
        return f"{held.holder} renews the login and is alive; what it gets is stored all the same."
    return f"Run {held.holder} is alive on {held.instance}; it will be lost, and its work goes on later."


@quarantine_app.callback()
def quarantine(context: typer.Context, config: Config = None, as_json: Json = False, verbose: Verbose = False) -> int:
    """Show the records that could not be written, and why."""
    if context.invoked_subcommand is not None:
        return ExitCode.DONE
    return show_waiting(None, config, Console(is_json=as_json, is_verbose=verbose), is_whole=False)


@quarantine_app.command("list")
def list_(config: Config = None, as_json: Json = False, verbose: Verbose = False) -> int:
    """Show every waiting record."""
    return show_waiting(None, config, Console(is_json=as_json, is_verbose=verbose), is_whole=False)


@quarantine_app.command()
def show(stream: Stream, config: Config = None, as_json: Json = False, verbose: Verbose = False) -> int:
    """Show one stream's waiting records, whole."""
    return show_waiting(stream, config, Console(is_json=as_json, is_verbose=verbose), is_whole=True)


@quarantine_app.command()
def retry(stream: Stream, config: Config = None, as_json: Json = False, verbose: Verbose = False) -> int:
    """Read a stream's waiting records again and write those that can be written now."""
    console = Console(is_json=as_json, is_verbose=verbose)

    async def work(workspace: "Workspace") -> tuple[list[Run], int]:
        runs = await workspace.retry_quarantine(stream)
        return runs, len(await workspace.store.quarantine(stream))

    watcher = watcher_for(console)
    with watcher:
        runs, left = with_workspace(config, work, console=console, observer=watcher, hand_over=True)
    console.document({"ok": exit_code(runs) is ExitCode.DONE, "runs": [run.as_json() for run in runs], "waiting": left})
    console.say(f"{stream}: {left} still waiting")
    return exit_code(runs)


def show_waiting(stream: str | None, config: "Config", console: Console, *, is_whole: bool) -> int:
    """Print the records that wait, shortly or whole."""

    async def work(workspace: "Workspace") -> None:
        if stream is not None:
            workspace.origin(stream)
        found = await workspace.store.quarantine(stream)
        console.document({"ok": True, "quarantined": [waiting_json(each) for each in found]})
        zone = workspace.settings.zone
        if is_whole:
            for each in found:
                console.say(f"{each.scope} {each.key}: {each.code} {each.reason}\n  {each.payload}")
        else:
            rows = [
                (
                    each.scope,
                    each.key,
                    each.code,
                    local_text(each.last_seen, zone),
                    value_text(each.reason, REASON_LETTERS),
                )
                for each in found
            ]
            console.say(
                columns(("stream", "key", "code", "last seen", "reason"), rows, width=console.width)
                or "Nothing waits in quarantine."
            )
        counted = Counter(each.scope for each in found)
        for scope, waiting in counted.items():
            console.say(f"{scope}: {waiting} waiting; after mending: comporta quarantine retry {scope}")

    read_workspace(config, work, console=console)
    return ExitCode.DONE


def waiting_json(each: Quarantined) -> dict[str, object]:
    """Return one waiting record as JSON."""
    return {
        "scope": each.scope,
        "key": each.key,
        "code": each.code,
        "reason": each.reason,
        "payload": each.payload,
        "run": each.run,
        "first_seen": short_text(each.first_seen),
        "last_seen": short_text(each.last_seen),
        "times": each.times,
    }


async def found_by(workspace: "Workspace", runs: list[Run]) -> dict[str, object]:
    """Return what a reconciliation found, as its log tells; empty if it came to no result."""
    for run in reversed(runs):
        for _, _, line in reversed(await workspace.store.log(run.id)):
            if line.step in {"reconcile_compared", "reconcile_repaired"} and "identical_percent" in line.fields:
                return dict(line.fields)
    return {}
