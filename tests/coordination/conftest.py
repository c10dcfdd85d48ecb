"""The same workshop as the engine's stories: a real database, a fake source, a fake clock."""

from collections.abc import AsyncIterator

import pytest
from tests.coordination.always_on import kill_all
from tests.engine.conftest import path, workshop

from comporta.testing import FakeClock, MemoryLog

__all__ = ["path", "workshop"]


@pytest.fixture
def clock() -> FakeClock:
    """A clock that jumps when everybody waits."""
    return FakeClock()


@pytest.fixture
def log(clock: FakeClock) -> MemoryLog:
    """The log that all processes of a test share."""
    return MemoryLog(clock)


@pytest.fixture
async def nobody_stays() -> AsyncIterator[None]:
    """Whatever a test leaves running is gone at its end."""
    yield
    await kill_all()
