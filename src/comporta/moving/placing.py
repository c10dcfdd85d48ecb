"""A file under its final name: whole, and not over another unless that is wanted.

What is being written has a name of its own beside it, so that nobody takes a part for the whole.
"""

import os
from contextlib import suppress
from pathlib import Path

from comporta.errors import WrongUse


def refuse_taken(path: Path, *, force: bool) -> None:
    """Raise if a file cannot be written there."""
    if not path.parent.is_dir():
        raise WrongUse(f"{path}: the folder {path.parent} does not exist", next_step="Make the folder first.")
    if path.is_dir():
        raise WrongUse(f"{path}: this is a folder; expected the name of a file", next_step="Add a file's name.")
    if path.exists() and not force:
        raise _taken(path)


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
