"""Changing the database: `comporta migrate-database FROM TO`.

FROM and TO are written as `database` in comporta.toml, or are the path of an SQLite file. The settings'
own database does not matter: what else they say (schema, pool, busy_timeout) holds for both.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from comporta.cli.console import Console
from comporta.cli.options import Config, Json, Verbose, Yes
from comporta.cli.words import age_text
from comporta.core.outcome import ExitCode
from comporta.core.postgres_url import is_postgres, shown_database
from comporta.errors import BadValue, WrongUse
from comporta.ports.system_clock import SystemClock
from comporta.settings.reading import read_settings, reveal
from comporta.settings.tree import Settings
from comporta.settings.values import DATABASE_FORM, Place, read_database, read_secret

if TYPE_CHECKING:
    from comporta.moving.move import Moved

FORM = f"the path of an SQLite file; or {DATABASE_FORM}"
From = Annotated[str, typer.Argument(metavar="FROM", help="The database to move: a file, or as in comporta.toml.")]
To = Annotated[str, typer.Argument(metavar="TO", help="The new database, without data of Comporta's.")]


@dataclass(frozen=True, slots=True)
class Named:
    """A database as the command names it: settings that have it as theirs, and how comporta.toml would write it."""

    settings: Settings
    line: str


def migrate_database(
    old: From,
    new: To,
    *,
    abandon: Annotated[bool, typer.Option("--abandon", help="Take an unfinished move of the two back.")] = False,
    yes: Yes = False,
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Move everything to another database: SQLite to PostgreSQL, back, or to another of the same kind."""
    from comporta.moving.opening import migrate_database as move

    console = Console(is_json=as_json, is_verbose=verbose)
    known = read_settings(config)
    source, target = named(old, known, "FROM"), named(new, known, "TO")
    if abandon:
        return take_back(source, target, console, confirmed=yes)
    console.say(f"Moving {source.settings.database_shown} to {target.settings.database_shown}")
    moved = move(source.settings, target.settings, clock=SystemClock(), tell=console.say)
    console.document({"ok": True, "move": as_document(moved, source, target)})
    for line in ended(moved, source, target):
        console.say(line)
    return ExitCode.DONE


def take_back(source: Named, target: Named, console: Console, *, confirmed: bool) -> int:
    """Take a move back, once it is confirmed."""
    from comporta.moving.opening import take_back as abandon

    shown = target.settings.database_shown
    if not confirmed:
        console.tell(f"What was copied to {shown} is dropped; {source.settings.database_shown} is as before the move.")
        if console.ask("Type yes to go on: ", option="--yes") != "yes":
            raise WrongUse("--abandon: not confirmed, so nothing was done", next_step="Use --yes in scripts.")
    left = abandon(source.settings, target.settings, clock=SystemClock())
    console.document({"ok": True, "abandoned": {"from": source.settings.database_shown, "to": shown, "left": left}})
    console.say(f"{source.settings.database_shown}: open again, as before the move")
    console.say(f"{shown}: " + (f"nothing was dropped there: {left}" if left else "the unfinished copy is dropped"))
    return ExitCode.DONE


def named(text: str, known: Settings, what: str) -> Named:
    """Return the database that an argument names."""
    try:
        if re.match(r"(env|file):", text):
            reference = read_secret(text, Place(Path.cwd()))
            address = read_database(reveal(reference, what=what), Place(known.folder))
            return Named(replace(known, database=address, database_from=reference), f'database = "{reference}"')
        if is_postgres(text) or text.startswith("sqlite:"):
            address = read_database(text, Place(known.folder))
        elif not text.strip() or "://" in text or text.endswith(("/", "\\")):
            raise ValueError(FORM)  # noqa: TRY301  the same words as for what cannot be read
        else:
            address = "sqlite:///" + (Path.cwd() / Path(text).expanduser()).as_posix()
    except ValueError as error:
        raise BadValue(f"{what} is {shown_database(text)!r}; expected {error}") from error
    settings = replace(known, database=address, database_from=None)
    return Named(settings, f'database = "{settings.database_shown if settings.is_postgres else address}"')


def as_document(moved: "Moved", source: Named, target: Named) -> dict[str, object]:
    """Return what was moved as JSON."""
    return {
        "from": source.settings.database_shown,
        "to": target.settings.database_shown,
        "tables": [{"table": table, "rows": each.rows, "sum": each.text} for table, each in moved.sums.items()],
        "rows": moved.rows,
        "left_behind": moved.left_behind,
        "seconds": round(moved.took.total_seconds(), 3),
        "setting": target.line,
    }


def ended(moved: "Moved", source: Named, target: Named) -> list[str]:
    """Say what was moved, and what to do now."""
    lines = [
        f"{len(moved.sums)} tables with {moved.rows:,} rows are the same in both, in {age_text(moved.took)}.",
        *(f"Left behind: {each}" for each in moved.left_behind),
        f"{source.settings.database_shown} is sealed: no Comporta writes to it any more. Keep it until you are sure.",
        f"Next: write in comporta.toml, on every machine\n  {target.line}",
    ]
    if "***" in target.line:
        lines.append("with the password in the place of ***.")
    if moved.sums["cmp_secret"].rows:
        lines.append(
            f"Stored keys went along closed: the master key ({source.settings.master_key}) is needed as before."
        )
    return lines
