"""A real PgBouncer before a server, as hosted PostgreSQL has one: connections are lent per transaction.

It knows no prepared statements and resets nothing between two transactions, which is what breaks clients
that count on a session. Any database of the server can be reached through it, by the same name.
"""

import re
import shutil
import subprocess
from dataclasses import dataclass

from tests.servers import home as homes
from tests.servers.home import Home
from tests.servers.postgres import OwnPostgres


@dataclass(frozen=True)
class Pooling:
    """For how long a client is lent a connection, and how many there are for each database."""

    mode: str = "transaction"
    size: int = 5


@dataclass(frozen=True)
class PgBouncer:
    """A pooler that runs before a server."""

    server: OwnPostgres
    pooling: Pooling
    port: int

    def url(self, database: str) -> str:
        """Return the URL of one of the server's databases through the pooler."""
        return self.server.url(database, port=self.port)


def pgbouncer_path() -> str | None:
    """Return where pgbouncer is installed; Debian puts it where only root looks."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/bin")


def shared_pgbouncer(home: Home, server: OwnPostgres, pooling: Pooling) -> PgBouncer:
    """Return the session's pooler of that kind before a server, started by the first worker that asks."""
    room = home.folder / f"pgbouncer-{server.room.name}-{pooling.mode}-{pooling.size}"
    with home.alone():
        if not homes.is_alive(room):
            _start(home, server, pooling, room.name)
    return PgBouncer(server, pooling, int((room / "port").read_text(encoding="ascii")))


def _start(home: Home, server: OwnPostgres, pooling: Pooling, name: str) -> None:
    room, port, program = home.room(name), homes.free_port(), pgbouncer_path()
    assert program is not None
    (room / "users").write_text('"postgres" ""\n', encoding="ascii")
    (room / "pgbouncer.ini").write_text(_settings(program, server, pooling, port), encoding="ascii")
    (room / "port").write_text(str(port), encoding="ascii")
    homes.spawn(room, [program, "pgbouncer.ini"])
    homes.wait_until(room, lambda: homes.listens(port))


def _settings(program: str, server: OwnPostgres, pooling: Pooling, port: int) -> str:
    lines = [
        "[databases]",
        f"* = host={homes.LOOPBACK} port={server.port}",
        "[pgbouncer]",
        f"listen_addr = {homes.LOOPBACK}",
        f"listen_port = {port}",
        "unix_socket_dir =",
        "auth_type = trust",
        "auth_file = users",
        "admin_users = postgres",
        f"pool_mode = {pooling.mode}",
        f"default_pool_size = {pooling.size}",
        "max_client_conn = 500",
        # The databases of tests come and go; what is left of them need not stay for an hour.
        "autodb_idle_timeout = 10",
    ]
    # Before 1.21 there is no such setting, and no prepared statements; from 1.24 on they are on by default.
    if _version(program) >= (1, 21):
        lines.append("max_prepared_statements = 0")
    return "\n".join([*lines, ""])


def _version(program: str) -> tuple[int, ...]:
    said = subprocess.run([program, "--version"], capture_output=True, check=True, text=True).stdout
    found = re.search(r"(\d+)\.(\d+)", said)
    assert found is not None
    return tuple(map(int, found.groups()))
