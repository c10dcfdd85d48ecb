"""An office of its own for each story, on every database that we promise."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import uvicorn.server
from tests.engine.conftest import path
from tests.engine.workshop import CONDUCT
from tests.web.office import Office, open_office, sqlite_store

from comporta.ledger.store import LedgerStore
from comporta.ports.system_clock import SystemClock

__all__ = ["office", "open_store", "path"]
OpenStore = Callable[[], LedgerStore]


class Brisk:
    """The asyncio of uvicorn, which sleeps a tenth of a second between two looks whether it should end."""

    def __getattr__(self, name: str) -> object:
        return getattr(asyncio, name)

    async def sleep(self, seconds: float) -> None:
        """Sleep a little."""
        await asyncio.sleep(min(seconds, 0.005))


@pytest.fixture(scope="session", autouse=True)
def brisk() -> Iterator[None]:
    """Let servers end at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uvicorn.server, "asyncio", Brisk())
        yield


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.full)])
def open_store(request: pytest.FixtureRequest) -> OpenStore:
    """Return a function that opens the story's database once more, as another process would."""
    if request.param == "sqlite":
        file = request.getfixturevalue("path")
        return lambda: sqlite_store(file)
    from tests.conformance.ledgers import open_postgres

    url = request.getfixturevalue("ledger_url")
    return lambda: open_postgres(url, SystemClock(), ttl=CONDUCT.lease)


@pytest.fixture
async def office(open_store: OpenStore) -> AsyncIterator[Office]:
    """Return a running server."""
    async with open_office(open_store()) as opened:
        yield opened
    for each in opened.listeners:
        await each.close()
