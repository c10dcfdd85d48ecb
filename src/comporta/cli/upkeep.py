"""Looking after the installation: `comporta settings`, `doctor`, `migrate`.

None of them needs a source, and the first two change nothing.
"""

import platform
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from comporta import __version__
from comporta.cli.console import Console
from comporta.cli.options import Config, Json, Verbose
from comporta.cli.words import columns, value_text
from comporta.core.instant import short_text
from comporta.core.outcome import ExitCode
from comporta.errors import NewerSchema
from comporta.ports.system_clock import SystemClock
from comporta.settings import masked, read_account, read_settings
from comporta.settings_tree import Settings

if TYPE_CHECKING:
    from comporta.ledger.checkup import Checkup

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


def doctor(
    quick: Annotated[bool, typer.Option("--quick", help="Do not read the whole database.")] = False,
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Look at the database, the disk and the machine; say what to fix."""
    from comporta.databases import examine

    console = Console(is_json=as_json, is_verbose=verbose)
    known = read_settings(config)
    seen = examine(known, is_thorough=not quick)
    facts = facts_of(known, seen)
    problems = problems_of(known, seen)
    console.document({"ok": not problems, "doctor": facts, "problems": problems})
    console.say(columns(("", ""), list(facts.items())).lstrip("\n"))
    for problem in problems:
        console.say(f"PROBLEM {problem}")
    console.say("" if problems else "All is well.")
    return ExitCode.FAILED if problems else ExitCode.DONE


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


def facts_of(known: Settings, seen: "Checkup") -> dict[str, object]:
    """Return what doctor saw, in the order a person asks for it."""
    return {
        "comporta": __version__,
        "python": f"{platform.python_version()} {sys.executable}",
        "system": platform.platform(),
        "clock": short_text(SystemClock().now()),
        "timezone": known.timezone,
        "settings_file": str(known.path) if known.path else "none: defaults",
        "database": seen.where if seen.exists else f"{seen.where} (not there yet)",
        "schema": seen.revision or "none yet",
        **seen.facts,
        "master_key": str(known.master_key),
        "state_dir": str(known.state_dir),
    }


def problems_of(known: Settings, seen: "Checkup") -> list[str]:
    """Return what a person should see to."""
    from comporta.ledger.schema import is_current
    from comporta.settings import is_there
    from comporta.settings_keys import FIRST_SECRETS

    found = []
    try:
        is_current(seen.revision, seen.where)
    except NewerSchema as error:
        found.append(error.message)
    found += seen.problems
    found += [
        f"account {name}: its {key} {reference} is missing; set it, or use `comporta connect`"
        for name, account in known.accounts.items()
        for key, reference in account.secrets.items()
        if reference.kind != "stored" and not is_there(reference) and key not in FIRST_SECRETS.get(account.source, ())
    ]
    return found


def lines_of(tree: dict[str, object], prefix: str = "") -> list[str]:
    """Return a tree as lines of whole keys and values."""
    lines = []
    for key, value in tree.items():
        if isinstance(value, dict):
            lines += lines_of(value, f"{prefix}{key}.")
        else:
            lines.append(f"{prefix}{key} = {'-' if value is None else value_text(value, VALUE_LETTERS)}")
    return lines
