"""Beginning: `comporta init`, `connect`, `check`.

A key is never written into comporta.toml: `init` refers to the environment, `connect` closes it into the
database, and only after everything the account needs was tried.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Annotated

import typer

from comporta.cli.console import Console
from comporta.cli.options import Config, Json, Verbose, expect_command
from comporta.cli.session import first_step, read_workspace, with_workspace
from comporta.core.outcome import ExitCode
from comporta.errors import ComportaError, SettingsError, WrongUse
from comporta.ports.source import Finding
from comporta.settings.keys import expect_account_name
from comporta.settings.reading import FILE_NAME, read_settings, reveal
from comporta.settings.tree import Settings
from comporta.settings.values import Place, read_secret

if TYPE_CHECKING:
    from comporta.workspace.workspace import Workspace

SAMPLE = """\
# Comporta's settings. Every key: docs/reference/settings.md. `comporta settings` shows what holds.

database = "sqlite:///comporta.db"        # relative to this file
timezone = "UTC"                          # how people read times, such as "America/Sao_Paulo"

# An Odoo account; the name is yours. Put its API key into the environment, as ODOO_API_KEY,
# or leave this part out and let `comporta connect odoo matriz` ask for everything.

# [accounts.matriz]
# source = "odoo"
# url = "https://erp.example.com"
# database = "prod"
# login = "sync@example.com"
# api_key = "env:ODOO_API_KEY"            # or "file:odoo.key"; never the key itself
# start = 2025-01-01                      # leave out for everything

# Streams not named here use the source's defaults.
# [accounts.matriz.streams."sale.order"]
# every = "30m"                           # how often `comporta serve` runs it
# overlap = "10m"                         # how far before the end of coverage each window starts
# timeout = "2h"

# An ActiveCampaign account: address and key stand there under Settings, Developer.

# [accounts.crm]
# source = "activecampaign"
# url = "https://acme.api-us1.com"
# api_key = "env:AC_API_KEY"
# timezone = "America/Sao_Paulo"          # the account's own: some of its times come without a zone

# A seller at Mercado Livre; `comporta connect mercadolivre loja1` lets the seller agree in the browser.

# [accounts.loja1]
# source = "mercadolivre"
# client_id = "env:ML_CLIENT_ID"          # your application's
# client_secret = "env:ML_CLIENT_SECRET"

# Whom `comporta serve` tells when something needs a person; `comporta alerts test` tries it.

