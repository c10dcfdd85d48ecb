"""A PostgreSQL database into a file and back, by PostgreSQL's own `pg_dump` and `pg_restore`.

They must be at least as new as the server; `--pg-bin` names their folder where there are several. The password goes
by a file that only we can read, never by the command line. What is there is not dropped before a restore: its two
schemas get other names, so that a restore that fails, or was a mistake, costs nothing.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from comporta.errors import DestinationRefused, WrongUse
from comporta.ledger.postgres_address import Address
from comporta.ledger.postgres_errors import explained
from comporta.ledger.postgres_schema import connect, looking
from comporta.moving.looks import Ask
from comporta.settings.tree import Settings

LEDGER = "comporta"
_TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'comporta'"
_RIGHT = re.compile(r"\d+; \d+ \d+ (DEFAULT )?ACL ")
"""A right in a dump's table of contents: `4021; 0 0 ACL mirror TABLE orders owner`."""
_VERSION = re.compile(r"^(\d{4})$", re.MULTILINE)


def address_of(settings: Settings) -> Address:
    """Return the address of the settings' database; refuse one through which the tools cannot work."""
    address = Address.parse(settings.database, settings.postgres.pooler)
    if address.is_transaction_pooled:
        message = f"{address.shown}: a pooler in transaction mode; pg_dump and pg_restore need a direct connection"
        raise WrongUse(message, next_step="Give the direct address in COMPORTA_DATABASE for this one command.")
    return address


def dump(settings: Settings, draft: Path, path: Path, binaries: Path | None) -> None:
    """Write ledger and mirrored tables into a draft of the file ``path``, as they are at one moment."""
    address = address_of(settings)
    schemas = [f"--schema={name}" for name in (LEDGER, settings.schema)]
    draft.touch(mode=0o600, exist_ok=False)
    with _connecting(address) as target:
        arguments = ["--format=custom", "--no-unlogged-table-data", "--no-password", *schemas]
        _run("pg_dump", [*arguments, f"--file={draft}", f"--dbname={target}"], binaries, by_hand(settings, path))


def by_hand(settings: Settings, path: Path) -> str:
    """Return the command that makes the same backup on a machine with PostgreSQL's tools."""
    address = Address.parse(settings.database, settings.postgres.pooler)
    schemas = " ".join(f"--schema={name}" for name in (LEDGER, settings.schema))
    return f"pg_dump --format=custom --no-unlogged-table-data {schemas} --file={path} '{address.shown}'"


def revision_in(path: Path, binaries: Path | None) -> str | None:
    """Return the schema's revision in a dump, ``None`` if it is no dump of a ledger."""
    arguments = ["--data-only", f"--schema={LEDGER}", "--table=cmp_schema_version", "--file=-", str(path)]
    found = _VERSION.search(_run("pg_restore", arguments, binaries, f"pg_restore --list {path}"))
    return found[1] if found else None


def restore(settings: Settings, path: Path, binaries: Path | None, suffix: str, doubt: Callable[[], None]) -> list[str]:
    """Put a dump into the database, in the place of what is there, and ``doubt`` it; return what that is called now.

    Whatever fails, all is as it was before.
    """
    address = address_of(settings)
    arguments = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", "--no-password"]
    by_hand = f"pg_restore {' '.join(arguments[:4])} --dbname='{address.shown}' {path}"
    schemas = [LEDGER, settings.schema]
    named = _present(address, schemas)
    with _connecting(address) as target, _rights(named, target, binaries) as give_again:
        _rename(address, {name: name + suffix for name in named})
        try:
            _run("pg_restore", [*arguments, f"--dbname={target}", str(path)], binaries, by_hand)
            doubt()
        except BaseException:
            _rename(address, {name + suffix: name for name in named}, instead_of=schemas)
            raise
        give_again()
    return [name + suffix for name in named]


def asked(address: Address, work: Any) -> Any:  # noqa: ANN401  a question, and what it returns
    """Do work that only asks, on one state of the database; it is given ``Ask`` and the ledger's tables."""
    try:
        with closing(connect(address)) as connection, looking(connection):

            def ask(query: str) -> Sequence[Any]:
                return connection.execute(query.encode()).fetchall()

            question: Ask = ask
            return work(question, frozenset(name for (name,) in ask(_TABLES)))
    except psycopg.Error as error:
        raise explained(error, address) from error


