"""`comporta connect mercadolivre`: a seller agrees in the browser, and the pair of tokens is kept.

Connecting again after "needs login" is the same command: the application is known by then, and only a new pair is
stored. An account of comporta.toml keeps its settings.
"""

import asyncio
from contextlib import suppress
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Annotated

import typer

from comporta.cli.accounts import begin_again, restart_step, revealed
from comporta.cli.console import Console
from comporta.cli.options import Config, Json, Verbose
from comporta.core.instant import short_text
from comporta.core.outcome import ExitCode
from comporta.errors import ComportaError, SecretMissing, SourceRefused, WrongUse
from comporta.settings.keys import expect_account_name
from comporta.settings.reading import read_settings

if TYPE_CHECKING:
    from comporta.bootstrap.grants import Granting
    from comporta.ports.login import Tokens
    from comporta.settings.tree import Settings

REDIRECT = "http://127.0.0.1:8765/callback"
ELSEWHERE = "https://localhost/callback"
"""For applications that must name https: the browser ends there at a page that does not open, and is pasted from."""
Reference = "env:NAME|file:PATH"


def mercadolivre(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What you call the account: letters, digits, - and _.")],
    *,
    client_id: Annotated[str | None, typer.Option(metavar=Reference, help="Your application's id.")] = None,
    client_secret: Annotated[str | None, typer.Option(metavar=Reference, help="Your application's secret.")] = None,
    site: Annotated[str | None, typer.Option(metavar="MLB", help="The seller's country; MLB is Brazil.")] = None,
    redirect_uri: Annotated[str, typer.Option(metavar="URI", help="Exactly as at the application's page.")] = REDIRECT,
    refresh_token: Annotated[
        str | None, typer.Option(metavar=Reference, help="A token you have already, instead of the browser.")
    ] = None,
    url: Annotated[str | None, typer.Option(metavar="URL", help="Another address of the API: a simulator's.")] = None,
    auth_url: Annotated[str | None, typer.Option(metavar="URL", help="Another address at which to agree.")] = None,
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Let a seller grant access in the browser, and keep the account, its tokens encrypted in the database."""
    console = Console(is_json=as_json, is_verbose=verbose)
    expect_account_name(name)
    settings = read_settings(config)
    given = {"site": site, "url": url, "auth_url": auth_url}
    table = {key: value for key, value in given.items() if value is not None}
    if name in settings.said and table:
        console.tell(f"Note: what {settings.path or 'the environment'} says of {name} wins over what is typed here.")
    typed = {"client_id": client_id, "client_secret": client_secret}
    parts = {
        part: revealed(told, option=f"--{part.replace('_', '-')}") for part, told in typed.items() if told is not None
    }
    first = revealed(refresh_token, option="--refresh-token") if refresh_token is not None else None
    try:
        said = asyncio.run(_connect(console, settings, name, table, parts, first, redirect_uri))
    except SecretMissing:
        if not console.can_ask or parts:
            raise
        parts = _asked(console)
        said = asyncio.run(_connect(console, settings, name, table, parts, first, redirect_uri))
    # A new pair of tokens is seen by who is at work, whatever settings name the account.
    step = restart_step(settings, name) if table or parts else None
    if step is None:
        begin_again(settings, name, console=console)
    console.document({"ok": True, "account": name, **said, "next_step": step})
    reads = f"{name} reads seller {said['seller']}.\n  Next: comporta sync {name}"
    unknown = f"the login of {name}, whose it is shows when it is used.\n  Next: comporta check {name}"
    console.say(f"Kept: {reads if said['seller'] else unknown}")
    if step:
        console.say(f"  Next: {step}")
    return ExitCode.DONE


async def _connect(  # noqa: PLR0917  the command's own options
    console: Console,
    settings: "Settings",
    name: str,
    table: dict[str, str],
    parts: dict[str, str],
    first: str | None,
    redirect_uri: str,
) -> dict[str, object]:
    from comporta.bootstrap.grants import open_granting

    async with open_granting(settings, name, table, parts, tell=console.tell) as granting:
        tokens = await (granting.renew(first) if first else _agreed(granting, console, redirect_uri))
        until = short_text(tokens.expires_at)
        if not tokens.user_id:
            return {"seller": None, "user_id": None, "expires_at": until}
        seller: dict[str, object] = {"user_id": tokens.user_id}
        with suppress(ComportaError):  # who it is by name is good to know; the pair is kept already
            user = await granting.user(tokens)
            seller |= {"nickname": user.nickname, "site": user.site}
            if user.site not in {"", site := granting.told.options["site"]}:
                console.tell(
                    f"{user.nickname} sells in {user.site}, and `site` of {name} is {site}: missed notifications of its"
                    f' items are not found so. Write site = "{user.site}", or connect again with --site {user.site}.'
                )
        shown = " ".join(str(part) for part in (seller.get("nickname"), f"({tokens.user_id})") if part)
        return {"seller": shown, **seller, "expires_at": until}


async def _agreed(granting: "Granting", console: Console, redirect_uri: str) -> "Tokens":
    """Send the person to the source's page and return what their consent buys."""
    from comporta.cli.callback import brought_back, is_loopback
    from comporta.sources.mercadolivre_oauth import refusal_of

    state, verifier = token_urlsafe(24), token_urlsafe(48)
    address = granting.address(redirect_uri=redirect_uri, state=state, verifier=verifier)
    may_paste = console.can_ask or not is_loopback(redirect_uri)

    def send() -> None:
        console.tell(
            f"Open this address in a browser, logged in as the seller's main user, and agree:\n\n  {address}\n"
        )
        console.tell(_about_redirect(redirect_uri, is_here=is_loopback(redirect_uri)))
        if may_paste:
            console.tell("If the browser ends at a page that does not open, paste its address here:")

    said = await brought_back(redirect_uri, state, may_paste=may_paste, send=send)
    if "error" in said:
        raise refusal_of(said["error"], said.get("error_description", ""))
    if "code" not in said:
        raise WrongUse("what was pasted has no code", next_step="Paste the whole address that the browser ended at.")
    if said.get("state") != state:
        message = "what came back belongs to another attempt: its state is not the one that was sent out"
        raise WrongUse(message, next_step="Start again, and open the new address.")
    try:
        return await granting.exchange(said["code"], verifier=verifier, redirect_uri=redirect_uri)
    except SourceRefused as error:
        error.next_step += f" The redirect URI used is {redirect_uri}."
        raise


def _about_redirect(redirect_uri: str, *, is_here: bool) -> str:
    """Say what the application's page has to name; where it is wrong there, the browser never comes back."""
    said = f"The application's page there must name this redirect URI, letter for letter: {redirect_uri}"
    if not is_here:
        return said
    return f"{said}\nIf it takes no http:// address, name {ELSEWHERE}, and run this with --redirect-uri {ELSEWHERE}"


def _asked(console: Console) -> dict[str, str]:
    return {
        "client_id": console.ask("client_id of your application: ", option="--client-id"),
        "client_secret": console.ask_unseen("client_secret (not shown): ", option="--client-secret"),
    }
