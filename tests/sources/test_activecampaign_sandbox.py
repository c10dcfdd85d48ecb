"""The ActiveCampaign source against the simulator: what it reads, what it asks, and every fault the simulator has."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.sources.scripted import ScriptedServer, SteppingClock, http, page

from comporta.coordination.budgets import SharedBudgets
from comporta.core.record import Key, Page
from comporta.errors import (
    AccessRefused,
    ComportaError,
    FilterIgnored,
    LoginRefused,
    RateLimited,
    SourceAnsweredPage,
    SourceBadGateway,
    SourceChangedShape,
    SourceRefused,
    SourceTruncated,
    SourceUnavailable,
    UnknownStream,
)
from comporta.ports.progress import Progress
from comporta.ports.source import StreamRequest
from comporta.sandbox.activecampaign import ActiveCampaignSandbox
from comporta.sandbox.activecampaign_lists import shown
from comporta.sources.activecampaign import ActiveCampaignSource
from comporta.sources.activecampaign_config import ActiveCampaignConfig
from comporta.sources.activecampaign_reader import ActiveCampaignReader
from comporta.sources.activecampaign_rows import Plan
from comporta.sources.activecampaign_shape import fields_of
from comporta.sources.activecampaign_streams import DEFAULT_STREAMS
from comporta.testing import MemoryLog

Anything = Any
ZONE = ZoneInfo("America/Chicago")
DEALS, KEY = 60, "s3cret-key"


class Account:
    """One simulated account and its readers."""

    def __init__(self, url: str, clock: SteppingClock, **settings: Anything) -> None:
        self.progress = Progress(clock)
        told = {"api_key": KEY, "zone": ZONE, "page_size": 20, "rate": (1_000, timedelta(seconds=1)), **settings}
        self.source = ActiveCampaignSource(
            ActiveCampaignConfig(url, **told),
            account="crm",
            clock=clock,
            budgets=SharedBudgets(MemoryLog(clock), clock),
            dice=Random(1),
        )

    async def read(self, stream: str = "deals", **how: Anything) -> ActiveCampaignReader:
        return await self.source.read(StreamRequest(stream, **how), self.progress)


@pytest.fixture
def sandbox(clock: SteppingClock) -> Iterator[ActiveCampaignSandbox]:
    """Return a small account that nobody works in."""
    with ActiveCampaignSandbox(records=DEALS, limit=1_000_000, key=KEY, clock=clock.now) as running:
        yield running


@pytest.fixture
async def account(sandbox: ActiveCampaignSandbox, clock: SteppingClock) -> AsyncIterator[Account]:
    """Return what reads it."""
    account = Account(sandbox.url, clock)
    yield account
    await account.source.aclose()


@pytest.fixture
async def told(server: ScriptedServer, clock: SteppingClock) -> AsyncIterator[Account]:
    """Return what reads a server that says what a test wrote."""
    account = Account(server.url, clock)
    yield account
    await account.source.aclose()


async def pages_of(
    reader: ActiveCampaignReader, since: datetime | None = None, until: datetime | None = None, **how: Anything
) -> list[Page]:
    """Read all pages."""
    told = {"after": None, "limit": None, **how}
    return [page async for page in reader.pages(since=since, until=until, **told)]


def keys_of(pages: list[Page]) -> list[int]:
    """Return the keys of all rows."""
    return [int(row[0]) for page in pages for row in page.rows]  # type: ignore[arg-type]  # the key is there


async def listed(reader: ActiveCampaignReader, **bounds: datetime | None) -> list[tuple[Key, str | None]]:
    """Return the whole listing."""
    return [pair async for part in reader.listing(**{"since": None, "until": None, **bounds}) for pair in part]


def truth(sandbox: ActiveCampaignSandbox, stream: str) -> dict[int, tuple[object, ...]]:
    """Return every row that the simulator has, with what it counts when asked to, as a row of ours, by key."""
    plan = Plan(fields_of(StreamRequest(stream)), stamp=None, zone=ZONE)
    world, asked, faults = sandbox.world, {"count_deals": "true"}, sandbox.faults
    batch = plan.rows([shown(world, stream, row, asked, faults) for row in world.rows(stream)], subject="the truth")
    return {int(row[0]): tuple(row) for row in batch.rows}  # type: ignore[arg-type]  # the key is there


@pytest.mark.parametrize("stream", DEFAULT_STREAMS)
async def test_what_is_read_is_what_is_there(account: Account, sandbox: ActiveCampaignSandbox, stream: str) -> None:
    """Every record once, with every value; the pages prove it, and totals agree where there are any."""
    reader = await account.read(stream)
    before = await reader.count(since=None, until=None)
    pages = await pages_of(reader)
    after = await reader.count(since=None, until=None)

    expected = truth(sandbox, stream)
    rows = {int(row[0]): tuple(row) for page in pages for row in page.rows}  # type: ignore[arg-type]  # the key is there
    assert rows == expected
    assert len(keys_of(pages)) == len(expected)
    assert not any(page.rejected or page.limited or page.extras for page in pages)
    assert {before, after} <= {len(expected), None}
    assert reader.is_unbroken
    assert [page.is_last for page in pages] == [False] * (len(pages) - 1) + [True]
    assert [key for key, _ in await listed(reader)] == sorted(expected)


async def test_counting_costs_no_request_of_its_own(account: Account, sandbox: ActiveCampaignSandbox) -> None:
    """The first page is counted and then read, and the last one brings the count after."""
    reader = await account.read()
    await reader.count(since=None, until=None)
    await pages_of(reader)
    await reader.count(since=None, until=None)

    sent = account.progress.requests.sent
    assert sent == -(-(DEALS - 1) // 19)
    await reader.count(since=None, until=None)
    assert account.progress.requests.sent == sent + 1


async def test_streams_that_begin_together_ask_for_the_clock_once(
    account: Account, sandbox: ActiveCampaignSandbox, clock: SteppingClock
) -> None:
    """And a clock that is fresh is not asked for at all."""
    readers = [await account.read(stream) for stream in DEFAULT_STREAMS]

    seen = [await reader.clock() for reader in readers]

    assert set(seen) == {clock.now().replace(microsecond=0)}
    assert account.progress.requests.sent == 1
    clock.advance(timedelta(minutes=1))
    assert await readers[0].clock() == seen[0] + timedelta(minutes=1)


@pytest.mark.parametrize("form", ["absent", "string", "integer", "too_low", "too_high"])
async def test_totals_may_be_anything(account: Account, sandbox: ActiveCampaignSandbox, form: str) -> None:
    """All records come; only one that is higher than what came is an objection, which the run then looks into."""
    sandbox.faults.add(f"total={form}")
    reader = await account.read()

    pages = await pages_of(reader)

    after = await reader.count(since=None, until=None)
    assert sorted(keys_of(pages)) == sorted(truth(sandbox, "deals"))
    assert reader.is_unbroken
    assert (after is not None and after > DEALS) == (form == "too_high")


@pytest.mark.parametrize("coarse", [False, True], ids=["by the second", "by the day"])
@pytest.mark.parametrize("zone", ["America/Chicago", "Asia/Tokyo"], ids=["its zone", "a wrong zone"])
async def test_a_window_holds_all_that_was_changed_in_it(
    sandbox: ActiveCampaignSandbox, clock: SteppingClock, *, coarse: bool, zone: str
) -> None:
    """However exactly the filter goes by the time; what lies beside it may come too, and is not listed."""
    if coarse:
        sandbox.faults.add("coarse_filter=1")
    account = Account(sandbox.url, clock, zone=ZoneInfo(zone))
    reader = await account.read()
    place = reader.shape.index("mdate")
    stamps = {key: str(row[place]) for key, row in truth(sandbox, "deals").items()}
    since, until = (datetime.fromisoformat(sorted(stamps.values())[rank]) for rank in (20, 40))
    within = {key for key, stamp in stamps.items() if since <= datetime.fromisoformat(stamp) < until}

    found = keys_of(await pages_of(reader, since, until))

    assert within <= set(found)
    assert {key for key, _ in await listed(reader, since=since, until=until)} == within
    assert len(found) < DEALS
    await account.source.aclose()


@pytest.mark.parametrize("stream", ["deals", "contacts"])
async def test_a_filter_that_is_ignored_is_noticed(
    account: Account, sandbox: ActiveCampaignSandbox, clock: SteppingClock, stream: str
) -> None:
    """By rows that no reading of the filter lets through."""
    sandbox.faults.add("ignore_filter=1")
    reader = await account.read(stream)

    with pytest.raises(FilterIgnored, match="updated_after"):
        await pages_of(reader, clock.now() - timedelta(days=5))


async def test_deals_that_may_not_be_seen_whole_are_limited(account: Account, sandbox: ActiveCampaignSandbox) -> None:
    """They come among the others, marked, also when asked for one by one."""
    sandbox.faults.add("limited=3")
    hidden = [int(row["id"]) for row in sandbox.world.rows("deals") if row["group"] == "3"]
    reader = await account.read()

    pages = await pages_of(reader)

    assert hidden
    assert sorted(int(page.rows[place][0]) for page in pages for place in page.limited) == hidden  # type: ignore[arg-type]  # the key is there
    assert len(keys_of(pages)) == DEALS
    assert len((await reader.fetch(hidden)).limited) == len(hidden)
    assert await reader.existing(hidden) == set(hidden)


async def test_a_deal_that_was_deleted_between_two_pages_hides_no_other(
    account: Account, sandbox: ActiveCampaignSandbox
) -> None:
    """The page behind it shares nothing with the one before, and is bridged."""
    first = keys_of(await pages_of(await account.read()))
    reader = await account.read(concurrency=1)
    found: list[int] = []
    async for part in reader.pages(since=None, until=None, after=None):
        found += keys_of([part])
        if len(found) == 20:
            for gone in first[:3]:
                sandbox.world.delete("deals", gone)

    assert sorted(found) == sorted(first)
    assert reader.is_unbroken


async def test_a_list_that_moves_proves_nothing(account: Account, sandbox: ActiveCampaignSandbox) -> None:
    """Values in order of their change have no order that stays; the listing then goes through them again."""
    sandbox.faults.add("reorder=1")
    for known in list(sandbox.world.tables["dealCustomFieldData"])[::7]:
        sandbox.world.update("dealCustomFieldData", known, {})
    reader = await account.read("dealCustomFieldData")

    pages = await pages_of(reader)

    assert sorted(keys_of(pages)) == sorted(truth(sandbox, "dealCustomFieldData"))
    assert not reader.is_unbroken


async def test_contacts_go_on_after_any_id(account: Account, sandbox: ActiveCampaignSandbox) -> None:
    """They are read by id, so a later run goes on where an earlier one stopped; and one that goes on proves less."""
    sandbox.people.step(20)
    reader = await account.read("contacts")
    pages = await pages_of(reader, limit=7)

    rest = await pages_of(reader, limit=7, after=pages[1].position)

    everything = sorted(truth(sandbox, "contacts"))
    assert reader.is_resumable
    assert keys_of(pages) == everything
    assert keys_of(pages[:2]) + keys_of(rest) == everything
    assert not reader.is_unbroken
    assert not (await account.read("deals")).is_resumable


async def test_only_a_404_says_that_a_record_is_gone(account: Account, sandbox: ActiveCampaignSandbox) -> None:
    """In both its forms; every record is looked at by itself."""
    reader, values = await account.read(), await account.read("dealCustomFieldData")
    sandbox.world.delete("deals", 3)

    assert await reader.existing([2, 3, 4, 10_000]) == {2, 4}
    assert await values.existing([1, 10_000_000]) == {1}
    assert keys_of([await reader.fetch([4, 3, 2])]) == [2, 4]
    sandbox.faults.add("error_500=1@deals/2")
    sandbox.faults.add("forbidden=1@deals/4")
    assert await reader.existing([2, 3, 4]) == {2, 4}
    odd = {each.key: each.code for each in (await reader.fetch([2, 3, 4, 5])).unseen}
    assert odd == {"2": SourceBadGateway.code, "4": AccessRefused.code}


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("empty_200", SourceTruncated),
        ("html", SourceAnsweredPage),
        ("truncate", SourceUnavailable),
        ("truncate_clean", SourceTruncated),
        ("reset", SourceUnavailable),
        ("error_500", SourceBadGateway),
        ("error_502", SourceBadGateway),
        ("error_503", SourceBadGateway),
        ("throttled", RateLimited),
        ("forbidden", AccessRefused),
        ("error_402", SourceRefused),
    ],
)
async def test_a_fault_passes_or_is_named(
    account: Account, sandbox: ActiveCampaignSandbox, fault: str, error: type[ComportaError]
) -> None:
    """Twice is a stumble, but for a subscription that ended: the page is asked again, and nothing is lost."""
    if fault != "error_402":
        sandbox.faults.add(f"{fault}=1@deals", times=2)
        assert len(keys_of(await pages_of(await account.read()))) == DEALS
        assert account.progress.requests.failures == {"deals: page": 2}
    sandbox.faults.add(f"{fault}=1@deals")

    with pytest.raises(error) as caught:
        await pages_of(await account.read())

    assert "activecampaign/crm deals" in caught.value.message
    assert KEY not in caught.value.message + caught.value.next_step


@pytest.mark.parametrize("form", ["empty", "json", "html"])
@pytest.mark.parametrize("hint", ["none", "date", "1"])
async def test_a_429_of_any_form_is_one(account: Account, sandbox: ActiveCampaignSandbox, form: str, hint: str) -> None:
    """With a body of JSON, of HTML or none; with a Retry-After in seconds, as a date, or without."""
    sandbox.faults.add(f"body_429={form}")
    sandbox.faults.add(f"retry_after={hint}")
    sandbox.faults.add("throttled=1", times=2)

    found = keys_of(await pages_of(await account.read()))

    assert len(found) == DEALS
    assert account.progress.requests.throttled == 2


async def test_check_says_what_works(account: Account, sandbox: ActiveCampaignSandbox) -> None:
    """Key, clock, each stream; what fails is named with its next step."""
    sandbox.faults.add("forbidden=1@contacts")

    findings = await account.source.check([StreamRequest(stream) for stream in ("deals", "contacts", "deal")])

    told = {finding.subject: finding for finding in findings}
    assert [name for name, finding in told.items() if finding.ok] == ["key", "clock", "deals"]
    assert told["deals"].details["records"] == DEALS
    assert "right" in told["contacts"].next_step
    assert told["deal"].details["code"] == UnknownStream.code


async def test_streams_that_begin_together_learn_of_a_wrong_key_together(
    sandbox: ActiveCampaignSandbox, clock: SteppingClock
) -> None:
    """Five tries for the account, not for each of its streams one after another; who comes later tries again."""
    account = Account(sandbox.url, clock, api_key="another-key")

    async def clock_of(stream: str) -> None:
        await (await account.read(stream)).clock()

    ended = await asyncio.gather(*map(clock_of, ("deals", "users", "accounts")), return_exceptions=True)
    tried = sandbox.stats.requests
    with pytest.raises(LoginRefused):
        await clock_of("deals")
    await account.source.aclose()

    assert ([type(each) for each in ended], tried, sandbox.stats.requests) == ([LoginRefused] * 3, 5, 10)


async def test_a_wrong_key_is_refused_by_name(sandbox: ActiveCampaignSandbox, clock: SteppingClock) -> None:
    """After a few tries, for the service refuses good ones now and then."""
    account = Account(sandbox.url, clock, api_key="wrong-key")

    (finding,) = await account.source.check([StreamRequest("deals")])
    with pytest.raises(LoginRefused, match="not authorized") as caught:
        await (await account.read()).clock()

    assert (finding.subject, finding.ok, finding.details["code"]) == ("key", False, "CMP-AUTH-001")
    assert "wrong-key" not in caught.value.message
    assert account.progress.requests.sent == 5
    await account.source.aclose()


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (http({}, status=400), SourceRefused, "answered 400"),
        (http({"errors": [{"title": "No such order"}]}, status=422), SourceRefused, "No such order"),
        (http({"errors": [{"title": "Bad", "detail": "x", "code": 422}]}, status=422), SourceRefused, "Bad; x"),
        (http({"errors": [{"detail": "could not be saved"}]}, status=422), SourceRefused, "could not be saved"),
        (http({"message": "No Result found"}, status=404), UnknownStream, "No Result found"),
        (page("Not here", status=404), SourceRefused, "Not here"),
        (http({"users": []}), SourceChangedShape, "no 'deals'"),
        (http([]), SourceChangedShape, "expected a JSON object"),
        (http({"deals": {}}), SourceChangedShape, "expected a list of records"),
        (http({"deals": [{"title": "?"}]}), SourceChangedShape, "expected a whole number"),
    ],
)
async def test_a_refusal_says_what_was_said(
    told: Account, server: ScriptedServer, answer: bytes, error: type[ComportaError], words: str
) -> None:
    """In whichever of the vendor's forms; each has a next step."""
    server.overrides["/api/3/deals?limit=20&orders%5Bcdate%5D=ASC"] = answer

    with pytest.raises(error, match=words) as caught:
        await (await told.read()).count(since=None, until=None)

    assert caught.value.next_step
