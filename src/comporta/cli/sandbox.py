"""`comporta sandbox`: one simulated server in the foreground, to try settings on before a real one sees them.

Each simulator is loaded only by its own command.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from comporta.cli.console import Console
from comporta.cli.options import Json, Verbose, expect_command
from comporta.cli.session import SIGNALS
from comporta.core.outcome import ExitCode
from comporta.errors import WrongUse

if TYPE_CHECKING:
    from comporta.sandbox.simulator import Simulator

ODOO_PORT, ACTIVECAMPAIGN_PORT, MERCADOLIVRE_PORT = 8069, 8070, 8071
sandbox_app = typer.Typer(rich_markup_mode=None, invoke_without_command=True)
Seed = Annotated[int, typer.Option(metavar="S", help="Another seed invents other data.")]
Activity = Annotated[float, typer.Option(min=0, metavar="R", help="Changes a second by its people.")]
Port = Annotated[int, typer.Option(min=0, max=65_535, metavar="P", help="0 takes a free one.")]
Host = Annotated[str, typer.Option(metavar="ADDRESS")]
Fault = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME[=VALUE[:TIMES]][@CALL]", help="Something that goes wrong; may be repeated."),
]


@sandbox_app.callback()
def sandbox(context: typer.Context, as_json: Json = False) -> None:  # noqa: ARG001  console.py reads it
    """Run a simulated server in the foreground."""
    expect_command(context)


@sandbox_app.command()
def odoo(
    *,
    port: Port = ODOO_PORT,
    host: Host = "127.0.0.1",
    records: Annotated[int, typer.Option(min=1, max=1_000_000, metavar="N", help="How many sale orders.")] = 1_000,
    seed: Seed = 1,
    activity: Activity = 0.0,
    version_of: Annotated[int | None, typer.Option(min=16, max=19, metavar="V", help="Odoo 16 to 19.")] = None,
    fault: Fault = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Simulate an Odoo server: database, login and key are `demo`. Ctrl-C ends it."""
    from comporta.sandbox.odoo import OdooSandbox
    from comporta.sandbox.odoo_models import LAST_VERSION

    version = version_of if version_of is not None else LAST_VERSION
    server = opened(
        lambda: OdooSandbox(
            records=records, seed=seed, host=host, port=port, activity=activity, faults=fault or (), version=version
        ),
        f"sandbox odoo: port {port} of {host}",
    )
    facts = {"database": "demo", "login": "demo", "api_key": "demo", "version": version}
    said = f"Odoo {version} (simulated) at {server.url}; database, login and key: demo. Ctrl-C ends it."
    return serve(server, Console(is_json=as_json, is_verbose=verbose), facts, said)


@sandbox_app.command()
def activecampaign(
    *,
    port: Port = ACTIVECAMPAIGN_PORT,
    host: Host = "127.0.0.1",
    records: Annotated[int, typer.Option(min=1, max=1_000_000, metavar="N", help="How many deals.")] = 1_000,
    seed: Seed = 1,
    activity: Activity = 0.0,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Requests it allows in any second.")] = 5,
    zone: Annotated[str, typer.Option(metavar="ZONE", help="Time zone of the account.")] = "America/Chicago",
    fault: Fault = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Simulate an ActiveCampaign account: its key is `demo`. Ctrl-C ends it."""
    from comporta.sandbox.activecampaign import ActiveCampaignSandbox

    server = opened(
        lambda: ActiveCampaignSandbox(
            records=records, seed=seed, host=host, port=port, activity=activity, limit=limit, zone=zone,
            faults=fault or (),
        ),
        f"sandbox activecampaign: port {port} of {host}",
    )  # fmt: skip
    facts = {"api_key": "demo", "limit": f"{limit}/1s", "timezone": zone}
    said = f"ActiveCampaign (simulated) at {server.url}; key: demo; {limit} requests a second. Ctrl-C ends it."
    return serve(server, Console(is_json=as_json, is_verbose=verbose), facts, said)


@sandbox_app.command()
def mercadolivre(
    *,
    port: Port = MERCADOLIVRE_PORT,
    host: Host = "127.0.0.1",
    records: Annotated[int, typer.Option(min=0, max=1_000_000, metavar="N", help="Orders of each seller.")] = 1_000,
    sellers: Annotated[int, typer.Option(min=1, max=100, metavar="K", help="How many: 1001, 1002, …")] = 2,
    items: Annotated[int, typer.Option(min=1, max=100_000, metavar="M", help="Items of each seller.")] = 60,
    seed: Seed = 1,
    activity: Activity = 0.0,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Requests a second of a seller.")] = None,
    token_life: Annotated[int, typer.Option(min=1, metavar="S", help="Seconds an access token is good for.")] = 21_600,
    fault: Fault = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Simulate Mercado Livre: client `demo`, refresh tokens `demo-1001`, … Ctrl-C ends it."""
    from comporta.sandbox.mercadolivre import MercadoLivreSandbox

    server = opened(
        lambda: MercadoLivreSandbox(
            records=records, sellers=sellers, items=items, seed=seed, host=host, port=port, activity=activity,
            limit=limit, token_lifetime_s=token_life, faults=fault or (),
        ),
        f"sandbox mercadolivre: port {port} of {host}",
    )  # fmt: skip
    tokens = {str(seller): f"demo-{seller}" for seller in range(1001, 1001 + sellers)}
    facts = {"client_id": "demo", "client_secret": "demo", "refresh_tokens": tokens, "token_life_s": token_life}
    facts["limit"] = limit
    named = ", ".join(tokens.values())
    said = f"Mercado Livre (simulated) at {server.url}; client and secret: demo; first refresh tokens: {named}."
    return serve(server, Console(is_json=as_json, is_verbose=verbose), facts, f"{said} Ctrl-C ends it.")


def opened(make: Callable[[], "Simulator"], attempt: str) -> "Simulator":
    """Return the simulator, or say that its port cannot be had."""
    try:
        return make()
    except OSError as error:
        raise WrongUse(f"{attempt}: {error}", next_step="Choose another --port or --host.") from error


def serve(server: "Simulator", console: Console, facts: dict[str, Any], said: str) -> int:
    """Serve until told to end, having said where."""
    with server, told_to_end() as told:
        console.document({"ok": True, "sandbox": {"url": server.url, **facts}})
        console.say(said)
        # A wait without an end cannot be interrupted on Windows.
        while not told.wait(0.2):
            pass
    return ExitCode.DONE


@contextmanager
def told_to_end() -> Iterator[threading.Event]:
    """Give what a signal that ends the process sets, from now on."""
    told = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        told.set()

    before = {
        number: signal.signal(number, on_signal)
        for number in (getattr(signal, name) for name in SIGNALS if hasattr(signal, name))
    }
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
