"""Looking after the installation: `comporta settings` and `migrate`.

Neither needs a source, and the first changes nothing.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from comporta.cli.console import Console
from comporta.cli.options import Config, Json, Verbose
from comporta.cli.words import value_text
from comporta.core.outcome import ExitCode
from comporta.ports.system_clock import SystemClock
from comporta.settings.keys import dotted
from comporta.settings.reading import masked, read_settings
from comporta.settings.stored import with_stored

VALUE_LETTERS = 200
UNWRITTEN = frozenset({"path", "folder", "name"})
"""What is known of the settings and is no key of theirs."""


def settings(config: Config = None, as_json: Json = False, verbose: Verbose = False) -> int:
    """Show what is set, secrets only as where they are."""
    from comporta.cli.doctor import database

    console = Console(is_json=as_json, is_verbose=verbose)
    read = read_settings(config)
    seen = database(read, is_thorough=False)
    known = masked(with_stored(read, seen.accounts, origin=f"the database {seen.where}"))
    keys = as_keys(known)
    console.document({"ok": seen.is_looked_at, "file": known["path"], "settings": keys})
    console.say(f"# {read.path or f'no comporta.toml in {read.folder}'}")
    for line in lines_of(keys):
        console.say(line)
    if seen.is_looked_at:
        return ExitCode.DONE
    for problem in seen.problems:
        console.tell(f"The accounts that the database keeps are not shown: {problem}")
    return ExitCode.FAILED


def migrate(
    check: Annotated[bool, typer.Option("--check", help="Only say whether it is needed; exit 1 if it is.")] = False,
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Bring the database's schema up to date; sync does so by itself."""
    from comporta.bootstrap.databases import examine, open_database
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


def as_keys(known: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is set by the keys that people write, without what is none."""
    accounts = {name: _account_keys(told) for name, told in known["accounts"].items()}
    return {**{key: value for key, value in known.items() if key not in UNWRITTEN}, "accounts": accounts}


def _account_keys(told: Mapping[str, Any]) -> dict[str, Any]:
    own = {key: value for key, value in told.items() if key not in (*UNWRITTEN, "options", "streams")}
    streams = {
        name: {
            key: value for key, value in each.items() if key not in UNWRITTEN and (key != "every" or not each["cron"])
        }
        for name, each in told["streams"].items()
    }
    return {**own, **told["options"], "streams": streams}


def lines_of(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> list[str]:
    """Return a tree as lines of whole keys and values."""
    lines = []
    for key, value in tree.items():
        whole = (*path, key)
        if isinstance(value, dict):
            lines += lines_of(value, whole)
        else:
            written = str(value).lower() if isinstance(value, bool) else value
            lines.append(f"{dotted(whole)} = {'-' if value is None else value_text(written, VALUE_LETTERS)}")
    return lines
