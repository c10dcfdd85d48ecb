"""`comporta demo`: everything offline, on invented data.

The demo leaves a folder with a comporta.toml, a key file and the database, which work on for as long
as simulators listen at the addresses in the file: `comporta sandbox …` starts them again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Annotated

import typer

from comporta.cli.console import Console
from comporta.cli.demo_server import EVERY, go_on, place_for
from comporta.cli.options import Json, Verbose
from comporta.cli.sandbox import Activity, Seed
from comporta.cli.sync import Asked, perform, summary
from comporta.cli.words import columns, counts_text
from comporta.core.outcome import ExitCode, exit_code
from comporta.core.run import Run
from comporta.core.window import Kind, Request
from comporta.errors import WrongUse
from comporta.settings.reading import read_settings
from comporta.settings.tree import STREAM_DEFAULTS, Settings

if TYPE_CHECKING:
    from comporta.sandbox.activecampaign import ActiveCampaignSandbox
    from comporta.sandbox.mercadolivre import MercadoLivreSandbox
    from comporta.sandbox.odoo import OdooSandbox

ACCOUNT = "demo"
KEY_FILE = "demo.key"
DATABASE_FILE = "comporta-demo.db"
OWN_DATABASE = f"sqlite:///{DATABASE_FILE}"
RECORDS, SEED = 1_000, 1
ACTIVITY = 2.0
DEALS = 60
"""So many that the account's five requests a second are felt, and so few that nobody waits for long."""
LIMIT = 5
SELLERS = (1001, 1002)
SALES, ITEMS = 60, 40
"""Of each of two sellers."""
ROWS_SHOWN = 5
VIEWS = {
    "orders": ("source", "account", "number", "customer", "status", "currency", "total_minor", "ordered_at"),
    "order_products": ("order_number", "product_code", "quantity", "total_minor", "lines"),
    "deals": ("id", "title", "stage", "status", "currency", "value_minor", "created_at"),
    "deals_crm": ("id", "stage", "origem", "mensalidade", "inicio_previsto", "forma_de_pagamento"),
}
MARK = "# Made by `comporta demo`."
TOML = """\
{mark} The data are invented. The servers are
# `comporta sandbox odoo --port {port} --records {records} --seed {seed}`,
# `comporta sandbox activecampaign --port {crm_port} --records {deals} --seed {seed}` and
# `comporta sandbox mercadolivre --port {market_port} --records {sales} --items {items} --seed {seed}`; the last
# grants access anew with `comporta connect mercadolivre loja1`, and loja2 with &seller=1002 behind the address.

database = "{database}"
state_dir = "."
margin = "1s"                             # simulator and Comporta share one clock
deleted_share = 1                         # of so few deals a twentieth is deleted within a minute

[accounts.demo]
source = "odoo"
url = "{url}"
database = "demo"
login = "demo"
api_key = "file:demo.key"
{erp_often}
[accounts.crm]
source = "activecampaign"
url = "{crm_url}"
api_key = "file:demo.key"
limit = "{limit}/1s"
{crm_often}{sellers}"""
SELLER = """
[accounts.loja{number}]
source = "mercadolivre"
url = "{url}"
auth_url = "{url}"
client_id = "file:demo.key"
client_secret = "file:demo.key"
refresh_token = "file:loja{number}.token"
{often}"""
Records = Annotated[int, typer.Option(min=1, max=1_000_000, metavar="N", help="How many sale orders.")]


def demo(
    *,
    once: Annotated[bool, typer.Option("--once", help="Sync everything once, show the result, end.")] = False,
    records: Records = RECORDS,
    seed: Seed = SEED,
    folder: Annotated[Path, typer.Option("--dir", metavar="FOLDER", help="Where to put it.")] = Path("comporta-demo"),
    database: Annotated[
        str, typer.Option(metavar="URL", help="A database of yours, postgresql://…, instead of a file in the folder.")
    ] = OWN_DATABASE,
    activity: Activity = ACTIVITY,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, metavar="P", help="Where the server listens, without --once.")
    ] = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """See it work, offline: simulated Odoo, ActiveCampaign and Mercado Livre, an SQLite file, a sync, a server."""
    from comporta.sandbox.activecampaign import ActiveCampaignSandbox
    from comporta.sandbox.mercadolivre import MercadoLivreSandbox
    from comporta.sandbox.odoo import OdooSandbox

    console = Console(is_json=as_json, is_verbose=verbose)
    console.say(f"Inventing a company with {records:,} orders, {DEALS} deals and two shops of {SALES} sales each …")
    token = token_hex(4)  # a database of an earlier demo knows other ones
    with (
        OdooSandbox(records=records, seed=seed) as erp,
        ActiveCampaignSandbox(records=DEALS, seed=seed, limit=LIMIT) as crm,
        MercadoLivreSandbox(records=SALES, items=ITEMS, seed=seed, first_token=token) as market,
    ):
        servers = Servers(erp.url, crm.url, market.url, token, records=records, seed=seed, is_live=not once)
        config = prepare(folder, servers, database)
        settings = read_settings(config, environ={})
        refuse_strangers(settings)
        address = None if once else place_for(settings, port, console)
        console.say(
            f"A simulated Odoo {erp.world.version} answers at {erp.url}, a simulated ActiveCampaign that allows "
            f"{LIMIT} requests a second at {crm.url}, a simulated Mercado Livre at {market.url}. Syncing …"
        )
        runs, _ = perform(settings, what_to_ask(database), console)
        code = exit_code(runs)
        facts = document(settings, config, runs)
        if address is None or code is not ExitCode.DONE:
            console.document(facts)
            present(console, settings, config, runs)
            return code
        present(console, settings, config, runs)
        return go_on(console, settings, address, facts, partial(let_work, (erp, crm), market, activity))


