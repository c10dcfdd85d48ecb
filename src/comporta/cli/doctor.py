"""`comporta doctor`: the machine, the database, the keys, the port and the way to every source; what to fix.

It changes nothing and sends no credentials. `comporta check` is the other half: it logs in and reads.
"""

import asyncio
import platform
import stat
import sys
import zoneinfo
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from comporta import __version__
from comporta.cli.console import Console
from comporta.cli.options import Config, Json, Verbose
from comporta.cli.reach import Reached, answers_as_ours, reach_all
from comporta.cli.words import columns
from comporta.core.instant import short_text
from comporta.core.outcome import ExitCode
from comporta.errors import ComportaError, NewerSchema, SecretMissing
from comporta.ports.system_clock import SystemClock
from comporta.settings.keys import FIRST_SECRETS
from comporta.settings.reading import is_there, read_settings
from comporta.settings.stored import with_stored
from comporta.settings.tree import AccountSettings, Settings

if TYPE_CHECKING:
    from comporta.ledger.checkup import Checkup

OFFSET_MAX_S = 60
"""Clocks that differ by more are worth a word; what is covered goes by the source's clock, whatever ours says."""
Findings = tuple[dict[str, object], list[str]]
"""What was seen, and what a person should see to."""


def doctor(
    quick: Annotated[bool, typer.Option("--quick", help="Do not read the whole database.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Do not look whether the sources answer.")] = False,
    config: Config = None,
    as_json: Json = False,
    verbose: Verbose = False,
) -> int:
    """Look at the machine, the database, the keys and the way to the sources; say what to fix."""
    console = Console(is_json=as_json, is_verbose=verbose)
    known = read_settings(config)
    seen = database(known, is_thorough=not quick)
    known, unread = with_kept(known, seen)
    facts, problems = facts_of(known, seen), [*problems_of(known, seen), *unread]
    for more, wrong in (
        keys(known, seen),
        clock(seen, SystemClock().now()),
        zones(known),
        port(known),
        locks(known),
        ({}, []) if offline else sources(known.accounts, SystemClock().now),
    ):
        facts |= more
        problems += wrong
    console.document({"ok": not problems, "doctor": facts, "problems": problems})
    console.say(columns(("", ""), list(facts.items()), width=console.width).lstrip("\n"))
    for problem in problems:
        console.say(f"PROBLEM {problem}")
    console.say("" if problems else "All is well.")
    return ExitCode.FAILED if problems else ExitCode.DONE


def database(known: Settings, *, is_thorough: bool) -> "Checkup":
    """Look at the database; one that cannot be looked at is a problem among others."""
    from comporta.bootstrap.databases import examine
    from comporta.ledger.checkup import Checkup

    try:
        return examine(known, is_thorough=is_thorough)
    except ComportaError as error:
        problem = f"{error.code} {error.message}; {error.next_step}"
        return Checkup(known.database_shown, exists=True, problems=(problem,), is_looked_at=False)


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
        "schema": seen.revision or ("none yet" if seen.is_looked_at else "unknown"),
        **seen.facts,
        "master_key": str(known.master_key),
        "state_dir": str(known.state_dir),
    }


def problems_of(known: Settings, seen: "Checkup") -> list[str]:
    """Return what a person should see to in the database and the settings."""
    from comporta.ledger.schema import is_current

    found = []
    try:
        is_current(seen.revision, seen.where)
    except NewerSchema as error:
        found.append(f"{error.code} {error.message}; {error.next_step}")
    found += seen.problems
    found += [
        f"account {name}: its {key} {reference} is missing; set it, or use `comporta connect`"
        for name, account in known.accounts.items()
        for key, reference in account.secrets.items()
        if reference.kind != "stored" and not is_there(reference) and key not in FIRST_SECRETS.get(account.source, ())
    ]
    return [*found, *twins(known)]


def twins(known: Settings) -> list[str]:
    """Return which accounts read the same records: each of them brings a row of its own."""
    found: dict[str, list[str]] = {}
    for name, account in known.accounts.items():
        if account.source != "mercadolivre":  # whose accounts differ by their sellers
            access = [account.options.get(key) for key in ("database", "login", "companies")]
            read = (account.source, account.url.rstrip("/").lower(), access, account.start, account.streams)
            found.setdefault(repr(read), []).append(name)
    return [
        f"accounts {' and '.join(names)} read the same at one source, so the views have each record {len(names)} times;"
        f" remove all but one (`comporta account remove {names[-1]}`)"
        for names in found.values()
        if len(names) > 1
    ]


