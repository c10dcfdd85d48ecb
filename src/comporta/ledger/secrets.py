"""Secrets in the database, encrypted with a key that is not in it.

AES-256-GCM with a nonce of its own for each writing. The row's id is authenticated beside the text, so
that a row copied over another does not open. ``key_id`` names the key that closed it, which is how a
wrong key is told from a damaged row. The key file is made at the first need, readable by its owner from
its first instant: it is created with its final permissions and put in place whole, never changed after.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from secrets import token_bytes, token_hex

from comporta.errors import MasterKeyWrong, SecretMissing, SettingsError
from comporta.ledger.rows import text_of
from comporta.ledger.session import Row, Session

KEY_BYTES = 32
NONCE_BYTES = 12


def master_key(path: Path, *, create: bool) -> bytes:
    """Return the key kept at ``path``, made now if it may be; of several who make it at once, one wins."""
    with suppress(FileNotFoundError):
        return parse_key(_read(path), where=f"master key {path}")
    if not create:
        raise SecretMissing(
            f"master key {path}: the file does not exist, and the database's secrets were closed with it",
            next_step="Restore the file from your backup, or set master_key to where it is.",
        )
    try:
        _put(path, token_bytes(KEY_BYTES).hex())
    except OSError as error:
        raise SettingsError(
            f"master key {path}: cannot be created: {error}",
            next_step="Set master_key or state_dir to a folder that this user may write.",
        ) from error
    return parse_key(_read(path), where=f"master key {path}")


def parse_key(text: str, *, where: str) -> bytes:
    """Return the key that a text of 64 hexadecimal digits stands for."""
    with suppress(ValueError):
        key = bytes.fromhex(text.strip())
        if len(key) == KEY_BYTES:
            return key
    raise MasterKeyWrong(f"{where}: {len(text.strip())} letters; expected {2 * KEY_BYTES} hexadecimal digits")


def key_id(key: bytes) -> str:
    """Return a name for a key that does not give it away."""
    return hashlib.sha256(b"comporta master key\0" + key).hexdigest()[:16]


def put_secret(session: Session, key: bytes, *, secret_id: str, secret: str) -> None:
    """Store a secret, closed, in place of the one of that id; the caller's transaction commits it."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # loaded only where there is a secret

    nonce = token_bytes(NONCE_BYTES)
    closed = AESGCM(key).encrypt(nonce, secret.encode(), secret_id.encode())
    values = {"id": secret_id, "key_id": key_id(key), "nonce": nonce, "ciphertext": closed, "now": text_of(session.now)}
    session.run("put_secret", values)


def get_secret(session: Session, key: bytes, *, secret_id: str) -> str:
    """Return a stored secret; ``MasterKeyWrong`` if this key does not open it."""
    row = session.one("secret", {"id": secret_id})
    if row is None:
        raise SecretMissing(
            f"secret {secret_id}: not in the database, and the settings name no other place",
            next_step='Store it with `comporta connect`, or write a reference such as api_key = "env:NAME".',
        )
    return _opened(row, key, secret_id)


def get_secrets(session: Session, key: bytes, *, ending: str) -> dict[str, str]:
    """Return all stored secrets whose ids end so, by id, in one statement; those that do not open are left out."""
    found = {}
    for row in session.all("secrets", {"ending": f"%{ending}"}):
        with suppress(MasterKeyWrong):
            found[row["id"]] = _opened(row, key, row["id"])
    return found


def closed_by(session: Session) -> dict[str, str]:
    """Return which key closed each stored secret, by the secret's id."""
    return {row["id"]: row["key_id"] for row in session.all("secret_keys", {})}


def _opened(row: Row, key: bytes, secret_id: str) -> str:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    closed_by, nonce, ciphertext = row["key_id"], row["nonce"], row["ciphertext"]
    if closed_by != key_id(key):
        raise MasterKeyWrong(f"secret {secret_id}: closed with key {closed_by}, but this master key is {key_id(key)}")
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, secret_id.encode()).decode()
    except InvalidTag as error:
        raise MasterKeyWrong(f"secret {secret_id}: the row was changed or moved since it was written") from error


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SettingsError(
            f"master key {path}: cannot be read: {error}", next_step="Give this user read permission on the file."
        ) from error


def _put(path: Path, text: str) -> None:
    """Write a new file that only its owner reads, whole or not at all, without replacing one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            _place(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _place(draft: Path, path: Path) -> None:
    """Give the draft its name unless it is taken; where links do not exist, renaming refuses on Windows."""
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        raise
    except OSError:
        if path.exists():
            raise FileExistsError(path) from None
        draft.rename(path)