# [alerts.email]
# host = "smtp.example.com"
# user = "comporta@example.com"
# password = "env:SMTP_PASSWORD"
# sender = "comporta@example.com"
# to = ["ana@example.com"]
"""
connect_app = typer.Typer(rich_markup_mode=None, invoke_without_command=True)


@connect_app.callback()
def sources(context: typer.Context, as_json: Json = False) -> None:  # noqa: ARG001  console.py reads it
    """Ask for an account, test it and keep it, its key encrypted."""
    expect_command(context)


def init(
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="Where to write it.")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Write a commented comporta.toml."""
    from comporta.moving.placing import place, refuse_taken

    console = Console(is_json=as_json, is_verbose=verbose)
    path = (config or folder / FILE_NAME).absolute()
    draft = path.with_name(f".{path.name}.{token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        refuse_taken(path, force=force)
        draft.write_text(SAMPLE, encoding="utf-8", newline="\n")
        place(draft, path, force=force)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be written: {error}", next_step="Name a folder you may write.") from error
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    console.document({"ok": True, "path": str(path)})
    console.say(
        f"Wrote {path}.\n  Next: take the # away before an account in it and write yours, or run"
        " `comporta connect SOURCE NAME`; then `comporta check`."
    )
    return ExitCode.DONE


@connect_app.command()
def odoo(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What you call the account: letters, digits, - and _.")],
    *,
    url: Annotated[str | None, typer.Option(metavar="URL", help="https://erp.example.com")] = None,
    database: Annotated[str | None, typer.Option(metavar="NAME", help="The database at that server.")] = None,
    login: Annotated[str | None, typer.Option(metavar="USER", help="The user that reads.")] = None,
    api_key: Annotated[
        str | None, typer.Option(metavar="env:NAME|file:PATH", help="Where the key is now; asked for if left out.")
    ] = None,
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Ask for an Odoo account, test it and keep it, its key encrypted in the database."""
    console = Console(is_json=as_json, is_verbose=verbose)
    expect_account_name(name)
    asked = {
        "url": url or console.ask("url: ", option="--url"),
        "database": database or console.ask("database: ", option="--database"),
        "login": login or console.ask("login: ", option="--login"),
    }
    return keep(console, name, {"source": "odoo", **asked}, api_key=api_key, config=config)


@connect_app.command()
def activecampaign(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What you call the account: letters, digits, - and _.")],
    *,
    url: Annotated[str | None, typer.Option(metavar="URL", help="https://ACCOUNT.api-us1.com")] = None,
    timezone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="The zone set in the account, such as America/Sao_Paulo.")
    ] = None,
    api_key: Annotated[
        str | None, typer.Option(metavar="env:NAME|file:PATH", help="Where the key is now; asked for if left out.")
    ] = None,
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Ask for an ActiveCampaign account, test it and keep it, its key encrypted in the database."""
    console = Console(is_json=as_json, is_verbose=verbose)
    expect_account_name(name)
    asked = {"url": url or console.ask("url: ", option="--url")}
    if timezone:
        asked["timezone"] = timezone
    return keep(console, name, {"source": "activecampaign", **asked}, api_key=api_key, config=config)


def keep(console: Console, name: str, table: Mapping[str, object], *, api_key: str | None, config: Path | None) -> int:
    """Test an account that was typed in and keep it, or say what is wrong with it."""
    from comporta.bootstrap.workspaces import connect

    secret = typed_key(console, api_key)
    settings = read_settings(config)
    if name in settings.said:
        console.tell(f"Note: what {settings.path or 'the environment'} says of {name} wins over what is kept here.")
    findings = asyncio.run(connect(settings, name, table, api_key=secret))
    is_kept = all(finding.ok for finding in findings)
    step = restart_step(settings, name) if is_kept else None
    if is_kept and step is None:
        begin_again(settings, name, console=console)
    told = [finding_json(each) for each in findings]
    console.document({"ok": is_kept, "account": name, "findings": told, "next_step": step})
    show(console, name, findings)
    console.say(f"Kept. Next: comporta sync {name}" if is_kept else "Not kept: mend what is marked NO and try again.")
    if step:
        console.say(f"  Next: {step}")
    return ExitCode.DONE if is_kept else ExitCode.FAILED


def restart_step(settings: Settings, name: str) -> str | None:
    """Say that servers have to start anew before they know an account as it is now; nothing where that is not so.

    What the database keeps they take up by themselves, but settings they read when they began.
    """
    from comporta.bootstrap.databases import living_servers

    living = ", ".join(living_servers(settings)) if name in settings.said else ""
    where = settings.path or "the environment"
    return f"restart {living}: what is at work read {where} when it began, and {name} stands there" if living else None


def begin_again(settings: Settings, name: str, *, console: Console) -> None:
    """Have who is at work begin again what failed before an account was connected; else the next tick does."""

    async def work(workspace: "Workspace") -> None:
        with suppress(ComportaError):
            await workspace.ask_again(name)

    with_workspace(settings, work, console=console)


def check(
    names: Annotated[list[str] | None, typer.Argument(metavar="[ACCOUNT]...", help="Nothing means all.")] = None,
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Test addresses, keys, permissions and clocks; say what to fix."""
    console = Console(is_json=as_json, is_verbose=verbose)

    async def work(workspace: "Workspace") -> Mapping[str, Sequence[Finding]]:
        return await workspace.check(names or [])

    settings = read_settings(config)
    # An account may have a login whose token is good for once: what a check buys with it needs a place to be kept.
    opened = with_workspace if settings.said else read_workspace
    found = opened(settings, work, console=console)
    fine = [all(finding.ok for finding in findings) for findings in found.values()]
    accounts = [
        {"account": name, "ok": is_fine, "findings": [finding_json(each) for each in findings]}
        for (name, findings), is_fine in zip(found.items(), fine, strict=True)
    ]
    console.document({"ok": all(fine), "accounts": accounts})
    if settings.said or found:
        console.say("database: opened, its schema is up to date")
    for name, findings in found.items():
        show(console, name, findings)
    if not found:
        console.say(f"No account yet.\n  Next: {first_step(settings)}")
    if all(fine):
        return ExitCode.DONE
    return ExitCode.PARTLY_FAILED if any(fine) else ExitCode.FAILED


def typed_key(console: Console, reference: str | None) -> str:
    """Return the key from where an option says, or as it is typed, unseen."""
    if reference is not None:
        return revealed(reference, option="--api-key")
    if not console.can_ask:
        raise WrongUse("api_key: nobody can be asked here; expected --api-key env:NAME or file:PATH")
    return console.ask_unseen("API key (not shown): ", option="--api-key")


def revealed(reference: str, *, option: str) -> str:
    """Return the secret that an option refers to; refuse the secret itself."""
    try:
        place = read_secret(reference, Place(Path()))
    except ValueError as error:
        message = f"{option}: expected env:NAME or file:PATH; a secret on the command line is seen by everyone"
        raise WrongUse(message) from error
    return reveal(place, what=option)


def show(console: Console, name: str, findings: Sequence[Finding]) -> None:
    """Print what was found of an account."""
    for each in findings:
        console.say(f"{name}: {'ok' if each.ok else 'NO'}  {each.subject}: {each.message}")
        if each.next_step:
            console.say(f"  Next: {each.next_step}")


def finding_json(each: Finding) -> dict[str, object]:
    """Return one finding as JSON."""
    said = {"subject": each.subject, "ok": each.ok, "message": each.message, "next_step": each.next_step}
    return {**said, "details": dict(each.details)}
