"""Databases for the tests of moving: empty ones of each kind, and one that a simulated company was synced into."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.moving.scissors import PAGE_ROWS, Scissors
from tests.moving.shop import Shop

from comporta.ledger.postgres import PostgresDatabase
from comporta.ledger.sqlite import SqliteDatabase
from comporta.moving import copying
from comporta.sandbox.odoo import OdooSandbox

Address = Callable[[str], str]
Said = Callable[..., tuple[int, Any]]


@pytest.fixture
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    """Return a way to get the address of a fresh database, ``sqlite`` or ``postgres``."""
    count = 0

    def make(kind: str) -> str:
        nonlocal count
        count += 1
        if kind == "sqlite":
            return f"sqlite:///{(tmp_path / f'database{count}.db').as_posix()}"
        url: str = request.getfixturevalue("postgres_clone")("template0")
        return url

    return make


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, new_database: Address) -> str:
    """Return the address of an empty database, of each kind."""
    return new_database(request.param)


@pytest.fixture
def scissors(monkeypatch: pytest.MonkeyPatch) -> Scissors:
    """Return scissors for whatever is opened, and let pages be small."""
    made = Scissors()
    for kind in (SqliteDatabase, PostgresDatabase):
        real = kind.write
        monkeypatch.setattr(kind, "write", lambda self, work, real=real: made.write(self, work, real))
    monkeypatch.setattr(copying, "PAGE_ROWS_FIRST", PAGE_ROWS)
    monkeypatch.setattr(copying, "next_limit", lambda _: PAGE_ROWS)
    return made


@pytest.fixture(scope="package")
def company() -> Iterator[OdooSandbox]:
    """Serve a small company, in which nothing happens."""
    with OdooSandbox(records=30) as sandbox:
        yield sandbox


@pytest.fixture(scope="package")
def synced(company: OdooSandbox, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Sync the company into an SQLite file, which tests copy."""
    shop = Shop(tmp_path_factory.mktemp("synced"), company.url)
    shop.use(f"sqlite:///{(shop.folder / 'shop.db').as_posix()}").sync()
    return shop


@pytest.fixture
def shop(synced: Shop, tmp_path: Path) -> Shop:
    """Return a folder of the test's own with the synced database."""
    return Shop(tmp_path, synced.url).copy_of(synced)


@pytest.fixture
def said(shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Said:
    """Return a way to run a command in the shop's folder and get its exit code and JSON."""
    monkeypatch.chdir(shop.folder)

    def call(*arguments: str) -> tuple[int, Any]:
        capsys.readouterr()
        code = shop.command(*arguments, "--json")
        return code, json.loads(capsys.readouterr().out)

    return call
