"""An office of its own for each story."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.engine.conftest import migrated, path
from tests.web.office import Office, open_office

__all__ = ["migrated", "office", "path"]


@pytest.fixture
async def office(path: Path) -> AsyncIterator[Office]:
    """Return a running server."""
    async with open_office(path) as opened:
        yield opened
    for each in opened.listeners:
        await each.close()
