"""Every story gets a database of its own: a copy of one that was migrated once."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.engine.workshop import Workshop, open_workshop


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
