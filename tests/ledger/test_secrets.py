"""Secrets in the database: closed with a key that is elsewhere, bound to their row."""

import os
import sqlite3
import stat
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from comporta.errors import MasterKeyWrong, SecretMissing, SettingsError
from comporta.ledger.accounts import accounts, put_account
from comporta.ledger.secrets import get_secret, key_id, master_key, parse_key, put_secret
from comporta.ledger.sqlite import SqliteSession
from comporta.ledger.sqlite_schema import migrate

NOW = datetime(2026, 3, 1, tzinfo=UTC)
KEY = bytes(range(32))


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database with a ledger."""
    migrate(tmp_path / "c.db")
    with closing(sqlite3.connect(tmp_path / "c.db")) as opened:
        opened.row_factory = sqlite3.Row
        yield opened


def test_a_secret_comes_back(connection: sqlite3.Connection) -> None:
    """As it went in, and only under its own id."""
    put_secret(SqliteSession(connection, NOW), KEY, secret_id="a/api_key", secret="çedilha")

    assert get_secret(SqliteSession(connection, NOW), KEY, secret_id="a/api_key") == "çedilha"
    with pytest.raises(SecretMissing):
        get_secret(SqliteSession(connection, NOW), KEY, secret_id="b/api_key")


def test_the_database_does_not_hold_the_secret(connection: sqlite3.Connection) -> None:
    """Who steals the file has nothing without the key."""
    put_secret(SqliteSession(connection, NOW), KEY, secret_id="a/api_key", secret="findme")
    row = connection.execute("SELECT * FROM cmp_secret").fetchone()

    assert not any(b"findme" in (value if isinstance(value, bytes) else str(value).encode()) for value in row)


def test_a_secret_written_twice_is_closed_anew(connection: sqlite3.Connection) -> None:
    """A nonce is never used twice, even for the same text."""
    closed = []
    for _ in range(2):
        put_secret(SqliteSession(connection, NOW), KEY, secret_id="a/api_key", secret="same")
        closed.append(connection.execute("SELECT nonce, ciphertext FROM cmp_secret").fetchone())

    assert closed[0] != closed[1]


def test_another_key_does_not_open_it(connection: sqlite3.Connection) -> None:
    """And the message says that it is the key that differs."""
    put_secret(SqliteSession(connection, NOW), KEY, secret_id="a/api_key", secret="s")
    with pytest.raises(MasterKeyWrong, match=key_id(KEY)):
        get_secret(SqliteSession(connection, NOW), KEY[::-1], secret_id="a/api_key")


def test_a_row_copied_over_another_does_not_open(connection: sqlite3.Connection) -> None:
    """Otherwise one account could be made to send its key to another's server."""
    for name in ("a", "b"):
        put_secret(SqliteSession(connection, NOW), KEY, secret_id=f"{name}/api_key", secret=name)
    connection.execute(
        "UPDATE cmp_secret SET (nonce, ciphertext) = (SELECT nonce, ciphertext FROM cmp_secret WHERE id = 'a/api_key')"
        " WHERE id = 'b/api_key'"
    )
    with pytest.raises(MasterKeyWrong, match="changed or moved"):
        get_secret(SqliteSession(connection, NOW), KEY, secret_id="b/api_key")


def test_a_secret_that_is_not_there_says_how_to_store_it(connection: sqlite3.Connection) -> None:
    """The next step is a command."""
    with pytest.raises(SecretMissing) as caught:
        get_secret(SqliteSession(connection, NOW), KEY, secret_id="a/api_key")

    assert "comporta connect" in caught.value.next_step


def test_the_key_is_made_at_the_first_need(tmp_path: Path) -> None:
    """And is the same ever after."""
    path = tmp_path / "state/master.key"

    assert master_key(path, create=True) == master_key(path, create=False)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions there are lists, not bits")
def test_only_its_owner_reads_the_key(tmp_path: Path) -> None:
    """Whatever the process's mask says."""
    before = os.umask(0)
    try:
        master_key(tmp_path / "state/master.key", create=True)
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "state/master.key").stat().st_mode) == 0o600


def test_of_several_who_make_it_one_wins(tmp_path: Path) -> None:
    """Two processes started together must not close secrets with two keys."""
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: master_key(tmp_path / "master.key", create=True), range(8)))

    assert len(keys) == 1


def test_a_key_that_should_be_there_is_not_made_anew(tmp_path: Path) -> None:
    """A new key would hide that the old one is lost."""
    with pytest.raises(SecretMissing, match="does not exist"):
        master_key(tmp_path / "master.key", create=False)

    assert not (tmp_path / "master.key").exists()


def test_a_damaged_key_is_told_from_a_missing_one(tmp_path: Path) -> None:
    """Its length is said, never its letters."""
    path = tmp_path / "master.key"
    path.write_text("abcd", encoding="ascii")
    with pytest.raises(MasterKeyWrong, match="4 letters"):
        master_key(path, create=True)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file where a folder should be stands for every reason."""
    (tmp_path / "state").write_text("", encoding="ascii")
    with pytest.raises(SettingsError, match=r"master\.key"):
        master_key(tmp_path / "state/master.key", create=True)


def test_a_key_may_be_given_as_text() -> None:
    """From the environment, say."""
    assert parse_key(KEY.hex() + "\n", where="x") == KEY


def test_accounts_come_back_as_they_were_told(connection: sqlite3.Connection) -> None:
    """The later one of a name replaces the earlier."""
    for url in ("http://old", "http://new"):
        put_account(SqliteSession(connection, NOW), "matriz", {"source": "odoo", "url": url, "companies": [1, 2]})

    assert accounts(SqliteSession(connection, NOW)) == {
        "matriz": {"source": "odoo", "url": "http://new", "companies": [1, 2]}
    }
