"""Simulators that start for one test and are closed after it."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from tests.sandbox.activecampaign_clients import OpenAccount
from tests.sandbox.mercadolivre_clients import OpenMarket
from tests.sandbox.odoo_clients import Open, StandingClock

from comporta.sandbox.activecampaign import ActiveCampaignSandbox
from comporta.sandbox.mercadolivre import MercadoLivreSandbox
from comporta.sandbox.odoo import OdooSandbox


@pytest.fixture
def clock() -> StandingClock:
    """The source's clock, standing still."""
    return StandingClock()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What closes at the end of the test whatever it has opened."""
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def open_odoo(clock: StandingClock, stack: ExitStack) -> Open:
    """Start a small Odoo whose clock is ``clock``."""
    return lambda **options: stack.enter_context(OdooSandbox(**{"records": 60, "clock": clock, **options}))


@pytest.fixture
def odoo(open_odoo: Open) -> OdooSandbox:
    """A small Odoo 19."""
    return open_odoo()


@pytest.fixture
def odoo16(open_odoo: Open) -> OdooSandbox:
    """A small Odoo 16."""
    return open_odoo(version=16)


@pytest.fixture
def open_crm(clock: StandingClock, stack: ExitStack) -> OpenAccount:
    """Start a small ActiveCampaign account whose clock is ``clock``, with a limit no test meets by chance."""
    return lambda **options: stack.enter_context(
        ActiveCampaignSandbox(**{"records": 60, "clock": clock, "limit": 10_000, **options})
    )


@pytest.fixture
def crm(open_crm: OpenAccount) -> ActiveCampaignSandbox:
    """A small ActiveCampaign account."""
    return open_crm()


@pytest.fixture
def open_market(clock: StandingClock, stack: ExitStack) -> OpenMarket:
    """Start a small Mercado Livre of two sellers whose clock is ``clock``."""
    return lambda **options: stack.enter_context(MercadoLivreSandbox(**{"records": 60, "clock": clock, **options}))


@pytest.fixture
def market(open_market: OpenMarket) -> MercadoLivreSandbox:
    """A small Mercado Livre."""
    return open_market()
