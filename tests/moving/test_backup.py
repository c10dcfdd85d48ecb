"""A backup is one moment of the database, whatever is written meanwhile; a restore is taken for what it is."""

import secrets
import sqlite3
import stat
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.moving.conftest import Address, Said
from tests.moving.shop import Shop
from tests.servers.builds import Build

from comporta.core.outcome import ExitCode
from comporta.errors import DestinationRefused
from comporta.moving.postgres_dump import dump
from comporta.settings.reading import read_settings

pytestmark = [pytest.mark.full, pytest.mark.timeout(60)]
HOLD = """
INSERT INTO cmp_run(id, scope, account, stream, epoch, state, trigger, request, dry_run, queued_at)
VALUES ('r1', 'loja/sale.order', 'loja', 'sale.order', 99, 'running', 'manual', 'full', 0, '{until}');
UPDATE cmp_scope SET epoch = 99, holder = 'r1', expires_at = '{until}' WHERE scope = 'loja/sale.order';
"""
FUTURE, PAST = "2099-01-01T00:00:00.000000Z", "2020-01-01T00:00:00.000000Z"


@pytest.fixture
def pg_bin(postgres_build: Build) -> list[str]:
    """Return where PostgreSQL's own programs are, as a command is told."""
    return ["--pg-bin", str(postgres_build.binaries)]


def written(path: Path, script: str) -> None:
    """Run a script on a file."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def asked(path: Path, query: str) -> list[Any]:
    """Return what a file answers."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_a_backup_comes_back_row_by_row(shop: Shop, said: Said) -> None:
    """What was changed since is undone; the database that was replaced is kept."""
    home, orders = shop.folder / "shop.db", "SELECT id, state, _cmp_hash FROM odoo_sale_order ORDER BY id"
    before = asked(home, orders)
    code, made = said("backup", "shelf.db")
    written(home, "DELETE FROM odoo_sale_order")
    again, back = said("restore", "shelf.db", "--yes")
    (kept,) = back["restore"]["before"]

    assert (code, again) == (ExitCode.DONE, ExitCode.DONE)
    assert made["backup"]["bytes"] == (shop.folder / "shelf.db").stat().st_size
    assert asked(home, orders) == before
    assert asked(Path(kept), "SELECT count(*) FROM odoo_sale_order") == [(0,)]
    assert sorted(path.name for path in shop.folder.glob(".*")) == []
    assert shop.sync()["sale.order"].counts.read == 0


def test_a_backup_is_its_owners_and_not_over_another(shop: Shop, said: Said) -> None:
    """Mode 0600 from its first byte; what is there stays, but with --force."""
    (shop.folder / "taken").write_text("mine", encoding="utf-8")
    refused, document = said("backup", "taken")
    kept = (shop.folder / "taken").read_text("utf-8")
    forced, _ = said("backup", "taken", "--force")

    assert (refused, forced) == (ExitCode.WRONG_USE, ExitCode.DONE)
    assert "there is a file already" in document["error"]["message"]
    assert kept == "mine"
    assert stat.S_IMODE((shop.folder / "taken").stat().st_mode) == 0o600


@pytest.mark.skipif(sys.platform == "win32", reason="rights are no bits there")
def test_who_may_read_the_file_may_read_what_was_restored(shop: Shop, said: Said) -> None:
    """A spreadsheet of another user's goes on; a backup's own file stays its owner's."""
    home, shelf = shop.folder / "shop.db", shop.folder / "shelf.db"
    home.chmod(0o664)
    said("backup", "shelf.db")
    code, _ = said("restore", "shelf.db", "--yes")

    assert code == ExitCode.DONE
    assert [stat.S_IMODE(path.stat().st_mode) for path in (home, shelf)] == [0o664, 0o600]


@pytest.mark.parametrize("name", ["shop.db", "shop.db-budgets", "link.db", "comporta.toml"])
def test_a_backup_never_takes_the_place_of_what_it_copies(shop: Shop, said: Said, name: str) -> None:
    """A server at work would go on in the file that was replaced, and what it commits would be lost."""
    (shop.folder / "link.db").symlink_to("shop.db")
    (shop.folder / "shop.db-budgets").touch()
    inode = (shop.folder / name).stat().st_ino
    code, document = said("backup", name, "--force")

    assert code == ExitCode.WRONG_USE
    assert "Comporta works with this file" in document["error"]["message"]
    assert (shop.folder / name).stat().st_ino == inode


