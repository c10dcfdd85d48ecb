"""A backup of the whole database in one file, and the way back.

The file holds rows and ledger of one moment, so what it says is covered is covered by the rows in it. What it cannot
know is taken back when it is restored (``ledger.restored``). The master key is never in the file: without the key
stored keys and logins cannot be opened, and who has both has them all.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex

from comporta.bootstrap.databases import examine, open_database
from comporta.errors import NotADatabase, WrongUse
from comporta.ledger import restored
from comporta.ledger.schema import is_current
from comporta.moving import looks, sqlite_copy
from comporta.moving.keys import Key, key_beside, put_key, take_key
from comporta.moving.looks import Contents
from comporta.moving.placing import place, refuse_own, refuse_taken
from comporta.ports.clock import Clock
from comporta.settings.tree import Settings


@dataclass(frozen=True, slots=True)
class Backup:
    """What was written, or put back. ``before`` is where the replaced data lies now, empty where there was none."""

    path: Path
    where: str
    size: int
    revision: str
    contents: Contents
    key: Key
    before: tuple[str, ...] = ()


def back_up(settings: Settings, path: Path, *, force: bool, with_key: bool, binaries: Path | None) -> Backup:
    """Write the database into a file, whole or not at all, while others write to it."""
    seen = examine(settings, is_thorough=False)
    if seen.revision is None:
        message = f"backup: {seen.where} {'has no data of Comporta' if seen.exists else 'is not there'}"
        raise WrongUse(message, next_step="Check `database` in comporta.toml, or give --config.")
    path = path.expanduser().absolute()
    refuse_own(path, settings)
    refuse_taken(path, force=force)
    draft = path.with_name(f".{path.name}.{token_hex(4)}")
    try:
        if settings.is_postgres:
            from comporta.moving.postgres_dump import dump

            dump(settings, draft, path, binaries)
            held = contents_of(settings)
        else:
            sqlite_copy.copy(settings.sqlite_path, draft)
            held = _sqlite_contents(draft)
        place(draft, path, force=force)
    finally:
        draft.unlink(missing_ok=True)
    copy = put_key(settings, key_beside(path), force=force) if with_key else None
    size = path.stat().st_size
    return Backup(path, seen.where, size, seen.revision, held, Key.of(settings, held.key_ids, copy=copy))


def contents_of(settings: Settings) -> Contents:
    """Return what the settings' database holds."""
    if settings.is_postgres:
        from comporta.moving.postgres_dump import address_of, asked

        found: Contents = asked(address_of(settings), lambda ask, tables: looks.contents(ask, tables, "comporta."))
        return found
    return _sqlite_contents(settings.sqlite_path)


def refuse_living(settings: Settings, clock: Clock) -> None:
    """Raise if anybody works in the settings' database; nobody does in one that is not there, or is damaged."""
    now = clock.now()
    if settings.is_postgres:
        from comporta.moving.postgres_dump import address_of, asked

        address = address_of(settings)
        asked(
            address,
            lambda ask, tables: (
                looks.refuse_living(ask, tables, now, address.shown, "comporta.") if "cmp_scope" in tables else None
            ),
        )
        return
    path = settings.sqlite_path
    if path.exists() and "cmp_scope" in (tables := sqlite_copy.tables_of(path)):
        sqlite_copy.asked(path, lambda ask: looks.refuse_living(ask, tables, now, str(path)))


def put_back(settings: Settings, path: Path, *, clock: Clock, with_key: bool, binaries: Path | None) -> Backup:
    """Put a backup into the place of the settings' database; what is there is kept under another name."""
    path = path.expanduser().absolute()
    if not path.is_file():
        raise WrongUse(f"restore: {path} is not there; expected a file that `comporta backup` wrote")
    suffix = f"-before-{clock.now():%Y%m%dT%H%M%SZ}"
    if with_key:
        take_key(settings, key_beside(path))
    if settings.is_postgres:
        revision, before = _put_postgres(settings, path, clock, binaries, suffix)
    else:
        revision, before = _put_sqlite(settings, path, clock, suffix)
    held = contents_of(settings)
    size = path.stat().st_size
    return Backup(path, settings.database_shown, size, revision, held, Key.of(settings, held.key_ids), before)


def _put_sqlite(settings: Settings, path: Path, clock: Clock, suffix: str) -> tuple[str, tuple[str, ...]]:
    """Make the file ready beside the database, and only then change the names."""
    home = settings.sqlite_path
    home.parent.mkdir(parents=True, exist_ok=True)
    draft = home.with_name(f".{home.name}.{token_hex(4)}")
    try:
        _copy_of(path, draft)
        there = replace(settings, database=f"sqlite:///{draft.as_posix()}")
        revision = _known(examine(there, is_thorough=False).revision, path)
        _doubt(there, clock)
        sqlite_copy.finish(draft)
        refuse_living(settings, clock)
        if home.exists():
            sqlite_copy.let_the_same(draft, home)
        before = sqlite_copy.set_aside(home, home.with_name(home.name + suffix))
        place(draft, home, force=False)
    finally:
        for end in ("", *sqlite_copy.SIDE_FILES):
            Path(f"{draft}{end}").unlink(missing_ok=True)
    return revision, (str(before),) if before else ()


def _copy_of(path: Path, draft: Path) -> None:
    """Copy a backup's file; if it is none, another must be named, whatever the settings say."""
    try:
        sqlite_copy.copy(path, draft, shown=path)
    except NotADatabase as error:
        step = "Name another file that `comporta backup` made: this one is none, or is damaged."
        raise NotADatabase(error.message, next_step=step) from error


def _put_postgres(
    settings: Settings, path: Path, clock: Clock, binaries: Path | None, suffix: str
) -> tuple[str, tuple[str, ...]]:
    from comporta.moving.postgres_dump import restore, revision_in

    revision = _known(revision_in(path, binaries), path)
    refuse_living(settings, clock)
    before = restore(settings, path, binaries, suffix.replace("-", "_").lower(), lambda: _doubt(settings, clock))
    return revision, tuple(f"schema {name}" for name in before)


def _known(revision: str | None, path: Path) -> str:
    """Return the revision of a backup; refuse what is none, or is of a newer Comporta."""
    if revision is None:
        raise WrongUse(f"restore: {path} holds no data of Comporta's", next_step="Name a file of `comporta backup`.")
    is_current(revision, str(path))
    return revision


def _doubt(settings: Settings, clock: Clock) -> None:
    """Bring the ledger up to date, and take back what a backup cannot know."""
    database = open_database(settings, clock)
    try:
        database.write(restored.doubt).result()
    finally:
        database.close()


def _sqlite_contents(path: Path) -> Contents:
    tables = sqlite_copy.tables_of(path)
    found: Contents = sqlite_copy.asked(path, lambda ask: looks.contents(ask, tables))
    return found
