"""The accounts there are: `comporta accounts`, `account pause`, `resume`, `rename` and `remove`.

A pause is for everything that starts by itself and for `comporta sync` without names; who names a paused account
is obeyed, which is how one is tried before it goes on.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from comporta.cli.console import Console
from comporta.cli.options import Config, Json, Verbose, Yes, expect_command
from comporta.cli.session import first_step, read_workspace, with_workspace
from comporta.cli.words import columns, local_text
from comporta.core.instant import short_text
from comporta.core.outcome import ExitCode
from comporta.errors import UnknownAccount, WrongUse
from comporta.ports.system_clock import SystemClock
from comporta.settings.keys import expect_account_name
from comporta.settings.reading import read_settings
from comporta.settings.tree import Settings

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from comporta.core.login import LoginState
    from comporta.settings.tree import AccountSettings
    from comporta.workspace.workspace import Workspace

Name = Annotated[str, typer.Argument(metavar="NAME", help="The account's name, as `comporta accounts` shows it.")]
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
        heads = ("account", "source", "url", "paused", "login")
        none = f"No account yet.\n  Next: {first_step(workspace.settings)}"
        console.say(columns(heads, rows, width=console.width) or none)

    read_workspace(config, work, console=console)
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


@account_app.command()
def rename(
    old: Name,
    new: Annotated[str, typer.Argument(metavar="NEW", help="Letters, digits, - and _.")],
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Give an account another name: rows, coverage, history and stored keys, all at once."""
    from comporta.moving.accounts import rename as rename_account

    console = Console(is_json=as_json, is_verbose=verbose)
    known = read_settings(config)
    expect_account(known, old)
    expect_name(known, old, new)
    touched = rename_account(known, old, new, SystemClock())
    step = f"[accounts.{old}] in {known.path} must become [accounts.{new}]" if old in known.said else None
    document = {"ok": True, "account": new, "before": old, "rows": touched.total, "next_step": step}
    console.document(document)
    console.say(
        f"{old} is {new} now: {touched.total:,} rows in {len(touched.rows)} tables, and all that is known of it."
    )
    if step:
        console.say(f"  Next: {step}, before the next run: else {old} is read anew beside it")
    return ExitCode.DONE


@account_app.command()
def remove(
    name: Name,
    *,
    keep_rows: Annotated[bool, typer.Option("--keep-rows", help="Its rows stay in the tables.")] = False,
    delete_rows: Annotated[bool, typer.Option("--delete-rows", help="Its rows go too, for good.")] = False,
    yes: Yes = False,
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Forget an account: its keys, its coverage, what was typed in; its rows as you say."""
    from comporta.moving.accounts import remove as remove_account
    from comporta.moving.accounts import rows_of

    console = Console(is_json=as_json, is_verbose=verbose)
    known = read_settings(config)
    expect_account(known, name)
    if keep_rows and delete_rows:
        raise WrongUse("account remove: --keep-rows and --delete-rows exclude one another", next_step="Give one.")
    if not (keep_rows or delete_rows):
        count = rows_of(known, name, SystemClock()).total
        answer = console.ask(f"{name} has {count:,} rows. Type keep or delete: ", option="--keep-rows or --delete-rows")
        if answer not in {"keep", "delete"}:
            raise WrongUse(f"account remove: {answer!r}; expected keep or delete", next_step="Nothing was done.")
        delete_rows = answer == "delete"
    if not yes and console.ask(f"Type {name} to go on: ", option="--yes") != name:
        raise WrongUse("account remove: not confirmed, so nothing was done", next_step="Use --yes in scripts.")
    touched = remove_account(known, name, SystemClock(), is_with_rows=delete_rows)
    step = f"take [accounts.{name}] out of {known.path}" if name in known.said else None
    fate = "deleted" if delete_rows else "kept"
    console.document({"ok": True, "account": name, "rows": touched.total, "rows_are": fate, "next_step": step})
    console.say(f"{name} is removed; {touched.total:,} rows in {len(touched.rows)} tables are {fate}.")
    if step:
        console.say(f"  Next: {step}, or the next sync reads all of it again")
    return ExitCode.DONE


def expect_account(known: Settings, name: str) -> None:
    """Raise unless there is such an account: in the settings, or data of one that was taken out of them."""
    from comporta.bootstrap.databases import examine
    from comporta.moving.accounts import is_known

    there = {**examine(known, is_thorough=False).accounts, **known.accounts}
    if name not in there and not is_known(known, name, SystemClock()):
        raise UnknownAccount(f"there is no account {name!r}; there are: {', '.join(there) or 'none'}")


def expect_name(known: Settings, old: str, new: str) -> None:
    """Raise unless an account may be called so; the settings may have the new name already, instead of the old."""
    expect_account_name(new)
    if new in known.said and old in known.said:
        message = f"accounts {old!r} and {new!r} both stand in {known.path}; two accounts are not merged"
        raise WrongUse(message, next_step="Choose another name.")