def test_a_backup_is_one_moment_while_others_write(shop: Shop, said: Said) -> None:
    """A transaction of a writer is in it whole, or not at all; and no writer waits until it fails."""
    home, stop, failed = shop.folder / "shop.db", threading.Event(), []
    written(home, "CREATE TABLE one(n); CREATE TABLE two(n)")

    def write() -> None:
        with closing(sqlite3.connect(home, timeout=1, isolation_level=None)) as connection:
            while not stop.is_set():
                try:
                    connection.execute("BEGIN IMMEDIATE")
                    for table in ("one", "two"):
                        connection.execute(f"INSERT INTO {table} VALUES (randomblob(2000))")
                    connection.execute("COMMIT")
                except sqlite3.Error as error:
                    failed.append(error)
                    return

    writer = threading.Thread(target=write)
    writer.start()
    codes = [said("backup", f"{number}.db")[0] for number in range(8)]
    stop.set()
    writer.join()
    pairs = [
        asked(shop.folder / f"{number}.db", "SELECT (SELECT count(*) FROM one), (SELECT count(*) FROM two)")[0]
        for number in range(8)
    ]

    assert (codes, failed) == ([ExitCode.DONE] * 8, [])
    assert all(one == two for one, two in pairs)
    assert pairs[0] < pairs[-1]


