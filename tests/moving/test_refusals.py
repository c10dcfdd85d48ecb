"""What is refused before anything is begun, and what is found on the way; nothing is lost by either."""

import re
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from tests.moving.conftest import Address
from tests.moving.samples import put
from tests.moving.scissors import CutError, Scissors
from tests.moving.shop import Shop, abandon, move
from tests.moving.stage import asked, by_hand, contents, file_of, is_open, is_there, mirrored, opened, settings_of
from tests.servers.proxy import Proxy

from comporta.bootstrap.databases import open_database, open_store
from comporta.core.run import Trigger
from comporta.core.ticket import Ticket
from comporta.core.window import Request
from comporta.errors import (
    Busy,
    DatabaseSealed,
    DestinationRefused,
    NameTaken,
    NotADatabase,
    UnwritablePath,
    WrongUse,
)
from comporta.errors_postgres import DatabaseUnreachable
from comporta.ledger.accounts import put_account
from comporta.moving.opening import migrate_database
from comporta.ports.progress import LogLine
from comporta.ports.system_clock import SystemClock
from comporta.settings.tree import HOUR, MINUTE

pytestmark = [pytest.mark.full, pytest.mark.timeout(60)]

TICKET = Ticket("loja", "sale.order", Request(), Trigger.MANUAL)
KINDS = ["sqlite", pytest.param("postgres", marks=pytest.mark.full)]
full = pytest.mark.full


def from_to(shop: Shop, new_database: Address, kind: str) -> tuple[str, str]:
    """Return the shop's database, on the kind that is asked for, and an empty one of the other."""
    if kind == "postgres":
        shop.move(new_database("postgres"))
    return shop.database, new_database("sqlite" if kind == "postgres" else "postgres")


@pytest.mark.parametrize("kind", KINDS)
async def test_while_a_run_is_alive_nothing_begins(shop: Shop, new_database: Address, kind: str) -> None:
    """Who runs is named, and goes on; nothing is made at the other end."""
    source, target = from_to(shop, new_database, kind)
    store = open_store(open_database(settings_of(source), SystemClock()), settings_of(source))
    run = await store.enqueue(TICKET)
    await store.acquire(run, ttl=MINUTE, timeout=HOUR, instance="shop-7:42")

    with pytest.raises(Busy, match=rf"loja/sale\.order by run {run.id} on shop-7:42 until 20") as refused:
        move(source, target)
    await store.unlock("loja/sale.order")
    await store.aclose()

    assert "Let them end" in refused.value.next_step
    assert (is_open(source), is_there(target)) == (True, False)


@pytest.mark.full
async def test_a_process_that_had_the_database_open_writes_nothing_after_the_move(
    shop: Shop, new_database: Address
) -> None:
    """Neither a new run nor anything else; it is told where the data is."""
    source, target = shop.database, new_database("postgres")
    store = open_store(open_database(settings_of(source), SystemClock()), settings_of(source))
    run = await store.enqueue(TICKET)
    move(source, target)
    before = contents(source)
    for late in (
        lambda: store.enqueue(TICKET),
        lambda: store.acquire(run, ttl=MINUTE, timeout=HOUR, instance="late"),
        lambda: store.cancel(run.id),
        lambda: store.note(run.id, [LogLine("info", "run_started", "late", {})]),
    ):
        with pytest.raises(DatabaseSealed, match="its data was moved to postgresql://"):
            await late()
    await store.aclose()

    assert contents(source) == before == contents(target)


@pytest.mark.full
def test_a_run_that_begins_at_that_very_moment_is_seen(shop: Shop, new_database: Address) -> None:
    """Who seals waits for the transactions that write, and looks after that."""
    source, target = from_to(shop, new_database, "postgres")
    lease = (
        "UPDATE comporta.cmp_scope SET holder = (SELECT min(id) FROM comporta.cmp_run), expires_at = now() + '1 minute'"
        " WHERE scope = 'loja/sale.order'"
    )
    waiting = "SELECT count(*) AS n FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE NOT granted"
    here = f"{waiting} AND datname = current_database()"
    with psycopg.connect(source) as other, ThreadPoolExecutor(1) as threads:
        other.execute(lease)
        moving = threads.submit(move, source, target)
        while not asked(source, here)[0]["n"]:
            assert not moving.done(), moving.exception()
        other.commit()
        error = moving.exception(timeout=30)

    assert isinstance(error, Busy)
    assert "loja/sale.order" in error.message
    assert is_open(source)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows lets only administrators make links")
