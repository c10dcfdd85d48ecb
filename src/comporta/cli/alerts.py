"""What people should know: `comporta alerts`, `alerts test`, `alerts mute`, `alerts unmute`.

The server opens and closes alerts; these commands show what it found, and try the ways by which it tells.
"""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from comporta.cli.console import Console
from comporta.cli.options import Config, Json, Verbose
from comporta.cli.session import read_workspace, with_workspace
from comporta.cli.words import age_text, local_text
from comporta.core.language import Language
from comporta.core.outcome import ExitCode
from comporta.errors import ComportaError, SettingsError, WrongUse
from comporta.settings.values import Place, read_instant, read_span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, tzinfo

    from comporta.core.alert import Alert
    from comporta.workspace.workspace import Workspace

UNWATCHED = (
    "\nNobody looks now: `comporta serve` opens and closes alerts. `comporta status` says how the streams stand."
)
alerts_app = typer.Typer(rich_markup_mode=None, invoke_without_command=True)
Key = Annotated[str, typer.Argument(metavar="KEY", help="As `comporta alerts` shows it, such as stale/loja.")]
Channel = Annotated[str | None, typer.Option("--channel", metavar="NAME", help="Only email, webhook or apprise.")]


@alerts_app.callback()
def alerts(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Show what is wrong that matters, since when, and what to do."""
    if context.invoked_subcommand is not None:
        if every:
            message = f"alerts: --all is of the list, and does nothing before {context.invoked_subcommand}"
            raise WrongUse(message, next_step="Leave it out.")
        return ExitCode.DONE
    console = Console(is_json=as_json, is_verbose=verbose)

    async def work(workspace: "Workspace") -> None:
        found, is_watched = await workspace.reach.book.alerts(is_all=every), await workspace.is_watched()
        console.document({"ok": True, "alerts": [each.as_json() for each in found], "watched": is_watched})
        now, zone = workspace.clock.now(), workspace.settings.zone
        console.say("\n\n".join(alert_text(each, now, zone) for each in found) or "Nothing is wrong that is known of.")
        if not is_watched:
            console.say(UNWATCHED)

    read_workspace(config, work, console=console)
    return ExitCode.DONE


@alerts_app.command("test")
def try_out(channel: Channel = None, config: Config = None, as_json: Json = False, verbose: Verbose = False) -> int:
    """Send a trial over every channel that is set, and say what became of it."""
    console = Console(is_json=as_json, is_verbose=verbose)

    async def work(workspace: "Workspace") -> "Sequence[tuple[str, ComportaError | None]]":
        from comporta.core.alert_letter import letter_of, trial

        known = {each.name: each for each in workspace.reach.channels}
        if not known or (channel is not None and channel not in known):
            seen = f"channel {channel!r} is not set" if channel else "no channel is set"
            step = "Add [alerts.email], [alerts.webhook] or [alerts.apprise] to comporta.toml."
            raise SettingsError(f"alerts test: {seen}; set are: {', '.join(known) or 'none'}", next_step=step)
        language = Language(workspace.settings.alerts.language)
        letter = letter_of([trial(language, workspace.clock.now())], language, workspace.settings.zone)
        outcomes: list[tuple[str, ComportaError | None]] = []
        for name in [channel] if channel else known:
            try:
                await known[name].send(letter)
                outcomes.append((name, None))
            except ComportaError as error:
                outcomes.append((name, error))
        return outcomes

    outcomes = with_workspace(config, work, console=console)
    failed = [name for name, error in outcomes if error is not None]
    told = [{"channel": name, "ok": not error, "error": error and error.as_json()} for name, error in outcomes]
    console.document({"ok": not failed, "channels": told})
    for name, error in outcomes:
        console.say(f"{name}: sent" if error is None else f"{name}: {error.code} {error.message}")
        if error is not None:
            console.say(f"  Next: {error.next_step}")
    if not failed:
        return ExitCode.DONE
    return ExitCode.FAILED if len(failed) == len(outcomes) else ExitCode.PARTLY_FAILED


@alerts_app.command()
def mute(
    key: Key,
    *,
    length: Annotated[str | None, typer.Option("--for", metavar="DURATION", help="Such as 4h.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="INSTANT", help="Such as 2026-03-02T08:00.")] = None,
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Tell nobody of an alert for a while; it stays in the list."""
    if (length is None) == (until is None):
        raise WrongUse("alerts mute: expected one of --for and --until", next_step="For example --for 4h.")
    console = Console(is_json=as_json, is_verbose=verbose)

    def end(workspace: "Workspace") -> "datetime":
        try:
            if length is not None:
                return workspace.clock.now() + read_span(length, Place(Path()))
            instant = read_instant(until, Place(Path(), workspace.settings.zone))
            if instant <= workspace.clock.now():
                raise ValueError("an instant to come")  # noqa: TRY301  the same words as for what cannot be read
            return instant
        except ValueError as error:
            given = f"--for is {length!r}" if length is not None else f"--until is {until!r}"
            raise WrongUse(f"alerts mute: {given}; expected {error}") from error

    return _muted(key, end, config, console)


@alerts_app.command()
def unmute(key: Key, config: Config = None, as_json: Json = False, verbose: Verbose = False) -> int:
    """Tell of an alert again."""
    return _muted(key, lambda _: None, config, Console(is_json=as_json, is_verbose=verbose))


def _muted(key: str, end: "Callable[[Workspace], datetime | None]", config: Path | None, console: Console) -> int:
    async def work(workspace: "Workspace") -> "tuple[Alert, tzinfo]":
        changed = await workspace.reach.book.mute(key, end(workspace))
        if changed is None:
            raise WrongUse(f"there is no alert {key!r}", next_step="`comporta alerts --all` lists their keys.")
        return changed, workspace.settings.zone

    changed, zone = with_workspace(config, work, console=console)
    console.document({"ok": True, "alert": changed.as_json()})
    console.say(
        f"{key}: " + (f"muted until {local_text(changed.muted_until, zone)}" if changed.muted_until else "told")
    )
    return ExitCode.DONE


def alert_text(each: "Alert", now: "datetime", zone: "tzinfo") -> str:
    """Return an alert for a person: what, what to do, since when."""
    word = each.level.value.upper() if each.is_open else "over"
    lasted = (each.closed_at or now) - each.opened_at
    facts = [each.key, f"since {local_text(each.opened_at, zone)}", f"for {age_text(max(lasted, timedelta()))}"]
    if each.is_open and each.well_since is not None:
        facts.append(f"well since {local_text(each.well_since, zone)}")
    if each.muted_until is not None and each.muted_until > now:
        facts.append(f"muted until {local_text(each.muted_until, zone)}")
    elif each.told_at is None and each.is_open:
        facts.append("told to nobody yet")
    step = f"\n  Next: {each.next_step}" if each.is_open else ""
    return f"{word} {each.message}{step}\n  ({'; '.join(facts)})"
