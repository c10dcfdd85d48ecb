"""Looking after the installation: `comporta settings` and `migrate`.

Neither needs a source, and the first changes nothing.
"""

from typing import Annotated

import typer

from comporta.cli.console import Console
from comporta.cli.options import Config, Json, Verbose
from comporta.cli.words import value_text
from comporta.core.outcome import ExitCode
from comporta.ports.system_clock import SystemClock
from comporta.settings import masked, read_account, read_settings

VALUE_LETTERS = 200


def settings(config: Config = None, as_json: Json = False, verbose: Verbose = False) -> int:
    """Show what is set, secrets only as where they are."""
    from comporta.databases import examine

    console = Console(is_json=as_json, is_verbose=verbose)
    read = read_settings(config)
    seen = examine(read, is_thorough=False)
    kept = {
        name: read_account(name, table, settings=read, origin=f"the database {seen.where}")
        for name, table in seen.accounts.items()
    }
    known = masked(read.with_accounts(kept))
    console.document({"ok": True, "settings": known})
    for line in lines_of(known):
        console.say(line)
    return ExitCode.DONE


def migrate(
    check: Annotated[bool, typer.Option("--check", help="Only say whether it is needed; exit 1 if it is.")] = False,
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Bring the database's schema up to date; sync does so by itself."""
    from comporta.databases import examine, open_database
    from comporta.ledger.schema import REVISIONS, is_current

    console = Console(is_json=as_json, is_verbose=verbose)
    known = read_settings(config)
    seen = examine(known, is_thorough=False)
    before = seen.revision
    is_behind = not is_current(before, seen.where)
    if not check:
        open_database(known, SystemClock()).close()
    after = before if check else REVISIONS[-1]
    console.document(
        {"ok": not (check and is_behind), "migrate": {"before": before, "after": after, "newest": REVISIONS[-1]}}
    )
    if check:
        console.say(f"schema {before or 'none'}, newest {REVISIONS[-1]}: {'behind' if is_behind else 'up to date'}")
    else:
        console.say(f"schema {after}: " + (f"migrated from {before or 'nothing'}" if is_behind else "was up to date"))
    return ExitCode.FAILED if check and is_behind else ExitCode.DONE


def lines_of(tree: dict[str, object], prefix: str = "") -> list[str]:
    """Return a tree as lines of whole keys and values."""
    lines = []
    for key, value in tree.items():
        if isinstance(value, dict):
            lines += lines_of(value, f"{prefix}{key}.")
        else:
            lines.append(f"{prefix}{key} = {'-' if value is None else value_text(value, VALUE_LETTERS)}")
    return lines
