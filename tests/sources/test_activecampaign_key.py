"""A key that stops being good while streams are read: a list says 403 of it, and of a missing right."""

from collections.abc import AsyncIterator, Iterator

import pytest
from tests.sources.crm import open_crm
from tests.sources.scripted import SteppingClock

from comporta.errors import AccessRefused, LoginRefused
from comporta.ports.progress import Progress
from comporta.ports.source import StreamRequest
from comporta.sandbox.activecampaign import ActiveCampaignSandbox
from comporta.sources.activecampaign import ActiveCampaignSource

DEALS, PAGE = 60, 20


@pytest.fixture
def crm(clock: SteppingClock) -> Iterator[ActiveCampaignSandbox]:
    """Return an account that takes the key ``demo``."""
    with ActiveCampaignSandbox(records=DEALS, limit=1_000_000, clock=clock.now) as sandbox:
        yield sandbox


@pytest.fixture
async def source(crm: ActiveCampaignSandbox, clock: SteppingClock) -> AsyncIterator[ActiveCampaignSource]:
    """Return what reads it with that key."""
    async with open_crm(crm.url, clock, page_size=PAGE) as source:
        yield source


async def test_a_key_that_was_changed_under_a_run_is_called_the_key(
    crm: ActiveCampaignSandbox, source: ActiveCampaignSource, clock: SteppingClock
) -> None:
    """Who is sent to the rights of the key's user looks in vain; lists, values of deals and single records alike."""
    reader = await source.read(StreamRequest("deals"), Progress(clock))
    values = await source.read(StreamRequest("dealCustomFieldData"), Progress(clock))
    pages = reader.pages(since=None, until=None, after=None)
    assert len((await anext(pages)).rows) == PAGE
    crm._key = "another"

    with pytest.raises(LoginRefused, match="expected the key to be accepted") as caught:
        await anext(pages)
    with pytest.raises(LoginRefused):
        await values.fetch_children([1, 2])
    with pytest.raises(LoginRefused):
        await reader.existing([1, 2])

    assert "api_key" in caught.value.next_step


async def test_a_right_that_is_missing_is_proved_once(
    crm: ActiveCampaignSandbox, source: ActiveCampaignSource, clock: SteppingClock
) -> None:
    """The key is shown to the server, which takes it; not for each record that is refused."""
    crm.faults.add("forbidden=1@deals")
    progress = Progress(clock)
    reader = await source.read(StreamRequest("deals"), progress)

    with pytest.raises(AccessRefused):
        await reader.count(since=None, until=None)
    page = await reader.fetch([1, 2, 3])

    assert {each.code for each in page.unseen} == {AccessRefused.code}
    assert crm.stats.calls["users/me"] == 1


async def test_a_key_that_no_header_takes_is_refused_without_being_shown(
    crm: ActiveCampaignSandbox, clock: SteppingClock
) -> None:
    """However it came here; the HTTP library would say it aloud, and call it a fault nobody foresaw."""
    async with open_crm(crm.url, clock, key="s3cret\nkey") as source:
        (finding,) = await source.check([StreamRequest("deals")])

    assert (finding.ok, finding.details["code"]) == (False, "CMP-SET-003")
    assert "s3cret" not in finding.message