def test_a_damaged_database_is_no_backup(shop: Shop, said: Said) -> None:
    """Nothing is left of the attempt; the command says what is wrong."""
    home = shop.folder / "shop.db"
    content = bytearray(home.read_bytes())
    for page in range(6, len(content) // 4096, 5):
        content[page * 4096 : page * 4096 + 400] = b"\xff" * 400
    home.write_bytes(content)
    code, document = said("backup", "shelf.db")

    assert code == ExitCode.FAILED
    assert document["error"]["code"] == "CMP-DB-007"
    assert [path.name for path in shop.folder.glob("*shelf*")] == []


def test_what_a_backup_cannot_know_is_taken_back(shop: Shop, said: Said) -> None:
    """Who ran then does not now, and every stream is compared with its source."""
    home = shop.folder / "shop.db"
    written(home, HOLD.format(until=PAST) + "INSERT INTO cmp_instance VALUES ('i', '', '', '', '', NULL)")
    said("backup", "shelf.db")
    code, back = said("restore", "shelf.db", "--yes")

    assert code == ExitCode.DONE
    assert back["restore"]["streams"] == 5
    assert asked(home, "SELECT state FROM cmp_run WHERE id = 'r1'") == [("lost",)]
    assert asked(home, "SELECT holder, epoch FROM cmp_scope WHERE scope = 'loja/sale.order'") == [(None, 100)]
    assert asked(home, "SELECT count(reconciled_at) FROM cmp_stream") == [(0,)]
    assert asked(home, "SELECT count(*) FROM cmp_instance WHERE ended_at IS NULL") == [(0,)]
    shop.sync()
    assert asked(home, "SELECT count(*) FROM cmp_run WHERE trigger = 'reconcile' AND state = 'succeeded'") != [(0,)]


def test_nothing_is_restored_under_somebody_who_works(shop: Shop, said: Said) -> None:
    """A lease that is alive, a server that was seen just now, a program that has the file open: each is busy."""
    home = shop.folder / "shop.db"
    said("backup", "shelf.db")
    written(home, HOLD.format(until=FUTURE))
    leased = said("restore", "shelf.db", "--yes")
    written(home, "UPDATE cmp_scope SET holder = NULL, expires_at = NULL")
    written(home, f"INSERT INTO cmp_instance VALUES ('here:1', 'web', '', '{PAST}', '{FUTURE}', NULL)")
    served = said("restore", "shelf.db", "--yes")
    written(home, "DELETE FROM cmp_instance")
    with closing(sqlite3.connect(home)) as other:
        other.execute("SELECT 1 FROM cmp_scope").fetchone()
        opened = said("restore", "shelf.db", "--yes")

    assert [code for code, _ in (leased, served, opened)] == [ExitCode.BUSY] * 3
    assert "loja/sale.order is held" in leased[1]["error"]["message"]
    assert "here:1 is at work" in served[1]["error"]["message"]
    assert "has it open" in opened[1]["error"]["message"]
    assert said("restore", "shelf.db", "--yes")[0] == ExitCode.DONE


def test_a_file_that_is_no_backup_is_told_from_the_database(shop: Shop, said: Said) -> None:
    """Nothing is wrong with `database`: another file must be named."""
    (shop.folder / "notes.txt").write_text("no database " * 100, encoding="utf-8")
    code, told = said("restore", "notes.txt", "--yes")

    assert (code, told["error"]["code"]) == (ExitCode.FAILED, "CMP-DB-007")
    assert "that `comporta backup` made" in told["error"]["next_step"]


def test_a_damaged_database_gives_way_to_its_backup(shop: Shop, said: Said) -> None:
    """Which is kept; a log that lies beside it is not read into the new one."""
    home = shop.folder / "shop.db"
    said("backup", "shelf.db")
    home.write_bytes(b"not a database " * 1000)
    (shop.folder / "shop.db-wal").write_bytes(b"left over")
    code, back = said("restore", "shelf.db", "--yes")
    (kept,) = back["restore"]["before"]

    assert code == ExitCode.DONE
    assert Path(kept).read_bytes().startswith(b"not a database")
    assert not (shop.folder / "shop.db-wal").exists()
    assert shop.sync()["sale.order"].counts.read == 0


def test_a_backup_of_a_newer_comporta_is_refused(shop: Shop, said: Said) -> None:
    """And what is no backup; the database is as before."""
    said("backup", "shelf.db")
    written(shop.folder / "shelf.db", "UPDATE cmp_schema_version SET version_num = '9999'")
    (shop.folder / "note").write_text("a note", encoding="utf-8")
    with closing(sqlite3.connect(shop.folder / "theirs.db")) as connection:
        connection.execute("CREATE TABLE theirs(x)")
    newer, note, theirs, none = (said("restore", name, "--yes") for name in ("shelf.db", "note", "theirs.db", "none"))

    assert [document["error"]["code"] for _, document in (newer, note, theirs, none)] == [
        "CMP-DB-003",
        "CMP-DB-007",
        "CMP-SET-007",
        "CMP-SET-007",
    ]
    assert not list(shop.folder.glob("*before*"))
    assert shop.sync()["sale.order"].counts.read == 0


def test_a_newer_database_can_be_replaced_by_an_older_backup(shop: Shop, said: Said) -> None:
    """That is the way back to the last release."""
    said("backup", "shelf.db")
    written(shop.folder / "shop.db", "UPDATE cmp_schema_version SET version_num = '9999'")

    assert said("restore", "shelf.db", "--yes")[0] == ExitCode.DONE
    assert said("status")[0] == ExitCode.DONE


def test_the_master_key_is_named_and_goes_along_when_wanted(shop: Shop, said: Said) -> None:
    """Beside the backup, its owner's only; and back to where the settings expect it, never over another."""
    url = ["--url", shop.url, "--database", "demo", "--login", "demo", "--api-key", "file:key"]
    shop.command("connect", "odoo", "filial", *url)
    home, key = shop.folder / "state/master.key", shop.folder / "shelf.db.key"
    _, plain = said("backup", "plain.db")
    _, made = said("backup", "shelf.db", "--with-key")
    text = home.read_text("ascii")
    home.unlink()
    _, without = said("restore", "shelf.db", "--yes")
    code, back = said("restore", "shelf.db", "--with-key", "--yes")
    restored = home.read_text("ascii")
    home.write_text("0" * 64, encoding="ascii")
    other, document = said("restore", "shelf.db", "--with-key", "--yes")

    assert plain["backup"]["master_key"] == {"reference": f"file:{home}", "copy": None, "opens": True}
    assert made["backup"]["master_key"]["copy"] == str(key)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert without["restore"]["master_key"]["opens"] is False
    assert (code, back["restore"]["master_key"]["opens"], restored) == (ExitCode.DONE, True, text)
    assert (other, document["error"]["code"]) == (ExitCode.WRONG_USE, "CMP-SET-006")
    assert home.read_text("ascii") == "0" * 64


def test_a_restore_into_an_empty_place_asks_nothing(shop: Shop, said: Said) -> None:
    """A new machine has nothing to lose; over what is there a person is asked."""
    said("backup", "shelf.db")
    asks, _ = said("restore", "shelf.db")
    (shop.folder / "shop.db").unlink()
    code, back = said("restore", "shelf.db")

    assert (asks, code) == (ExitCode.WRONG_USE, ExitCode.DONE)
    assert back["restore"]["before"] == []


def test_postgresql_goes_through_its_own_tools(
    shop: Shop, said: Said, new_database: Address, pg_bin: list[str]
) -> None:
    """Dumped, changed, put back; the replaced schemas keep their rows under another name."""
    url = new_database("postgres")
    shop.move(url)
    code, made = said("backup", "shelf.dump", *pg_bin)
    missing, document = said("backup", "other.dump", "--pg-bin", str(shop.folder))
    import psycopg

    with psycopg.connect(url) as connection:
        connection.execute("DELETE FROM mirror.odoo_sale_order")
    again, back = said("restore", "shelf.dump", "--yes", *pg_bin)
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT count(*) FROM mirror.odoo_sale_order").fetchone()
        compared = connection.execute("SELECT count(reconciled_at) FROM comporta.cmp_stream").fetchone()
        schemas = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE '%before%'").fetchall()

    assert (code, again) == (ExitCode.DONE, ExitCode.DONE)
    assert made["backup"]["streams"] == back["restore"]["streams"] == 5
    assert (missing, document["error"]["code"]) == (ExitCode.WRONG_USE, "CMP-SET-007")
    assert "pg_dump --format=custom" in document["error"]["next_step"]
    assert f"--file={shop.folder / 'other.dump'} " in document["error"]["next_step"]
    assert (found, compared) == ((30,), (0,))
    assert sorted(f"schema {name}" for (name,) in schemas) == sorted(back["restore"]["before"])
    assert shop.sync()["sale.order"].counts.read == 0


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for PostgreSQL's program is a script of sh")
def test_the_addresss_own_password_is_the_one_that_counts(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PGPASSWORD for another database would win over the file in which PostgreSQL's tools are told ours."""
    tool = shop.folder / "pg_dump"
    tool.write_text('#!/bin/sh\necho "told: ${PGPASSWORD-nothing}, $HOME_OF_TOOL" >&2; exit 1\n', encoding="utf-8")
    tool.chmod(0o700)
    monkeypatch.setenv("PGPASSWORD", "another")
    monkeypatch.setenv("HOME_OF_TOOL", "and the rest")
    shop.use("postgresql://ana:ours@127.0.0.1:1/shop")

    with pytest.raises(DestinationRefused, match="told: nothing, and the rest"):
        dump(read_settings(shop.config), shop.folder / "draft", shop.folder / "shelf.dump", shop.folder)


def test_a_dump_goes_into_a_database_that_is_empty(
    shop: Shop, said: Said, new_database: Address, pg_bin: list[str]
) -> None:
    """Another server after a fire, say: nothing is there to be set aside, and no rights to be kept."""
    shop.move(new_database("postgres"))
    said("backup", "shelf.dump", *pg_bin)
    shop.use(new_database("postgres"))
    code, back = said("restore", "shelf.dump", *pg_bin)

    assert code == ExitCode.DONE, back
    assert back["restore"]["before"] == []
    assert shop.sync()["sale.order"].counts.read == 0


def test_a_restore_that_fails_at_its_end_changes_nothing(
    shop: Shop, said: Said, new_database: Address, pg_bin: list[str]
) -> None:
    """The backup of a database whose data moved on since is put back as far as the seal in it, and taken out again."""
    url = new_database("postgres")
    shop.move(url)
    shop.move(f"sqlite:///{(shop.folder / 'other.db').as_posix()}")
    shop.use(url)
    said("backup", "sealed.dump", *pg_bin)
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DELETE FROM mirror.odoo_sale_order WHERE id = 1")
        code, document = said("restore", "sealed.dump", "--yes", *pg_bin)
        schemas = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE '%before%'").fetchall()
        found = connection.execute("SELECT count(*) FROM mirror.odoo_sale_order").fetchone()

    assert (code, document["error"]["code"]) == (ExitCode.FAILED, "CMP-DB-009")
    assert (schemas, found) == ([], (29,))


def test_who_may_read_may_read_what_was_restored(
    shop: Shop, said: Said, new_database: Address, pg_bin: list[str]
) -> None:
    """What a person granted on the replaced schemas holds for the new ones, and for tables that are still to come."""
    url = new_database("postgres")
    shop.move(url)
    said("backup", "shelf.dump", *pg_bin)
    import psycopg

    role = f"bi_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role}")
        connection.execute(f"GRANT USAGE ON SCHEMA mirror TO {role}")
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA mirror TO {role}")
        connection.execute(f"GRANT SELECT (state) ON comporta.cmp_run TO {role}")
        connection.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA mirror GRANT SELECT ON TABLES TO {role}")
        connection.execute("CREATE TABLE mirror.since(n int)")
    code, _ = said("restore", "shelf.dump", "--yes", *pg_bin)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE mirror.later AS SELECT 1 AS n")
        connection.execute(f"SET ROLE {role}")
        orders = connection.execute("SELECT count(*) FROM mirror.orders").fetchone()
        later = connection.execute("SELECT n FROM mirror.later").fetchone()
        connection.execute("RESET ROLE")
        may = connection.execute(
            "SELECT has_column_privilege(%(role)s, 'comporta.cmp_run', 'state', 'SELECT'),"
            " has_column_privilege(%(role)s, 'comporta.cmp_run', 'error', 'SELECT')",
            {"role": role},
        ).fetchone()
        connection.execute(f"DROP OWNED BY {role}")
        connection.execute(f"DROP ROLE {role}")

    assert code == ExitCode.DONE
    assert (orders, later) == ((30,), (1,))
    assert may == (True, False)
