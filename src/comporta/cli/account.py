"""The accounts there are: `comporta accounts`, `account pause` and `resume`.

A pause is for everything that starts by itself and for `comporta sync` without names; who names a paused account
is obeyed, which is how one is tried before it goes on.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from comporta.cli.console import Console
from comporta.cli.options import Config, Json, Verbose, expect_command
from comporta.cli.session import with_workspace
from comporta.cli.words import columns, local_text
from comporta.core.instant import short_text
from comporta.core.outcome import ExitCode

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from comporta.core.login import LoginState
    from comporta.settings_tree import AccountSettings
    from comporta.workspace import Workspace

Name = Annotated[str, typer.Argument(metavar="NAME", help="The account's name, as `comporta accounts` shows it.")]
NO_ACCOUNT = "No account yet. Next: comporta init, or comporta connect SOURCE NAME"
account_app = typer.Typer(rich_markup_mode=None, invoke_without_command=True)


def accounts(config: Config = None, as_json: Json = False, verbose: Verbose = False) -> int:
    """Show the accounts: source, address, paused or not, and how a login stands."""
    console = Console(is_json=as_json, is_verbose=verbose)

    async def work(workspace: "Workspace") -> None:
        paused, logins = await workspace.paused(), await workspace.logins()
        known = workspace.settings.accounts
        found = [account_json(each, paused, logins.get(name)) for name, each in known.items()]
        console.document({"ok": True, "accounts": found})
        zone = workspace.settings.zone
        rows = [
            (name, each.source, each.url, pause_text(name, paused, zone), login_text(logins.get(name)))
            for name, each in known.items()
        ]
        console.say(columns(("account", "source", "url", "paused", "login"), rows) or NO_ACCOUNT)

    with_workspace(config, work, console=console)
    return ExitCode.DONE


@account_app.callback()
def account(context: typer.Context, as_json: Json = False) -> None:  # noqa: ARG001  console.py reads it
    """Pause, resume, rename or remove one account."""
    expect_command(context)


@account_app.command()
def pause(name: Name, config: Config = None, as_json: Json = False, verbose: Verbose = False) -> int:
    """Start nothing of an account by itself any more; what runs goes on to its end."""
    console = Console(is_json=as_json, is_verbose=verbose)

    async def work(workspace: "Workspace") -> None:
        is_new = await workspace.pause(name)
        console.document({"ok": True, "account": name, "paused": True, "changed": is_new})
        console.say(f"{name}: {'paused' if is_new else 'was paused already'}. Next: comporta account resume {name}")

    with_workspace(config, work, console=console)
    return ExitCode.DONE


@account_app.command()
def resume(name: Name, config: Config = None, as_json: Json = False, verbose: Verbose = False) -> int:
    """End an account's pause; the next run reads what was missed."""
    console = Console(is_json=as_json, is_verbose=verbose)

    async def work(workspace: "Workspace") -> None:
        was_paused = await workspace.resume(name)
        console.document({"ok": True, "account": name, "paused": False, "changed": was_paused})
        console.say(f"{name}: {'goes on' if was_paused else 'was not paused'}; the next run reads what was missed")

    with_workspace(config, work, console=console)
    return ExitCode.DONE


def account_json(
    each: "AccountSettings", paused: "dict[str, datetime | None]", login: "LoginState | None"
) -> dict[str, object]:
    """Return one account as JSON; ``paused_at`` is ``null`` where the settings pause it."""
    said: dict[str, object] = {"account": each.name, "source": each.source, "url": each.url}
    state = {"paused": each.name in paused, "paused_at": short_text(paused.get(each.name))}
    return said | state | {"login": login.standing.value if login else None}


def pause_text(name: str, paused: "dict[str, datetime | None]", zone: "ZoneInfo") -> str:
    """Say whether an account is paused, and since when."""
    if name not in paused:
        return ""
    at = paused[name]
    return f"since {local_text(at, zone)}" if at else "by the settings"


def login_text(login: "LoginState | None") -> str:
    """Say how a login stands, in the words of `comporta status`."""
    return login.standing.value.replace("_", " ") if login else ""
