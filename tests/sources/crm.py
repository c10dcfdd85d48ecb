"""An ActiveCampaign account as tests read it: at some address, as fast as they like, with dice that fall the same."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from random import Random
from zoneinfo import ZoneInfo

from tests.sources.scripted import SteppingClock

from comporta.coordination.budgets import SharedBudgets
from comporta.sources.activecampaign import ActiveCampaignSource
from comporta.sources.activecampaign_config import PAGE_SIZE, ActiveCampaignConfig
from comporta.testing import MemoryLog


@asynccontextmanager
async def open_crm(
    url: str, clock: SteppingClock, *, key: str = "demo", page_size: int = PAGE_SIZE
) -> AsyncIterator[ActiveCampaignSource]:
    """Open the account ``crm``."""
    rate = (1_000, timedelta(seconds=1))
    config = ActiveCampaignConfig(url, key, ZoneInfo("UTC"), page_size=page_size, rate=rate)
    budgets = SharedBudgets(MemoryLog(clock), clock)
    source = ActiveCampaignSource(config, account="crm", clock=clock, budgets=budgets, dice=Random(1))
    try:
        yield source
    finally:
        await source.aclose()