@pytest.mark.parametrize("spelling", ["the same", "linked", "through another folder"])
def test_a_file_is_not_moved_to_itself(shop: Shop, spelling: str) -> None:
    """Whatever it is called."""
    link = shop.folder / "linked.db"
    link.symlink_to(file_of(shop.database))
    again = {
        "the same": shop.database,
        "linked": f"sqlite:///{link.as_posix()}",
        "through another folder": shop.database.replace("/shop.db", "/../" + shop.folder.name + "/shop.db"),
    }[spelling]

    with pytest.raises(WrongUse, match="itself; expected two databases"):
        move(shop.database, again)
    assert is_open(shop.database)


@full
def test_a_postgresql_database_is_not_moved_to_itself(shop: Shop, new_database: Address, postgres_proxy: Proxy) -> None:
    """Through a proxy, for one, that has an address of its own."""
    source = new_database("postgres")
    assert source != postgres_proxy.url
    shop.move(postgres_proxy.url)
    other = re.sub(r":\d+/", f":{postgres_proxy.target[1]}/", postgres_proxy.url)

    with pytest.raises(WrongUse, match="itself; expected two databases"):
        move(shop.database, other)
    assert is_open(shop.database)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_in_the_new_database_is_not_merged_with(shop: Shop, new_database: Address, kind: str) -> None:
    """One row is enough, of the ledger or of a mirrored table."""
    with_run, with_table = new_database(kind), new_database(kind)
    with opened(with_run) as database:
        database.write(lambda s: put_account(s, "filial", {"source": "odoo"})).result()
    put(with_table)
    before = contents(with_run), contents(with_table)
    for target, what in ((with_run, "cmp_account"), (with_table, "shop_sample_line")):
        with pytest.raises(WrongUse, match=rf"has data of Comporta's already \({what}\)"):
            move(shop.database, target)

    assert (contents(with_run), contents(with_table)) == before
    assert is_open(shop.database)


@pytest.mark.full
def test_tables_in_a_schema_that_the_settings_do_not_name_are_not_left_behind(
    shop: Shop, new_database: Address
) -> None:
    """A ledger without its rows would be worth nothing."""
    shop.move(new_database("postgres"))
    old, new = replace(settings_of(shop.database), schema="elsewhere"), settings_of(new_database("sqlite"))

    with pytest.raises(WrongUse, match="no mirrored table was found") as refused:
        migrate_database(old, new, clock=SystemClock(), tell=lambda _: None)
    assert "`schema` in comporta.toml" in refused.value.next_step
    assert is_open(shop.database)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_ledger_is_no_data(shop: Shop, new_database: Address, kind: str) -> None:
    """`comporta doctor` or `migrate` may have been there before."""
    target, before = new_database(kind), contents(shop.database)
    with opened(target):
        pass
    move(shop.database, target)

    assert contents(target) == before


def test_what_is_to_be_moved_must_be_there(shop: Shop, new_database: Address, tmp_path: Path) -> None:
    """And have a ledger; nothing is made where nothing was."""
    absent, target = f"sqlite:///{(tmp_path / 'absent.db').as_posix()}", new_database("postgres")
    for source, words in ((absent, "absent.db is not there"), (new_database("postgres"), "has no data of Comporta's")):
        with pytest.raises(WrongUse, match=words):
            move(source, target)

    assert (file_of(absent).exists(), is_there(target)) == (False, False)


def test_a_new_database_that_cannot_be_is_found_before_anything_is_sealed(
    shop: Shop, tmp_path: Path, postgres_proxy: Proxy
) -> None:
    """No folder, no SQLite file, no server."""
    (tmp_path / "notes.db").write_text("some text " * 500, encoding="utf-8")
    postgres_proxy.refuse()
    for target, error in (
        (f"sqlite:///{(tmp_path / 'no' / 'x.db').as_posix()}", UnwritablePath),
        (f"sqlite:///{(tmp_path / 'notes.db').as_posix()}", NotADatabase),
        (postgres_proxy.url, DatabaseUnreachable),
    ):
        with pytest.raises(error):
            move(shop.database, target)

    assert is_open(shop.database)


