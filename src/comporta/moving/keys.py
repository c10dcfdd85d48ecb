"""The master key beside a backup: where it is, whether it opens what the backup holds, and its copy if wanted.

A copy lies beside the backup under its own name, so that who puts the two on different shelves sees what they do.
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from comporta.bootstrap.databases import ledger_key
from comporta.errors import ComportaError, MasterKeyWrong, WrongUse
from comporta.ledger.secrets import key_id, parse_key
from comporta.moving.placing import place, refuse_taken
from comporta.settings.tree import Settings


@dataclass(frozen=True, slots=True)
class Key:
    """``where`` is how the settings refer to it; ``copy`` where it was copied to.

    ``opens`` says whether it opens the stored secrets; ``None`` where there are none.
    """

    where: str
    copy: Path | None = None
    opens: bool | None = None

    @classmethod
    def of(cls, settings: Settings, closed_by: Collection[str], *, copy: Path | None = None) -> "Key":
        """Return what is to be said of the key of these settings."""
        opens = None
        if closed_by:
            opens = False
            with suppress(ComportaError):
                opens = set(closed_by) == {key_id(ledger_key(settings, create=False))}
        return cls(str(settings.master_key), copy, opens)


def key_beside(path: Path) -> Path:
    """Return where the copy of the key lies that belongs to a backup."""
    return path.with_name(f"{path.name}.key")


def put_key(settings: Settings, path: Path, *, force: bool) -> Path:
    """Copy the key into a file that only its owner reads."""
    text = ledger_key(settings, create=False).hex()
    refuse_taken(path, force=force)
    _written(path, text, force=force)
    return path


def take_key(settings: Settings, path: Path) -> None:
    """Put the key that lies beside a backup where the settings expect it; never over another key."""
    if settings.master_key.kind != "file":
        step = f"Put what {path} holds where {settings.master_key} leads."
        raise WrongUse(f"--with-key: master_key is {settings.master_key}, which is no file", next_step=step)
    if not path.is_file():
        raise WrongUse(f"--with-key: {path} is not there", next_step="Give the key's file that name, or leave it out.")
    home = Path(settings.master_key.name)
    key = parse_key(path.read_text("ascii", "replace"), where=str(path))
    if home.exists():
        if ledger_key(settings, create=False) != key:
            message = f"--with-key: {home} is there, and is another key than {path}"
            raise MasterKeyWrong(message, next_step=f"Move {home} away if nothing was closed with it, and try again.")
        return
    home.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _written(home, key.hex(), force=False)


def _written(path: Path, text: str, *, force: bool) -> None:
    draft = path.with_name(f".{path.name}.{token_hex(4)}")
    try:
        draft.touch(mode=0o600, exist_ok=False)
        draft.write_text(f"{text}\n", encoding="ascii")
        place(draft, path, force=force)
    finally:
        draft.unlink(missing_ok=True)
