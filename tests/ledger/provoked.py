"""What goes wrong on a real server, made to go wrong: shared by the tests of what is said of it."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from tests.servers.postgres import PostgresServer

from comporta.ledger.postgres_address import Address

Connection = psycopg.Connection[Any]
PATIENCE_S = 8.0


def enter(url: str, **others: object) -> Connection:
    """Connect as the ledger does."""
    told = Address.parse(url).conninfo() | {"autocommit": True, "prepare_threshold": None}
    return psycopg.connect(**(told | others))


def failure(act: Callable[[], object]) -> psycopg.Error:
    """Return what the driver raised."""
    with pytest.raises(psycopg.Error) as caught:
        act()
    return caught.value


@contextmanager
def role(server: PostgresServer, options: str) -> Iterator[str]:
    """Make a role for one test."""
    name = f"role_{os.getpid()}_{time.monotonic_ns()}"
    with server.admin() as connection:
        connection.execute(f"CREATE ROLE {name} {options}".encode())
        yield name
        connection.execute(f"DROP ROLE {name}".encode())


def as_role(url: str, name: str) -> str:
    """Return a URL with another user in it."""
    return url.replace("://postgres@", f"://{name}@")


def wait_until_gone(url: str, connection: Connection) -> None:
    """Return when the server's process of a connection has ended."""
    deadline = time.monotonic() + PATIENCE_S
    with enter(url) as other:
        while other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (connection.info.backend_pid,)).fetchone():
            assert time.monotonic() < deadline