def let_work(
    others: "Sequence[OdooSandbox | ActiveCampaignSandbox]", market: "MercadoLivreSandbox", rate: float, hook: str
) -> None:
    """Have people change so much a second, now that what they change was shown as it was."""
    market.notices.subscribe(hook)
    for each in (*others, market) if rate else ():
        each.people.start(rate)


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the simulators answer; ``token`` is what the sellers' first refresh tokens begin with.

    ``records`` and ``seed`` are those of the command. ``is_live``: a server will look at them again and again.
    """

    erp: str
    crm: str
    market: str
    token: str
    records: int = RECORDS
    seed: int = SEED
    is_live: bool = False

    def toml(self, database: str) -> str:
        """Return the settings that name them."""
        often = self._often("mercadolivre")
        numbers = range(1, len(SELLERS) + 1)
        sellers = (SELLER.format(number=number, url=self.market, often=often) for number in numbers)
        return TOML.format(
            mark=MARK,
            database=database,
            url=self.erp,
            port=_port(self.erp),
            crm_url=self.crm,
            crm_port=_port(self.crm),
            market_port=_port(self.market),
            records=self.records,
            seed=self.seed,
            deals=DEALS,
            sales=SALES,
            items=ITEMS,
            limit=LIMIT,
            erp_often=self._often("odoo"),
            crm_often=self._often("activecampaign"),
            sellers="".join(sellers),
        )

    def _often(self, source: str) -> str:
        """Return the lines by which every stream of an account is due as often as somebody watches.

        Not those that are seldom due elsewhere: they are read whole each time.
        """
        from comporta.bootstrap.source_kinds import KINDS

        own = STREAM_DEFAULTS.get(source, {})
        streams = [name for name in KINDS[source].streams if "every" not in own.get(name, {})] if self.is_live else []
        return "".join(f'streams."{name}".every = "{EVERY}"\n' for name in streams)


def _port(url: str) -> str:
    return url.rpartition(":")[2]


def prepare(folder: Path, servers: Servers, database: str) -> Path:
    """Write the demo's settings, which the person may use again; return their path.

    An earlier demo's database goes: its invented company is gone too. Nobody else's file is touched.
    """
    config = folder / "comporta.toml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if config.exists() and not config.read_text("utf-8", "replace").startswith(MARK):
            message = f"demo: {config} was not made by a demo; it was left as it is"
            raise WrongUse(message, next_step="Name another folder with --dir.")
        for end in ("", "-wal", "-shm"):
            (folder / f"{DATABASE_FILE}{end}").unlink(missing_ok=True)
        (folder / KEY_FILE).write_text("demo\n", encoding="utf-8")
        for number, seller in enumerate(SELLERS, start=1):
            (folder / f"loja{number}.token").write_text(f"{servers.token}-{seller}\n", encoding="utf-8")
        config.write_text(servers.toml(database), encoding="utf-8")
    except OSError as error:
        raise WrongUse(
            f"demo: {folder} cannot be written: {error}", next_step="Name another folder with --dir."
        ) from error
    return config


def refuse_strangers(settings: Settings) -> None:
    """Raise if others than a demo work with a database: its accounts are called what people call theirs."""
    from comporta.bootstrap.databases import accounts_in

    found = accounts_in(settings)
    strangers = found - settings.accounts.keys() or (found if ACCOUNT not in found else set())
    if strangers:
        names = ", ".join(sorted(strangers))
        message = f"demo: {settings.database_shown} holds accounts that no demo made: {names}; it was left as it is"
        raise WrongUse(message, next_step="Name an empty database with --database, or leave it out.")


def what_to_ask(database: str) -> Asked:
    """Return what to sync: a database of the person's own may hold the company that an earlier demo invented."""
    is_new = database == OWN_DATABASE
    return Asked() if is_new else Asked(request=Request(Kind.FULL), is_confirmed=True)


def document(settings: Settings, config: Path, runs: Sequence[Run]) -> Mapping[str, object]:
    """Return what `--json` prints."""
    return {
        "ok": exit_code(runs) is ExitCode.DONE,
        "runs": [run.as_json() for run in runs],
        "database": settings.database_shown,
        "config": str(config.absolute()),
    }


def present(console: Console, settings: Settings, config: Path, runs: Sequence[Run]) -> None:
    """Print the runs, a few rows, where everything is and what to try."""
    if console.is_json:
        return
    rows = [
        (run.account, run.stream, run.state.value, run.counts.read, counts_text(run.counts), took(run)) for run in runs
    ]
    console.say("\n" + columns(("account", "stream", "state", "read", "result", "took"), rows))
    if exit_code(runs) is not ExitCode.DONE:
        for line in summary(runs):
            console.say(line)
        return
    from comporta.bootstrap.databases import first_rows

    for view, names in VIEWS.items():
        order = f"{'ordered_at' if 'ordered_at' in names else names[0]} DESC"
        found = first_rows(settings, view, names, order=order, limit=ROWS_SHOWN)
        console.say(f"\nSELECT … FROM {view}:\n" + columns(names, found))
    console.say(
        f"\nIt is all in {settings.database_shown}: open it with any tool for such a database."
        f"\n  Next: comporta runs --config {config}"
        f"\n        comporta coverage {ACCOUNT}/sale.order --config {config}"
    )


def took(run: Run) -> str:
    """Return how long a run took, for people."""
    return f"{run.duration_s or 0:.1f} s"