def with_kept(known: Settings, seen: "Checkup") -> tuple[Settings, list[str]]:
    """Return the settings with the accounts that the database keeps, or as they are and why those cannot be read."""
    try:
        return with_stored(known, seen.accounts, origin=f"the database {seen.where}"), []
    except ComportaError as error:
        return known, [f"{error.message}; {error.next_step}"]


def keys(known: Settings, seen: "Checkup") -> Findings:
    """Look whether the master key opens what is stored, and who else may read it."""
    from comporta.bootstrap.databases import ledger_key
    from comporta.ledger.secrets import key_id

    problems = shown_key(known)
    stored = len(seen.secrets) if seen.is_looked_at else "unknown"
    try:
        ours = key_id(ledger_key(known, create=False))
    except SecretMissing as error:
        return {"stored_secrets": stored}, [f"{error.message}; {error.next_step}"] if seen.secrets else []
    except ComportaError as error:
        return {"stored_secrets": stored}, [*problems, f"{error.message}; {error.next_step}"]
    if not seen.secrets:
        return {"stored_secrets": stored}, problems
    closed = [name for name, by in seen.secrets.items() if by != ours]
    if closed:
        step = "restore the key that belongs to this database, or connect these accounts again"
        problems.append(f"the master key does not open {', '.join(closed)}: {step}")
    return {"stored_secrets": f"{stored}, {len(seen.secrets) - len(closed)} of them open"}, problems


def shown_key(known: Settings) -> list[str]:
    """Say whether others may read the file of the master key."""
    if known.master_key.kind != "file" or sys.platform == "win32":
        return []
    path = Path(known.master_key.name)
    with suppress(OSError):  # whether we may read it ourselves is looked at by reading it
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            return [f"master key {path}: others may read it (mode {mode:o}); chmod 600 {path}"]
    return []


def clock(seen: "Checkup", now: datetime) -> Findings:
    """Compare this machine's clock with the database's, where that has one of its own."""
    if seen.clock is None:
        return {}, []
    offset_s = round((seen.clock - now).total_seconds())
    problem = f"the database's clock is {offset_s:+} s from this machine's; set both by NTP (timedatectl set-ntp true)"
    return {"database_clock_offset_s": offset_s}, [problem] if abs(offset_s) > OFFSET_MAX_S else []


def zones(known: Settings) -> Findings:
    """Look whether time zones are known, and from where."""
    system = next((path for path in zoneinfo.TZPATH if Path(path).is_dir()), None)
    fact: dict[str, object] = {"time_zones": system or "the Python package tzdata"}
    try:
        zoneinfo.ZoneInfo(known.timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        return fact, [f"time zone {known.timezone}: {error}; install the system's tzdata, or `pip install tzdata`"]
    return fact, []


def port(known: Settings) -> Findings:
    """Look whether `comporta serve` could listen, or does already."""
    if not known.port:
        return {"port": "any that is free"}, []
    where = f"{known.host}:{known.port}"
    ours = answers_as_ours(known.host, known.port)
    if ours is None:
        return {"port": f"{where} is free"}, []
    if ours:
        return {"port": f"{where}: a server of Comporta's answers"}, []
    step = "set another `port` in comporta.toml, or end that program"
    return {"port": f"{where} is taken"}, [
        f"{where}: another program listens there, so `comporta serve` cannot; {step}"
    ]


def locks(known: Settings) -> Findings:
    """Look whether Redis answers, and who holds the keys of older programs, where any are honoured."""
    if not known.has_legacy_locks:
        return {}, []
    from comporta.bootstrap.workspaces import look_at_locks

    found = asyncio.run(look_at_locks(known, SystemClock()))
    problems = [f"{each.message}; {each.next_step}" for each in found if not each.ok]
    return {"legacy_locks": "; ".join(each.message for each in found)}, problems


def sources(accounts: Mapping[str, AccountSettings], now: Callable[[], datetime]) -> Findings:
    """Look whether every account's address answers, and what its clock says."""
    found = reach_all({name: account.url for name, account in accounts.items()}, now)
    facts: dict[str, object] = {f"reach_{name}": reached_text(each) for name, each in found.items()}
    return facts, [f"account {name}: {problem}" for name, each in found.items() for problem in reached_problems(each)]


def reached_text(each: Reached) -> str:
    """Say how far we came."""
    return each.steps if each.offset_s is None else f"{each.steps}, its clock {each.offset_s:+} s"


def reached_problems(each: Reached) -> list[str]:
    """Say what is wrong with the way to a source."""
    if each.problem:
        return [each.problem]
    if each.offset_s is not None and abs(each.offset_s) > OFFSET_MAX_S:
        step = "if it is this machine's that is wrong, set it by NTP (timedatectl set-ntp true)"
        return [f"its clock is {each.offset_s:+} s from this machine's; {step}. No data is lost by it"]
    return []
