"""Looking after the installation: `comporta settings`, `doctor`, `migrate`.

None of them needs a source, and the first two change nothing.
"""

import platform
import shutil
import sys
from pathlib import Path
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
DISK_LEAST = 500 * 1024 * 1024
"""Free bytes below which doctor warns."""


def settings(config: Config = None, as_json: Json = False, verbose: Verbose = False) -> int:
    """Show what is set, secrets only as where they are."""
    from comporta.ledger.checkup import kept_accounts

    console = Console(is_json=as_json, is_verbose=verbose)
    read = read_settings(config)
    kept = {
        name: read_account(name, table, settings=read, origin=f"the database {read.sqlite_path}")
        for name, table in kept_accounts(read.sqlite_path).items()
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
    from comporta.bootstrap import pragmas
    from comporta.ledger.checkup import examine
    from comporta.ledger.refusals import refuse_unusable

    console = Console(is_json=as_json, is_verbose=verbose)
    known = read_settings(config)
    refuse_unusable(known.sqlite_path)
    seen = examine(known.sqlite_path, pragmas(known), is_thorough=not quick)
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
    from comporta.bootstrap import open_database, pragmas
    from comporta.ledger.checkup import examine
    from comporta.ledger.schema import REVISIONS

    console = Console(is_json=as_json, is_verbose=verbose)
    known = read_settings(config)
    before = examine(known.sqlite_path, pragmas(known), is_thorough=False).revision
    if before is not None and before not in REVISIONS:
        raise NewerSchema(newer_text(known, before))
    if not check:
        open_database(known).close()
    is_behind = before != REVISIONS[-1]
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
    path = known.sqlite_path
    wal = Path(f"{path}-wal")
    return {
        "comporta": __version__,
        "python": f"{platform.python_version()} {sys.executable}",
        "system": platform.platform(),
        "clock": short_text(SystemClock().now()),
        "timezone": known.timezone,
        "settings_file": str(known.path) if known.path else "none: defaults",
        "database": str(path) if seen.exists else f"{path} (not there yet)",
        "database_mb": megabytes(path),
        "wal_mb": megabytes(wal),
        "free_disk_mb": shutil.disk_usage(path.parent).free // 2**20,
        "schema": seen.revision or "none yet",
        "sqlite": seen.sqlite_version,
        **{f"pragma_{name}": value for name, value in seen.pragmas.items()},
        "master_key": str(known.master_key),
        "state_dir": str(known.state_dir),
    }


def problems_of(known: Settings, seen: "Checkup") -> list[str]:
    """Return what a person should see to."""
    from comporta.ledger.schema import REVISIONS
    from comporta.settings import is_there

    found = list(seen.problems)
    if seen.revision is not None and seen.revision not in REVISIONS:
        found.append(newer_text(known, seen.revision))
    if shutil.disk_usage(known.sqlite_path.parent).free < DISK_LEAST:
        found.append(f"less than {DISK_LEAST // 2**20} MB are free on the disk of {known.sqlite_path}")
    if seen.pragmas.get("journal_mode", "wal") != "wal":
        found.append(
            f"journal_mode is {seen.pragmas['journal_mode']}; expected wal: a program changed it, sync sets it again"
        )
    found += [
        f"account {name}: its key {account.api_key} is missing; set it, or use `comporta connect`"
        for name, account in known.accounts.items()
        if account.api_key.kind != "stored" and not is_there(account.api_key)
    ]
    return found


def newer_text(known: Settings, revision: str) -> str:
    """Say that the database belongs to a newer version."""
    from comporta.ledger.schema import REVISIONS

    return f"{known.sqlite_path}: the ledger has schema {revision!r}; this version knows up to {REVISIONS[-1]!r}"


def megabytes(path: Path) -> float:
    """Return a file's size, 0 when it is not there."""
    return round(path.stat().st_size / 2**20, 3) if path.is_file() else 0.0


def lines_of(tree: dict[str, object], prefix: str = "") -> list[str]:
    """Return a tree as lines of whole keys and values."""
    lines = []
    for key, value in tree.items():
        if isinstance(value, dict):
            lines += lines_of(value, f"{prefix}{key}.")
        else:
            lines.append(f"{prefix}{key} = {'-' if value is None else value_text(value, VALUE_LETTERS)}")
    return lines
