"""A file under its final name: whole, and not over another unless that is wanted.

What is being written has a name of its own beside it, so that nobody takes a part for the whole.
"""

import os
from contextlib import suppress
from pathlib import Path

from comporta.errors import WrongUse
from comporta.ledger.budget_file import SUFFIX
from comporta.moving.sqlite_copy import SIDE_FILES
from comporta.settings.tree import Settings


def refuse_taken(path: Path, *, force: bool) -> None:
    """Raise if a file cannot be written there."""
    if not path.parent.is_dir():
        raise WrongUse(f"{path}: the folder {path.parent} does not exist", next_step="Make the folder first.")
    if path.is_dir():
        raise WrongUse(f"{path}: this is a folder; expected the name of a file", next_step="Add a file's name.")
    if path.exists() and not force:
        raise _taken(path)


def refuse_own(path: Path, settings: Settings) -> None:
    """Raise if a file would take the place of one that Comporta works with: its database, its key, its settings."""
    own = [settings.path, Path(settings.master_key.name) if settings.master_key.kind == "file" else None]
    if not settings.is_postgres:
        own += [Path(f"{settings.sqlite_path}{end}") for end in ("", *SIDE_FILES, SUFFIX)]
    if path.exists() and any(each is not None and each.exists() and path.samefile(each) for each in own):
        raise WrongUse(f"{path}: Comporta works with this file; it was left as it is", next_step="Name another file.")


def place(draft: Path, path: Path, *, force: bool) -> None:
    """Give a draft its name."""
    if force or os.name == "nt":
        if path.exists() and not force:
            raise _taken(path)
        draft.replace(path)
    else:
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            raise _taken(path) from None
        except OSError:  # a file system without links
            draft.rename(path)
    with suppress(OSError):  # Windows has no folders to flush
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _taken(path: Path) -> WrongUse:
    return WrongUse(f"{path}: there is a file already; it was left as it is", next_step="Use --force to replace it.")