def _present(address: Address, schemas: Sequence[str]) -> list[str]:
    """Return those of the schemas that are there."""
    found: Sequence[Any] = asked(address, lambda ask, _: ask("SELECT nspname FROM pg_namespace"))
    return [name for name in schemas if (name,) in found]


def _rename(address: Address, names: Mapping[str, str], *, instead_of: Sequence[str] = ()) -> None:
    """Give schemas other names, in one transaction, and drop what stands in their place."""
    try:
        with closing(connect(address)) as connection, connection.transaction():
            for name in instead_of:
                connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name)))
            for old, new in names.items():
                rename = sql.SQL("ALTER SCHEMA {} RENAME TO {}")
                connection.execute(rename.format(sql.Identifier(old), sql.Identifier(new)))
    except psycopg.Error as error:
        raise explained(error, address) from error


@contextmanager
def _rights(schemas: Sequence[str], target: str, binaries: Path | None) -> Iterator[Callable[[], None]]:
    """Keep what others may do with the schemas; what is yielded gives it again, where the thing is there again.

    A dump's own rights are left out: it may come from a server with other roles.
    """
    if not schemas:
        yield lambda: None
        return
    with tempfile.TemporaryDirectory(prefix="comporta-") as folder:
        kept, listed = Path(folder) / "rights.dump", Path(folder) / "rights.list"
        only = [f"--schema={name}" for name in schemas]
        arguments = ["--format=custom", "--schema-only", "--no-password", *only]
        _run("pg_dump", [*arguments, f"--file={kept}", f"--dbname={target}"], binaries, "pg_dump --schema-only")

        def give_again() -> None:
            listing = _run("pg_restore", ["--list", str(kept)], binaries, "pg_restore --list")
            rights = [line for line in listing.splitlines() if _RIGHT.match(line)]
            listed.write_text("\n".join(rights), encoding="utf-8")
            arguments = ["--no-password", f"--use-list={listed}", f"--dbname={target}", str(kept)]
            if rights:
                _run("pg_restore", arguments, binaries, "pg_restore --use-list", may_leave_out=True)

        yield give_again


@contextmanager
def _connecting(address: Address) -> Iterator[str]:
    """Return how libpq is told the address, with the password in a file of ours for as long as it is needed."""
    told = {key: value for key, value in address.conninfo().items() if key != "password"}
    if address.url.password is None:
        yield psycopg.conninfo.make_conninfo(**told)
        return
    with tempfile.TemporaryDirectory(prefix="comporta-") as folder:
        path = Path(folder) / "pgpass"
        path.touch(mode=0o600)
        escaped = address.url.password.replace("\\", "\\\\").replace(":", "\\:")
        path.write_text(f"*:*:*:*:{escaped}\n", encoding="utf-8")
        yield psycopg.conninfo.make_conninfo(**told, passfile=str(path))


def _run(
    tool: str, arguments: Sequence[str], binaries: Path | None, by_hand: str, *, may_leave_out: bool = False
) -> str:
    found = shutil.which(tool, path=str(binaries) if binaries else None)
    if found is None:
        where = f"in {binaries}" if binaries else "on this machine's path"
        step = f"Install PostgreSQL's client programs, name their folder by --pg-bin, or do it elsewhere: {by_hand}"
        raise WrongUse(f"{tool} is not {where}; it is PostgreSQL's own, and does this best", next_step=step)
    done = subprocess.run(  # noqa: S603  PostgreSQL's tool, with arguments of ours
        [found, *arguments], capture_output=True, text=True, errors="replace", check=False, env=_environment(arguments)
    )
    if done.returncode and not may_leave_out:
        said = " ".join(done.stderr.split()[-60:]) or f"exit code {done.returncode}"
        step = "If it says that versions differ, name the folder of newer programs by --pg-bin."
        raise DestinationRefused(f"{tool}: {said}", next_step=step)
    return done.stdout


def _environment(arguments: Sequence[str]) -> dict[str, str]:
    """Return what the tool inherits: a PGPASSWORD of another database's would win over the file with ours."""
    is_told = any("passfile=" in each for each in arguments)
    return {name: value for name, value in os.environ.items() if not is_told or name != "PGPASSWORD"}  # noqa: TID251  handed on, not read
