"""Real PostgreSQL servers: one shared by a test session, and fresh ones for tests that hurt them.

What a careless client takes for granted is set otherwise: no server's time zone is UTC, 18 writes its dates
as Germans do, Debian's sorts as Brazilians do. All state lies in the server's folder, so that every worker
of pytest-xdist can use a server that another one started.
"""

import itertools
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from uuid import uuid4

import psycopg
from psycopg import sql
from tests.servers import home as homes
from tests.servers.builds import Build
from tests.servers.home import Home

GONE_TIMEOUT_S = 5.0
SETTINGS = {
    "listen_addresses": homes.LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "max_wal_size": "128MB",
    "timezone": "America/Sao_Paulo",
}
UNLIKE = {"18": {"datestyle": "German, DMY"}}
HASTY = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
BRAZILIAN = ["--locale-provider=icu", "--icu-locale=pt-BR"]


def database_of(url: str) -> str:
    """Return the name of the database that a URL is for."""
    return unquote(urlsplit(url).path.removeprefix("/"))


@dataclass
class PostgresServer:
    """A server in which a test may make databases; perhaps one that somebody else runs."""

    build: Build
    root_url: str

    def url(self, database: str = "postgres", *, port: int | None = None) -> str:
        """Return the URL of one of its databases, through another port if given."""
        parts = urlsplit(self.root_url)
        network = parts.netloc if port is None else f"{parts.username}@{homes.LOOPBACK}:{port}"
        return urlunsplit(parts._replace(netloc=network, path=f"/{quote(database)}"))

    def create(self, *, template: str = "template0") -> str:
        """Make a database with a name of its own, empty or as its template; nobody may be in the template."""
        name = f"test_{uuid4().hex[:16]}"
        # Copying files takes half as long as writing them to the log where fsync is off, and longer elsewhere.
        strategy = sql.SQL("STRATEGY file_copy" if self.build.is_ours else "")
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} {}")
        with self.admin() as connection:
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template), strategy))
        return name

    def drop(self, database: str) -> None:
        """Drop a database, whoever is still in it: a pooler keeps its connections."""
        with self.admin() as connection:
            # FORCE alone would do; but it looks only every 100 ms whether those it ended have gone.
            _end_clients(connection, database)
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))

    def kill_backends(self, url: str) -> int:
        """End every connection to the database of a URL, as an administrator would; return how many there were."""
        with self.admin() as connection:
            return _end_clients(connection, database_of(url))

    @contextmanager
    def admin(self) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
        """Connect as the owner of the server, outside any transaction."""
        with psycopg.connect(self.root_url, autocommit=True) as connection:
            yield connection


def _end_clients(connection: "psycopg.Connection[tuple[object, ...]]", database: str) -> int:
    """End all others who are in a database, wait until they are gone, and return how many there were."""
    others = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND datname = %s AND pid <> pg_backend_pid()"
    )
    deadline = time.monotonic() + GONE_TIMEOUT_S
    ended = left = connection.execute(others, [database]).rowcount
    while left and time.monotonic() < deadline:
        left = connection.execute(others, [database]).rowcount
    return ended


@dataclass
class OwnPostgres(PostgresServer):
    """A server in a folder of ours, which may be stopped, crashed and started again at the same port."""

    room: Path
    port: int
    binaries: Path
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def pid(self) -> int:
        """Return the number of its first process, the parent of all the others."""
        return int((self.room / "pid").read_text(encoding="ascii"))

    @property
    def is_running(self) -> bool:
        """Tell whether any of its processes runs."""
        return homes.is_alive(self.room)

    @property
    def log(self) -> str:
        """Return what the server wrote since it was made."""
        return (self.room / "log").read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        """Start the server and return when it lets clients in."""
        options = itertools.chain.from_iterable(("-c", f"{name}={value}") for name, value in self.settings.items())
        command = [str(self.binaries / "postgres"), "-D", str(self.room / "data"), "-p", str(self.port), *options]
        homes.spawn(self.room, command)
        homes.wait_until(self.room, self._lets_in)

    def stop(self, *, immediate: bool = False) -> None:
        """Stop the server: politely ending its clients, or at once, so that the next start recovers."""
        homes.end(self.room, signal.SIGQUIT if immediate else signal.SIGINT)

    def kill(self) -> None:
        """Kill the first process, as if memory had run out."""
        homes.end(self.room, signal.SIGKILL)

    def restart(self, *, immediate: bool = False) -> None:
        """Stop the server and start it again."""
        self.stop(immediate=immediate)
        self.start()

    def remove(self) -> None:
        """Stop the server, if it runs, and delete all it kept."""
        self.stop(immediate=True)
        shutil.rmtree(self.room)

    def _lets_in(self) -> bool:
        # "ready" is what pg_ctl waits for; it takes no connection, so it works with passwords and TLS too.
        status = self.room / "data" / "postmaster.pid"
        lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"


def make_postgres(home: Home, build: Build, name: str, *, is_hasty: bool, init: Sequence[str] = ()) -> OwnPostgres:
    """Make a server that is not started yet, so that its folder may be changed before."""
    assert build.binaries is not None
    room, port = home.room(name), homes.free_port()
    binaries = homes.within_reach(home, build.binaries)
    # The wheel's were built without ICU.
    collated = BRAZILIAN if build.name.startswith("debian") else []
    fixed = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
    command = [str(binaries / "initdb"), "-D", str(room / "data"), *fixed, *collated, *init]
    homes.run_as_server(command, cwd=room)
    (room / "port").write_text(str(port), encoding="ascii")
    return found_postgres(home, build, room, is_hasty=is_hasty)


def found_postgres(home: Home, build: Build, room: Path, *, is_hasty: bool) -> OwnPostgres:
    """Return the server of a folder, whoever made it; a hasty one may lose data when the machine fails."""
    assert build.binaries is not None
    port = int((room / "port").read_text(encoding="ascii"))
    settings = SETTINGS | UNLIKE.get(build.name, {}) | (HASTY if is_hasty else {})
    url = f"postgresql://postgres@{homes.LOOPBACK}:{port}/postgres"
    binaries = homes.within_reach(home, build.binaries)
    return OwnPostgres(build, url, room=room, port=port, binaries=binaries, settings=settings)


def shared_postgres(home: Home, build: Build) -> OwnPostgres:
    """Return the session's server of a build, started by the first worker that asks."""
    room = home.folder / f"postgres-{build.name}"
    with home.alone():
        if homes.is_alive(room):
            return found_postgres(home, build, room, is_hasty=True)
        server = make_postgres(home, build, room.name, is_hasty=True)
        server.start()
        return server
