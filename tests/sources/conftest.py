"""What the tests of sources share: a clock that steps, and sources that use it."""

from collections.abc import AsyncIterator, Callable, Iterator
from random import Random

import pytest
from tests.sources.scripted import ScriptedServer, SteppingClock

from comporta.coordination.budgets import SharedBudgets
from comporta.ports.progress import Progress
from comporta.sources.odoo import OdooSource
from comporta.sources.odoo_config import OdooConfig
from comporta.testing import MemoryLog

Connect = Callable[..., OdooSource]


@pytest.fixture
def clock() -> SteppingClock:
    """Return a clock that moves only when somebody sleeps."""
    return SteppingClock()


@pytest.fixture
def progress(clock: SteppingClock) -> Progress:
    """Return the sign of life of a run."""
    return Progress(clock)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """Return a server that says what the test wrote."""
    with ScriptedServer() as running:
        yield running


@pytest.fixture
async def connect(clock: SteppingClock) -> AsyncIterator[Connect]:
    """Return what makes sources; they are closed after the test."""
    made: list[OdooSource] = []

    def make(url: str, **settings: object) -> OdooSource:
        known = {"database": "demo", "login": "demo", "api_key": "s3cret-key", **settings}
        config = OdooConfig(url, **known)  # type: ignore[arg-type]  # as the caller says
        budgets = SharedBudgets(MemoryLog(clock), clock)
        made.append(OdooSource(config, account="matriz", clock=clock, budgets=budgets, dice=Random(1)))
        return made[-1]

    yield make
    for source in made:
        await source.aclose()