@pytest.mark.full
def test_a_database_is_moved_to_one_place_only(shop: Shop, new_database: Address, scissors: Scissors) -> None:
    """Who began a move ends it, or takes it back; and half a copy is not moved on."""
    first, second = new_database("postgres"), new_database("sqlite")
    scissors.cut_at = 20
    with pytest.raises(CutError):
        move(shop.database, first)
    scissors.cut_at = None
    with pytest.raises(WrongUse, match=r"is being moved to postgresql://.*; this would be another move") as other:
        move(shop.database, second)
    with pytest.raises(DatabaseSealed, match="an unfinished copy of"):
        move(first, second)
    with pytest.raises(WrongUse, match="not to"):
        abandon(shop.database, second)
    stranger = new_database("sqlite")
    put(stranger)
    with pytest.raises(WrongUse, match="which is not this move"):
        move(stranger, first)
    with pytest.raises(WrongUse, match="not of"):
        abandon(stranger, first)
    move(shop.database, first)

    assert "--abandon" in other.value.next_step
    assert is_open(first)
    assert is_open(stranger)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("words", "a\0b", "column words has a NUL character"),
        pytest.param("tree", '{"a":"b\\u0000"}', "column tree has a NUL character", marks=full),
        pytest.param("tree", '"\\ud800"', "invalid input syntax for type json, in column tree", marks=full),
        pytest.param("stamp", "2026-02-30T00:00:00Z", "date/time field .*, in column stamp", marks=full),
    ],
)
def test_a_row_that_postgresql_cannot_hold_is_named(
    shop: Shop, new_database: Address, field: str, value: str, reason: str
) -> None:
    """By table and key; the move is taken back, the row mended, and moved again."""
    put(shop.database)
    with closing(sqlite3.connect(file_of(shop.database))) as connection:
        connection.execute(f"UPDATE shop_sample_line SET {field} = ? WHERE id = 77", (value,))
        connection.commit()
    target = new_database("postgres")
    with pytest.raises(DestinationRefused, match=f"loja/77 of shop_sample_line cannot be copied: .*({reason})") as told:
        move(shop.database, target)
    abandon(shop.database, target)
    by_hand(shop.database, f"UPDATE shop_sample_line SET {field} = NULL WHERE id = 77")
    before = contents(shop.database)
    move(shop.database, target)

    assert "--abandon" in told.value.next_step
    assert contents(target) == before


@full
def test_a_nul_in_the_ledgers_own_words_stops_nothing(shop: Shop, new_database: Address) -> None:
    """It becomes what PostgreSQL's ledger would have written."""
    by_hand(shop.database, "UPDATE cmp_log SET message = 'odd ' || char(0) WHERE seq = 1")
    target = new_database("postgres")
    move(shop.database, target)

    assert {row["message"] for row in asked(target, "SELECT message FROM {ledger}cmp_log WHERE seq = 1")} == {"odd \\0"}


@full
def test_a_number_that_sqlite_cannot_hold_is_named(shop: Shop, new_database: Address) -> None:
    """Comporta never wrote one; another program may have."""
    source, target = from_to(shop, new_database, "postgres")
    by_hand(source, "UPDATE {mirror}odoo_sale_order SET amount_total = 0.12345678901234567890123 WHERE id = 7")

    with pytest.raises(DestinationRefused, match=r"loja/7 of odoo_sale_order cannot be copied: .*so many digits"):
        move(source, target)
    abandon(source, target)
    assert (is_open(source), mirrored(target)) == (True, [])


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_that_is_taken_there_is_said_and_free_again_the_move_goes_on(
    shop: Shop, new_database: Address, kind: str
) -> None:
    """A table of the user's where a view of ours belongs; it is not touched."""
    target, before = new_database(kind), contents(shop.database)
    by_hand(target, "CREATE SCHEMA IF NOT EXISTS mirror" if kind == "postgres" else "SELECT 1")
    by_hand(target, "CREATE TABLE {mirror}orders (mine TEXT)")
    with pytest.raises(NameTaken, match="orders"):
        move(shop.database, target)
    by_hand(target, "DROP TABLE {mirror}orders")
    move(shop.database, target)

    assert contents(target) == before


@full
@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no file's size")
def test_a_full_disk_is_said_and_with_room_the_move_goes_on(shop: Shop, new_database: Address) -> None:
    """Here a limit on the file's size, in a process of its own."""
    target, before = new_database("sqlite"), contents(shop.database)
    code = (
        "import resource, signal; from comporta.cli.main import main; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, -1)); main()"
    )
    line = [sys.executable, "-c", code, "migrate-database", shop.database, target, "--config", str(shop.config)]
    ended = subprocess.run(line, capture_output=True, text=True, check=False)
    move(shop.database, target)

    assert (ended.returncode, "CMP-DB-002" in ended.stderr) == (1, True), ended.stderr
    assert contents(target) == before
