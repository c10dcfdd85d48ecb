"""The databases that contestants write into: where a copy stands, what the server spent, whether it is right.

A place is a contestant's folder and its database. ``check`` compares row count and sums with the source's truth
and raises ``WrongResultError``: a wrong copy has no speed.
"""

import json
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Protocol

import psycopg
from psycopg.rows import dict_row

from bench.environments import python_of
from bench.postgres import Cluster, NoServerError, Spent, cluster
from bench.registry import ROOT, Contestant
from bench.world import TRUTH

KINDS = ("sqlite", "postgresql")


class WrongResultError(Exception):
    """A contestant failed, or its copy differs from what the server has."""


@dataclass(frozen=True)
class Place:
    """A folder for state and settings, and the URL of the database beside it."""

    folder: Path
    url: str


class Database(Protocol):
    """A kind of database, with a scratch folder for places."""

    kind: str
    title: str

    def fresh(self) -> Place:
        """Make an empty place."""

    def copy(self, place: Place) -> Place:
        """Make a copy of a place, in which nothing is left to be done."""

    def drop(self, place: Place) -> None:
        """Take a place away."""

    def spent(self) -> Spent:
        """Return what the database's server has spent so far."""

    def ask(self, place: Place, query: str) -> Mapping[str, object]:
        """Return the only row of a query."""


class Sqlite:
    """A file in the place's folder, ``copy.db``; there is no server."""

    kind = "sqlite"
    title = f"SQLite {sqlite3.sqlite_version}"

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._numbers = count()

    def fresh(self) -> Place:
        """Make an empty place."""
        place = self._place()
        place.folder.mkdir(parents=True)
        return place

    def copy(self, place: Place) -> Place:
        """Make a copy of a place."""
        made = self._place()
        shutil.copytree(place.folder, made.folder)
        return made

    def drop(self, place: Place) -> None:
        """Take a place away."""
        shutil.rmtree(place.folder)

    def spent(self) -> Spent:
        """Return nothing: all of the work is in the contestant's own processes."""
        return Spent(0.0, 0)

    def ask(self, place: Place, query: str) -> Mapping[str, object]:
        """Return the only row of a query."""
        with closing(sqlite3.connect(place.folder / "copy.db")) as connection:
            connection.row_factory = sqlite3.Row
            return dict(connection.execute(query).fetchone())

    def _place(self) -> Place:
        folder = self._scratch / f"s{next(self._numbers)}"
        return Place(folder, f"sqlite:///{folder}/copy.db")


class Postgres:
    """A database of its own for each place, on one server."""

    kind = "postgresql"

    def __init__(self, scratch: Path, server: Cluster) -> None:
        self._scratch = scratch
        self._numbers = count()
        self._server = server
        self.title = f"PostgreSQL {server.version}, fsync on, default settings"

    def fresh(self) -> Place:
        """Make an empty place."""
        name = f"p{next(self._numbers)}"
        (self._scratch / name).mkdir(parents=True)
        return Place(self._scratch / name, self._server.create(name))

    def copy(self, place: Place) -> Place:
        """Make a copy of a place, as if it had been loaded long ago."""
        name = f"p{next(self._numbers)}"
        shutil.copytree(place.folder, self._scratch / name)
        made = Place(self._scratch / name, self._server.create(name, place.folder.name))
        self._server.settle(name)
        return made

    def drop(self, place: Place) -> None:
        """Take a place away."""
        self._server.drop(place.folder.name)
        shutil.rmtree(place.folder)

    def spent(self) -> Spent:
        """Return what the server has spent so far."""
        return self._server.spent()

    def wal_about(self, place: Place, table: str, since: int, until: int) -> int:
        """Return how many bytes of the log are about one table."""
        return self._server.wal_about(place.folder.name, table, since, until)

    def ask(self, place: Place, query: str) -> Mapping[str, object]:
        """Return the only row of a query."""
        with psycopg.connect(place.url, options="-c timezone=UTC", row_factory=dict_row) as connection:
            found = connection.execute(query.encode()).fetchone()
        assert found is not None
        return {name: value if name == "latest" else int(value) for name, value in found.items()}


@contextmanager
def opened(kind: str, scratch: Path) -> Iterator[Database]:
    """Give a database of a kind; raise ``NoServerError`` where it cannot be had."""
    if kind == "sqlite":
        yield Sqlite(scratch / kind)
        return
    with cluster() as server:
        yield Postgres(scratch / kind, server)


def check(database: Database, place: Place, contestant: Contestant, truth: object) -> None:
    """Raise unless row count and sums of a contestant's table are the server's."""
    table = contestant.tables[database.kind]
    sums = ", ".join(f"{expression} AS {name}" for name, expression in TRUTH.items())
    query = f"SELECT {sums}, max(write_date) AS latest FROM {table}"
    reader = contestant.reader.get(database.kind)
    seen = dict(_asked(contestant, reader, place, query) if reader else database.ask(place, query))
    seen["latest"] = str(seen["latest"])[:19].replace("T", " ")
    if seen != truth:
        raise WrongResultError(f"{contestant.name}: the copy adds up to {seen}, the source to {truth}")


def _asked(contestant: Contestant, reader: str, place: Place, query: str) -> dict[str, object]:
    """Return the row of a query from a file that only the contestant's own library can read."""
    command = [python_of(contestant.needs), "-m", reader, str(place.folder), query]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise WrongResultError(f"{contestant.name}: its copy cannot be read: {ended.stderr[-500:]}")
    row: dict[str, object] = json.loads(ended.stdout)
    return row


__all__ = ["KINDS", "Database", "NoServerError", "Place", "Postgres", "Sqlite", "WrongResultError", "check", "opened"]
