"""Every story gets a database of its own: a copy of one that was migrated once."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.engine.workshop import Workshop, open_workshop

from comporta.ledger.sqlite_schema import migrate


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty database with a ledger."""
    path = tmp_path_factory.mktemp("migrated") / "empty.db"
    migrate(path)
    return path


@pytest.fixture
def path(migrated: Path, tmp_path: Path) -> Path:
    """Return a fresh copy of the empty database."""
    copy = tmp_path / "comporta.db"
    shutil.copy(migrated, copy)
    return copy


@pytest.fixture
async def workshop(path: Path) -> AsyncIterator[Workshop]:
    """Return an open workshop: database, clock, source."""
    async with open_workshop(path) as opened:
        yield opened
