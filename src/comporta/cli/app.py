"""The tree of commands. Each command's module imports little; what it works with, it imports when called.

The help screen is written by hand, grouped by what a person wants to do, because a list of nineteen
commands in the order of the alphabet tells nobody where to begin; a test compares it with the tree.
"""

from functools import cache
from typing import Annotated

import typer
from typer.core import TyperGroup

from comporta import __version__
from comporta.cli import (
    account,
    accounts,
    alerts,
    backup,
    compare,
    demo,
    doctor,
    grant,
    history,
    move,
    sandbox,
    serve,
    settle,
    streams,
    sync,
    upkeep,
)

SCREEN = """\
Usage: comporta COMMAND [OPTIONS]       `comporta COMMAND --help` tells more

  demo        see it work, offline, on invented data
  init        write a comporta.toml      connect     try an account and keep it
  check       test addresses, keys, permissions and clocks; say what to fix
  accounts    which accounts there are   account     pause, rename, remove
  sync        bring everything up to date now, or the accounts and streams named
  serve       keep it all up to date     worker      only execute what is due

  status      where every stream is      alerts      what needs a person
  runs        the last runs              run         show or cancel one run
  log         what a run did             leases      who holds what, since when
  coverage    which time is covered      unlock      free what a dead one holds
  reconcile   compare a stream with its source, and repair it
  compare     read a stream one page at a time and several at once: time, data
  quarantine  records that could not be written, and why

  settings    what is set                doctor      what to fix
  backup      all of it in one file      restore     and back from it
  migrate     the schema, up to date     sandbox     run a simulated server
  migrate-database   move everything to another database, such as PostgreSQL

All: --json, --verbose, --config FILE (not demo, sandbox). --install-completion
Exit codes: 0 done, 1 failed, 2 wrong use, 3 partly failed, 4 busy
"""


class Screen(TyperGroup):
    """The top group, whose help is the screen above."""

    def format_help(self, _: typer.Context, formatter: object) -> None:  # type: ignore[override]  # click's formatter is no type of typer's
        """Write the screen."""
        formatter.write(SCREEN)  # type: ignore[attr-defined]  # click's formatter


def show_version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        typer.echo(f"comporta {__version__}")
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", is_eager=True, callback=show_version, help="Show the version.")]

app = typer.Typer(cls=Screen, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def comporta(version: Version = False) -> None:
    """Keep the data of many accounts in one database."""


for command in (
    demo.demo,
    accounts.init,
    accounts.check,
    account.accounts,
    sync.sync,
    serve.serve,
    serve.worker,
    streams.status,
    history.runs,
    history.log,
    streams.coverage,
    streams.leases,
    settle.reconcile,
    compare.compare,
    settle.unlock,
    upkeep.settings,
    doctor.doctor,
    upkeep.migrate,
    move.migrate_database,
    backup.backup,
    backup.restore,
):
    app.command()(command)
accounts.connect_app.command()(grant.mercadolivre)
app.add_typer(accounts.connect_app, name="connect", help="Ask for an account, test it and keep it.")
app.add_typer(account.account_app, name="account", help="Pause, resume, rename or remove one account.")
app.add_typer(history.run_app, name="run", help="Show or cancel one run.")
app.add_typer(alerts.alerts_app, name="alerts", help="What is wrong that matters, and what to do.")
app.add_typer(settle.quarantine_app, name="quarantine", help="Records that could not be written, and why.")
app.add_typer(sandbox.sandbox_app, name="sandbox", help="A simulated server, in the foreground.")


@cache
def commands() -> TyperGroup:
    """Return the tree that is called; it takes 17 ms to make, so a process makes it once."""
    return typer.main.get_command(app)  # type: ignore[return-value]  # a tree with branches is a group
