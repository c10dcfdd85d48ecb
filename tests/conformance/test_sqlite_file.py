"""What is SQLite's own: one writer thread, a full disk, other programs, files that are none."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path

import pytest
from tests.conformance.conftest import StoreFactory
from tests.conformance.store_steps import start, ticket
from tests.conformance.tables import THINGS, thing

from comporta.errors import (
    DestinationBusy,
    DestinationRefused,
    LeaseLost,
    NetworkFileSystem,
    NotADatabase,
    UnwritablePath,
)
from comporta.ledger.session import Session
from comporta.ledger.sqlite import GROUP_MAX, Pragmas, SqliteDatabase
from comporta.ledger.sqlite_refusals import refuse_unusable
from comporta.ledger.store import LedgerStore
from comporta.ports.store import Batch
from comporta.ports.system_clock import SystemClock

IMPATIENT = Pragmas(busy_timeout_s=0.05)
PATIENCE_S = 5
ON_SQLITE = pytest.mark.parametrize("store_factory", ["sqlite"], indirect=True)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    """Return an open file with one table."""
    opened = SqliteDatabase(tmp_path / "x.db", IMPATIENT, SystemClock())
    opened.write(lambda s: s.connection.execute("CREATE TABLE t(x UNIQUE)")).result(PATIENCE_S)
    yield opened
    opened.close()


def numbers(database: SqliteDatabase) -> list[object]:
    """Return what is in the table."""
    return [row[0] for row in database.read(lambda s: s.connection.execute("SELECT x FROM t ORDER BY x").fetchall())]


class Gate:
    """A job that holds the writer until it is opened, so that what follows waits together."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._opened = threading.Event()
        self._entered = threading.Event()
        self.future: Future[None] = database.write(self._wait)
        assert self._entered.wait(PATIENCE_S)

    def _wait(self, _: Session) -> None:
        self._entered.set()
        assert self._opened.wait(PATIENCE_S)

    def open(self) -> None:
        self._opened.set()


def write(database: SqliteDatabase, number: object) -> "Future[int]":
    """Insert a number."""
    return database.write(lambda s: s.connection.execute("INSERT INTO t VALUES (?)", (number,)).rowcount)


