"""A copy for the shelf: `comporta backup FILE`, and the way back: `comporta restore FILE`.

Both name the master key each time, because the backup is without worth for stored keys and logins to whoever has lost
it, and people learn that on the day on which it is too late.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from comporta.cli.console import Console
from comporta.cli.options import Config, Json, Verbose, Yes
from comporta.core.outcome import ExitCode
from comporta.errors import WrongUse
from comporta.ports.system_clock import SystemClock
from comporta.settings.reading import read_settings

if TYPE_CHECKING:
    from comporta.moving.backup import Backup
    from comporta.moving.keys import Key

File = Annotated[Path, typer.Argument(metavar="FILE", help="The backup's file.")]
WithKey = Annotated[bool, typer.Option("--with-key", help="The master key too, beside it as FILE.key.")]
Binaries = Annotated[
    Path | None, typer.Option("--pg-bin", metavar="FOLDER", help="Where pg_dump and pg_restore are, for PostgreSQL.")
]


def backup(
    file: File,
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    with_key: WithKey = False,
    pg_bin: Binaries = None,
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Write the whole database into one file, while others work in it."""
    from comporta.moving.backup import back_up

    console = Console(is_json=as_json, is_verbose=verbose)
    made = back_up(read_settings(config), file, force=force, with_key=with_key, binaries=pg_bin)
    console.document({"ok": True, "backup": as_document(made)})
    console.say(f"{made.where} is in {made.path}: {made.size:,} bytes, schema {made.revision}, checked")
    console.say(key_line(made.key, made.contents.secrets))
    if made.key.copy:
        console.say(f"Its copy: {made.key.copy}. Who has both files has every stored key; keep them apart.")
    return ExitCode.DONE


def restore(
    file: File,
    *,
    with_key: WithKey = False,
    pg_bin: Binaries = None,
    yes: Yes = False,
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Put a backup into the place of the database; what is there is kept under another name."""
    from comporta.bootstrap.databases import examine
    from comporta.moving.backup import put_back, refuse_living

    console = Console(is_json=as_json, is_verbose=verbose)
    settings = read_settings(config)
    if not file.is_file():
        raise WrongUse(f"restore: there is no file {file}", next_step="Name a file that `comporta backup` made.")
    if settings.is_postgres or settings.sqlite_path.exists():
        refuse_living(settings, SystemClock())
        if not yes and (not settings.is_postgres or examine(settings, is_thorough=False).revision is not None):
            console.tell(f"{settings.database_shown} is replaced by {file}; what is there gets another name.")
            if console.ask("Type yes to go on: ", option="--yes") != "yes":
                raise WrongUse("restore: not confirmed, so nothing was done", next_step="Use --yes in scripts.")
    done = put_back(settings, file, clock=SystemClock(), with_key=with_key, binaries=pg_bin)
    console.document({"ok": True, "restore": as_document(done)})
    for line in restored_lines(done):
        console.say(line)
    return ExitCode.DONE


def as_document(made: "Backup") -> dict[str, object]:
    """Return what was written or put back, as JSON."""
    key = made.key
    return {
        "file": str(made.path),
        "database": made.where,
        "bytes": made.size,
        "schema": made.revision,
        "streams": made.contents.streams,
        "secrets": made.contents.secrets,
        "logins": list(made.contents.logins),
        "master_key": {"reference": key.where, "copy": str(key.copy) if key.copy else None, "opens": key.opens},
        "before": list(made.before),
    }


def key_line(key: "Key", secrets: int) -> str:
    """Say where the master key is, and what it is needed for."""
    if not secrets:
        return f"Master key: {key.where}. Nothing is stored that needs it yet."
    if key.opens:
        return f"Master key: {key.where}. Keep it too, elsewhere: the {secrets} stored secrets open with nothing else."
    return (
        f"Master key: {key.where} does NOT open the {secrets} stored secrets, or is not there.\n"
        "  Next: find the file that belongs to them (master_key in comporta.toml), or connect the accounts again."
    )


def restored_lines(done: "Backup") -> list[str]:
    """Say what was put back, and what a person does now."""
    lines = [f"{done.where} holds what {done.path} held, schema {done.revision}."]
    lines += [f"What was there before: {name}; remove it when you are sure." for name in done.before]
    lines.append(key_line(done.key, done.contents.secrets))
    lines.append(
        f"Next: comporta sync. It goes on where the backup ends, and compares {done.contents.streams} streams with"
        " their sources: what was deleted meanwhile is found by that."
    )
    if done.contents.logins:
        names = ", ".join(done.contents.logins)
        lines.append(
            f"Logins whose tokens work once ({names}) may have been renewed since: if `comporta status` says that one"
            " needs a login, connect it again."
        )
    return lines
