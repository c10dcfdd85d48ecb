"""What an ActiveCampaign account's settings mean, and how wide its windows are asked."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comporta.core.instant import instant_text
from comporta.sources.activecampaign_bounds import Bounds
from comporta.sources.activecampaign_config import ActiveCampaignConfig
from comporta.sources.latency import useful_requests

ZONE = ZoneInfo("America/Sao_Paulo")
KEY = "s3cret-key"


@pytest.mark.parametrize(
    "url", ["https://acme.api-us1.com", "https://acme.api-us1.com/", "https://acme.api-us1.com/api/3/"]
)
def test_the_address_may_be_written_with_or_without_its_end(url: str) -> None:
    """And names one budget, whatever its form and whichever key asks."""
    config = ActiveCampaignConfig(url, KEY, ZONE)

    assert config.base == "https://acme.api-us1.com/api/3"
    assert config.terms.key == "activecampaign https://acme.api-us1.com"
    assert config.terms.rate == (5, timedelta(seconds=1))
    assert KEY not in repr(config)


@pytest.mark.parametrize(
    "url", ["https://acme.api-us1.com:443", "https://ACME.api-us1.com.", "https://me@acme.api-us1.com:443/api/3/"]
)
def test_however_an_address_is_written_its_budget_is_one(url: str) -> None:
    """Two accounts that name the same place in two ways would ask for twice the limit."""
    assert ActiveCampaignConfig(url, KEY, ZONE).terms.key == "activecampaign https://acme.api-us1.com"


moments = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  zones: UTC
zones = st.sampled_from(["Pacific/Kiritimati", "Etc/GMT+12", "America/Sao_Paulo", "America/Chicago", "UTC"])


@given(moment=moments, zone=zones, length=st.integers(1, 100))
def test_what_is_asked_holds_the_window_wherever_the_account_is(moment: datetime, zone: str, length: int) -> None:
    """By the day, in whichever zone the filter goes by: no row of the window is filtered out or found odd."""
    there = ZoneInfo(zone)
    bounds = Bounds(moment, moment + timedelta(hours=length))
    low, high = (
        datetime.fromisoformat(bounds.query()[f"filters[updated_{which}]"]).replace(tzinfo=there)
        for which in ("after", "before")
    )
    within = [instant_text(bounds.since or moment), instant_text((bounds.until or moment) - timedelta(microseconds=1))]

    assert low <= moment
    assert high >= moment + timedelta(hours=length)
    assert bounds.excluded(within) is None
    assert bounds.excluded([instant_text(low), instant_text(high - timedelta(microseconds=1))]) is None
    assert bounds.excluded([instant_text(low - timedelta(days=2))]) is not None
    assert bounds.excluded([instant_text(high + timedelta(days=2))]) is not None


@pytest.mark.parametrize(
    ("latency_s", "most", "useful"),
    [(0.0, 20, 1), (0.1, 20, 2), (0.2, 20, 2), (0.8, 20, 5), (9.0, 20, 20), (9.0, 1, 1)],
)
def test_as_many_requests_are_under_way_as_are_of_use(latency_s: float, most: int, useful: int) -> None:
    """Those sent while one is answered, and the next; never more than was allowed."""
    assert useful_requests((5, timedelta(seconds=1)), latency_s, most=most) == useful