def test_pragmas_are_set_on_writer_and_readers(tmp_path: Path) -> None:
    """Write-ahead log, patience, cache, of which readers, who are many, have little; and a reader cannot write."""
    database = SqliteDatabase(
        tmp_path / "x.db", Pragmas(cache_mb=8, mmap_mb=1, synchronous="full", busy_timeout_s=3), SystemClock()
    )
    names = ("journal_mode", "busy_timeout", "cache_size", "temp_store", "synchronous", "query_only")

    def look(session: Session) -> list[object]:
        return [session.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    writer, reader = database.write(look).result(PATIENCE_S), database.read(look)
    with pytest.raises(DestinationRefused, match="readonly"):
        database.read(lambda s: s.connection.execute("CREATE TABLE t(x)"))
    database.close()

    assert writer == ["wal", 3000, -8192, 2, 2, 0]
    assert reader == ["wal", 3000, -2048, 2, 2, 1]


def test_jobs_that_wait_together_are_committed_together(database: SqliteDatabase) -> None:
    """One COMMIT for all of them, and their order is kept."""
    gate = Gate(database)
    seen: list[int] = []

    def note(session: Session) -> None:
        seen.append(session.connection.total_changes)
        session.connection.execute("INSERT INTO t VALUES (?)", (len(seen),))

    futures = [database.write(note) for _ in range(GROUP_MAX + 3)]
    gate.open()
    for future in futures:
        future.result(PATIENCE_S)

    assert [later - seen[0] for later in seen] == list(range(GROUP_MAX + 3))
    assert numbers(database) == list(range(1, GROUP_MAX + 4))


def test_what_is_brief_goes_before_what_waits_and_is_committed_without_it(database: SqliteDatabase) -> None:
    """A person waits for the batch that is being written, not for ten; a heartbeat is brief too."""
    gate, done = Gate(database), list[str]()
    batches = [database.write(lambda _: done.append("batch")) for _ in range(3)]

    def seen(_: Session) -> int:
        done.append("brief")
        return len(done)

    brief = database.write(seen, is_brief=True)
    brief.add_done_callback(lambda _: done.append("told"))
    gate.open()
    assert brief.result(PATIENCE_S) == 1
    for future in batches:
        future.result(PATIENCE_S)

    assert done == ["brief", "told", "batch", "batch", "batch"]


@pytest.mark.parametrize("error", [LeaseLost("not ours"), ValueError("a bug"), KeyboardInterrupt()], ids=type)
def test_a_job_that_fails_takes_nothing_else_with_it(database: SqliteDatabase, error: BaseException) -> None:
    """It is told its own error; the others of its group are committed."""

    def fail(session: Session) -> None:
        session.connection.execute("INSERT INTO t VALUES (100)")
        raise error

    gate = Gate(database)
    before, failing, after = write(database, 1), database.write(fail), write(database, 2)
    gate.open()

    with pytest.raises(type(error)):
        failing.result(PATIENCE_S)
    assert (before.result(PATIENCE_S), after.result(PATIENCE_S)) == (1, 1)
    assert numbers(database) == [1, 2]


def test_a_job_that_sqlite_refuses_is_told_so_in_our_words(database: SqliteDatabase) -> None:
    """With the file and what SQLite said."""
    write(database, 1).result(PATIENCE_S)

    with pytest.raises(DestinationRefused, match=r"x\.db: SQLite says: UNIQUE constraint failed"):
        write(database, 1).result(PATIENCE_S)


def test_a_name_that_sounds_like_a_lock_is_not_taken_for_one(database: SqliteDatabase) -> None:
    """Errors are told apart by SQLite's code, not by words that stand in a user's names."""
    with pytest.raises(DestinationRefused, match="no such table: busy_locked_full"):
        database.write(lambda s: s.connection.execute("SELECT * FROM busy_locked_full")).result(PATIENCE_S)


def test_a_job_that_was_cancelled_while_it_waited_is_left_out(database: SqliteDatabase) -> None:
    """And the writer lives on."""
    gate = Gate(database)
    cancelled, kept = write(database, 1), write(database, 2)
    assert cancelled.cancel()
    gate.open()

    assert kept.result(PATIENCE_S) == 1
    assert numbers(database) == [2]
    assert write(database, 3).result(PATIENCE_S) == 1


@ON_SQLITE
async def test_a_task_that_is_cancelled_while_it_waits_does_not_kill_the_writer(store: LedgerStore) -> None:
    """Whoever else waits gets an answer."""
    assert isinstance(store._database, SqliteDatabase)
    gate = Gate(store._database)
    doomed = [asyncio.ensure_future(store.enqueue(ticket())) for _ in range(3)]
    kept = asyncio.ensure_future(store.note("run", []))
    await asyncio.sleep(0)
    for task in doomed:
        task.cancel()
    await asyncio.gather(*doomed, return_exceptions=True)
    gate.open()
    await asyncio.wait_for(kept, PATIENCE_S)

    assert [task.cancelled() for task in doomed] == [True] * 3
    assert await store.runs() == []


def test_what_was_queued_is_written_before_closing_and_nothing_is_waited_for_afterwards(tmp_path: Path) -> None:
    """A closed database answers at once."""
    database = SqliteDatabase(tmp_path / "x.db", IMPATIENT, SystemClock())
    database.write(lambda s: s.connection.execute("CREATE TABLE t(x)")).result(PATIENCE_S)
    gate = Gate(database)
    queued = [write(database, number) for number in range(3)]
    gate.open()
    database.close()
    database.close()

    assert [future.result(0) for future in queued] == [1, 1, 1]
    with pytest.raises(DestinationRefused, match="closed"):
        write(database, 9).result(0)
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (3,)


def test_another_program_that_keeps_the_file_locked_is_named_after_a_while(database: SqliteDatabase) -> None:
    """And when it lets go, everything works again."""
    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DestinationBusy, match="another program"):
            write(database, 1).result(PATIENCE_S)
        assert numbers(database) == []
        other.execute("ROLLBACK")

    assert write(database, 2).result(PATIENCE_S) == 1


def test_what_a_job_has_read_cannot_be_overtaken_before_it_writes(database: SqliteDatabase) -> None:
    """The right to write is taken before anything is read."""

    def look_and_write(session: Session) -> str:
        (seen,) = session.connection.execute("SELECT count(*) FROM t").fetchone()
        with closing(sqlite3.connect(database.path, isolation_level=None, timeout=0)) as other:
            try:
                other.execute("INSERT INTO t VALUES ('overtaken')")
            except sqlite3.OperationalError as error:
                session.connection.execute("INSERT INTO t VALUES (?)", (seen,))
                return str(error)
        return "overtaken"

    assert database.write(look_and_write).result(PATIENCE_S) == "database is locked"
    assert numbers(database) == [0]


@ON_SQLITE
async def test_a_full_disk_is_said_and_the_store_works_again_when_there_is_room(store: LedgerStore) -> None:
    """Nothing of the batch is left, and the lease still holds."""
    granted = await start(store)
    lease = (await store.commit(granted.lease, Batch(THINGS, [thing(0)]))).lease
    pages = await store._write(lambda s: s.connection.execute("PRAGMA page_count").fetchone()[0])
    await store._write(lambda s: s.connection.execute(f"PRAGMA max_page_count = {pages + 2}").fetchone())
    large = Batch(THINGS, [thing(key, name="x" * 4000) for key in range(1, 200)])

    with pytest.raises(DestinationRefused, match="no space left"):
        await store.commit(lease, large)
    assert await store.count_rows("shop", THINGS) == 1
    await store._write(lambda s: s.connection.execute("PRAGMA max_page_count = 1000000").fetchone())
    assert (await store.commit(lease, large)).counts.inserted == 199


@ON_SQLITE
async def test_a_file_that_is_replaced_while_it_is_open_is_neither_written_nor_read(store: LedgerStore) -> None:
    """What is written into a file without a name is lost when the process ends; what stands there is another state."""
    granted = await start(store)
    assert isinstance(store._database, SqliteDatabase)
    store._database.path.rename(store._database.path.with_suffix(".away"))

    with pytest.raises(DestinationRefused, match="deleted or replaced") as refused:
        await store.commit(granted.lease, Batch(THINGS, [thing(0)]))
    assert "anew" in refused.value.next_step
    with pytest.raises(DestinationRefused, match="deleted or replaced"):
        await store.run(granted.run.id)


@pytest.mark.parametrize(
    "content", [b"this is not a database at all, but some text" * 100, b"SQLite format 3\0" + b"?" * 9000]
)
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    """Before anything is written into it."""
    path = tmp_path / "notes.txt"
    path.write_bytes(content)

    with pytest.raises(NotADatabase, match=r"notes\.txt"):
        SqliteDatabase(path, IMPATIENT, SystemClock())
    assert path.read_bytes() == content


def test_a_file_in_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """With the folder's name: SQLite would only say that it cannot open a file."""
    with pytest.raises(UnwritablePath, match="missing"):
        refuse_unusable(tmp_path / "missing" / "x.db")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """Somebody gave the folder instead of the file."""
    with pytest.raises(UnwritablePath, match="folder") as refused:
        refuse_unusable(tmp_path)
    assert "file's name" in refused.value.next_step


def test_a_file_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    """By its own permissions or by its folder's: SQLite writes two files beside it."""
    path = tmp_path / "x.db"
    path.touch()
    path.chmod(0o400)
    if _may_write_anyway(path):
        pytest.skip("this user may write every file, whatever its permissions (root)")

    with pytest.raises(UnwritablePath, match="not writable"):
        refuse_unusable(path)
    path.chmod(0o600)
    tmp_path.chmod(0o500)
    with pytest.raises(UnwritablePath, match="not writable"):
        refuse_unusable(path)
    tmp_path.chmod(0o700)


def _may_write_anyway(path: Path) -> bool:
    try:
        path.open("ab").close()
    except PermissionError:
        return False
    return True


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "9p"])
def test_a_network_share_is_refused(tmp_path: Path, kind: str) -> None:
    """Two machines would both believe they hold SQLite's lock."""
    share = tmp_path / "a share"
    share.mkdir()
    mounts = mounted(tmp_path, ("/", "ext4"), (str(share), kind))

    with pytest.raises(NetworkFileSystem, match=kind):
        refuse_unusable(share / "x.db", mounts=mounts)


def test_a_link_onto_a_network_share_is_refused(tmp_path: Path) -> None:
    """What counts is where the file lies."""
    share = tmp_path / "share"
    share.mkdir()
    (share / "x.db").touch()
    link = tmp_path / "x.db"
    link.symlink_to(share / "x.db")
    mounts = mounted(tmp_path, ("/", "ext4"), (str(share), "nfs"))

    with pytest.raises(NetworkFileSystem):
        refuse_unusable(link, mounts=mounts)


def test_the_innermost_mount_decides(tmp_path: Path) -> None:
    """A local disk under a share is local."""
    inner = tmp_path / "share" / "local"
    inner.mkdir(parents=True)
    mounts = mounted(tmp_path, (str(tmp_path / "share"), "nfs"), (str(inner), "ext4"), ("/", "nfs"))

    refuse_unusable(inner / "x.db", mounts=mounts)
    with pytest.raises(NetworkFileSystem):
        refuse_unusable(tmp_path / "share" / "x.db", mounts=mounts)


def test_of_two_mounts_on_one_folder_the_last_decides(tmp_path: Path) -> None:
    """An automounter is hidden by what it mounts."""
    mounts = mounted(tmp_path, (str(tmp_path), "autofs"), (str(tmp_path), "nfs4"))

    with pytest.raises(NetworkFileSystem):
        refuse_unusable(tmp_path / "x.db", mounts=mounts)


def test_where_the_system_does_not_list_its_mounts_nothing_is_refused(tmp_path: Path) -> None:
    """Windows and macOS have no such file; and a line that cannot be read is no mount."""
    strange = tmp_path / "mounts"
    strange.write_text("\nnonsense\n", "utf-8")

    refuse_unusable(tmp_path / "x.db", mounts=tmp_path / "nowhere")
    refuse_unusable(tmp_path / "x.db", mounts=strange)


def mounted(folder: Path, *mounts: tuple[str, str]) -> Path:
    """Return a file like /proc/mounts."""
    path = folder / "mounts"
    lines = [f"device {where.replace(' ', chr(92) + '040')} {kind} rw 0 0" for where, kind in mounts]
    path.write_text("\n".join(lines), "utf-8")
    return path


@ON_SQLITE
async def test_two_processes_that_write_at_once_wait_for_one_another(store_factory: StoreFactory) -> None:
    """Nobody is told that the database is locked, as long as nobody holds it for long."""
    stores = [store_factory() for _ in range(3)]
    await asyncio.gather(*(store.note(f"run {n}", []) for n in range(20) for store in stores))
    runs = await asyncio.gather(*(store.enqueue(ticket()) for _ in range(20) for store in stores))

    assert len({run.id for run in runs}) == 1
