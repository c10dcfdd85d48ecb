"""Custom field values by deal: those of changed deals are asked for after them, unless reading all costs less."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.sources.crm import open_crm
from tests.sources.scripted import SteppingClock

import comporta
from comporta.core.record import Page
from comporta.core.run import Run, RunState
from comporta.destinations.upsert import SQLITE, create_table
from comporta.errors import AccessRefused, FilterIgnored, SourceBadGateway
from comporta.ports.progress import Progress
from comporta.ports.source import StreamRequest
from comporta.sandbox.activecampaign import ActiveCampaignSandbox
from comporta.sources.activecampaign_reader import ActiveCampaignReader
from comporta.sources.activecampaign_shape import fields_of, shape_of

VALUES = "dealCustomFieldData"
DEALS, PAGE, WIDE = 60, 20, 50
ENTRY = {"dealCustomFieldMetumId": 1, "customFieldId": 1}
Sync = Callable[..., list[Run]]


@pytest.fixture
def crm(clock: SteppingClock) -> Iterator[ActiveCampaignSandbox]:
    """Return an account with some hundreds of values."""
    with ActiveCampaignSandbox(records=DEALS, limit=1_000_000) as sandbox:
        yield sandbox


@pytest.fixture
async def reader(crm: ActiveCampaignSandbox, clock: SteppingClock) -> AsyncIterator[ActiveCampaignReader]:
    """Return the reader of the values."""
    async with open_crm(crm.url, clock, page_size=WIDE) as source:
        yield await source.read(StreamRequest(VALUES, fields=("fieldValue",)), Progress(clock))


def of(crm: ActiveCampaignSandbox, *deals: int) -> list[int]:
    """Return the ids of these deals' values."""
    return [int(row["id"]) for row in crm.world.rows(VALUES) if row["dealId"] in deals]


def keys_of(page: Page) -> list[int]:
    """Return the ids of its rows, in order."""
    return sorted(int(row[0]) for row in page.rows)  # type: ignore[arg-type]  # the key is there


def asked(crm: ActiveCampaignSandbox) -> tuple[int, int]:
    """Return how often values were asked for: of one deal, and in pages of all."""
    calls = crm.stats.calls
    return sum(calls[call] for call in calls if call.endswith(f"/{VALUES}")), calls.get(VALUES, 0)


async def test_a_deal_that_is_refused_says_nothing_of_the_others(
    crm: ActiveCampaignSandbox, reader: ActiveCampaignReader
) -> None:
    """It is named with its reason; where every one of several is refused, it may be our right to read any."""
    crm.faults.add("forbidden=1@deals/3/")
    page = await reader.fetch_children([2, 3, 5])
    crm.faults.add("forbidden=1@deals")
    with pytest.raises(AccessRefused):
        await reader.fetch_children([2, 3, 5, 6, 7])

    assert keys_of(page) == of(crm, 2, 5)
    assert [(each.key, each.code) for each in page.unseen] == [("3", "CMP-AUTH-002")]


async def test_the_values_of_deals_come_in_a_request_each(
    crm: ActiveCampaignSandbox, reader: ActiveCampaignReader
) -> None:
    """All of these deals' and no others; of a deal that is gone there are none, in whichever form it is said."""
    crm.world.delete("deals", 3)
    first = await reader.fetch_children([2, 3, 5])
    crm.faults.add("other_404=1")
    again = await reader.fetch_children([2, 3, 5])

    assert first.rows
    assert keys_of(first) == of(crm, 2, 5)
    assert (again.rows, again.is_last, reader.sweep_rows) == (first.rows, True, WIDE)
    assert asked(crm) == (6, 0)


@pytest.mark.parametrize("values", [19, 20, WIDE - 1, WIDE, WIDE + 1, 3 * WIDE])
@pytest.mark.parametrize("paged", ["as asked", "all", "20"])
async def test_a_deal_with_many_values_comes_whole_however_they_are_paged(
    crm: ActiveCampaignSandbox, reader: ActiveCampaignReader, values: int, paged: str
) -> None:
    """Nobody documents whether the limit counts, or the offset; a full page is never taken for the end."""
    for known in of(crm, 2):
        crm.world.delete(VALUES, known)
    for number in range(values):
        crm.world.insert(VALUES, {**ENTRY, "dealId": 2, "fieldValue": str(number)})
    if paged != "as asked":
        crm.faults.add(f"deal_page={paged}")

    page = await reader.fetch_children([2])

    assert keys_of(page) == of(crm, 2)


async def test_values_of_other_deals_stop_the_reading(crm: ActiveCampaignSandbox, reader: ActiveCampaignReader) -> None:
    """A server that does not go by the deal would have all other values gone."""
    crm.faults.add("ignore_filter=1")

    with pytest.raises(FilterIgnored, match="expected only those of 2"):
        await reader.fetch_children([2])


def test_values_have_no_index_on_their_deal() -> None:
    """A view of all deals would fetch its values one by one through it."""
    shape = shape_of(VALUES, fields_of(StreamRequest(VALUES)))

    assert (shape.parent, shape.parent_stream) == ("deal_id", "deals")
    assert len(create_table(SQLITE, shape)) == 1


async def test_a_failure_is_no_answer(crm: ActiveCampaignSandbox, reader: ActiveCampaignReader) -> None:
    """Once is a stumble; one that stays is named with what was asked, and where every one fails the look ends."""
    crm.faults.add("error_500=1", times=1)
    page = await reader.fetch_children([2])
    crm.faults.add("error_500=1@deals/2/")
    odd = await reader.fetch_children([2, 3])
    crm.faults.add("error_500=1")

    with pytest.raises(SourceBadGateway, match="dealCustomFieldData of id 2"):
        await reader.fetch_children([2, 3, 5, 6, 7])
    assert (keys_of(page), keys_of(odd)) == (of(crm, 2), of(crm, 3))
    assert [(each.key, each.code) for each in odd.unseen] == [("2", SourceBadGateway.code)]


@pytest.fixture
def sync(tmp_path: Path, crm: ActiveCampaignSandbox, monkeypatch: pytest.MonkeyPatch) -> Sync:
    """Return what syncs streams of the account into a database in ``tmp_path``; deals and values were synced."""
    monkeypatch.setenv("CRM_KEY", "demo")
    config = tmp_path / "comporta.toml"
    config.write_text(
        f"""
        database = "sqlite:///crm.db"
        state_dir = "state"
        margin = "0s"

        [accounts.crm]
        source = "activecampaign"
        url = "{crm.url}"
        api_key = "env:CRM_KEY"
        limit = "10000/1s"
        page_size = {PAGE}
        """,
        encoding="utf-8",
    )

    def run(*names: str) -> list[Run]:
        runs = comporta.sync(*(names or ("crm/deals", f"crm/{VALUES}")), config=config)
        assert [each.error for each in runs if each.state is not RunState.SUCCEEDED] == []
        return runs

    run()
    assert asked(crm)[0] == 0
    crm.stats.calls.clear()
    return run


def stored(tmp_path: Path) -> dict[int, tuple[int, str]]:
    """Return deal and value of every living row, by id."""
    query = "SELECT id, deal_id, field_value FROM activecampaign_deal_custom_field_data WHERE _cmp_deleted_at IS NULL"
    with closing(sqlite3.connect(tmp_path / "crm.db")) as connection:
        return {key: (deal, value) for key, deal, value in connection.execute(query)}


def test_values_of_changed_deals_follow_a_run_of_the_deals(
    crm: ActiveCampaignSandbox, sync: Sync, tmp_path: Path
) -> None:
    """Added, changed, removed, or gone with their deal; a change that leaves the deal as it is waits for the sweep."""
    before = stored(tmp_path)
    changed, removed = of(crm, 5)[0], of(crm, 6)[0]
    unseen = of(crm, 7)[0]
    crm.world.update(VALUES, changed, {"fieldValue": "now"})
    crm.world.delete(VALUES, removed)
    added = crm.world.insert(VALUES, {**ENTRY, "dealId": 8, "fieldValue": "new"})
    crm.world.update(VALUES, unseen, {"fieldValue": "later"})
    for deal in (5, 6, 8):
        crm.world.update("deals", deal, {"title": "changed"})

    runs = sync("crm/deals")
    now = stored(tmp_path)
    looked = asked(crm)
    sync()

    assert [(run.stream, run.request) for run in runs] == [("deals", "incremental"), (VALUES, "notification")]
    assert looked == (3, 0)
    assert crm.stats.calls[f"{VALUES}/{removed}"] == 1
    assert now == {key: row for key, row in before.items() if key != removed} | {
        changed: (5, "now"),
        added: (8, "new"),
    }
    assert stored(tmp_path)[unseen] == (7, "later")


def test_a_deal_whose_values_are_refused_is_not_said_to_wait_in_quarantine(
    crm: ActiveCampaignSandbox, sync: Sync, tmp_path: Path
) -> None:
    """Nothing waits there: it is asked for again, and whoever reads the log is told when."""
    crm.faults.add("forbidden=1@deals/5/")
    crm.world.update("deals", 5, {"title": "changed"})

    sync("crm/deals")

    with closing(sqlite3.connect(tmp_path / "crm.db")) as connection:
        said = dict(connection.execute("SELECT step, message FROM cmp_log WHERE level = 'warning'"))
        (waiting,) = connection.execute("SELECT count(*) FROM cmp_quarantine").fetchone()
    assert (waiting, "records_rejected" in said) == (0, False)
    assert said["children_untold"].startswith("5: ")


def test_an_import_of_deals_costs_no_more_than_a_sweep(crm: ActiveCampaignSandbox, sync: Sync, tmp_path: Path) -> None:
    """Every deal changes and gets a value: all values are read in pages, once, and nothing is left to be looked at."""
    for deal in range(1, DEALS + 1):
        crm.world.update("deals", deal, {"title": "imported"})
        crm.world.insert(VALUES, {**ENTRY, "dealId": deal, "fieldValue": "imported"})

    sync("crm/deals")
    by_deal, pages = asked(crm)
    sync("crm/deals")

    assert (by_deal, 0 < pages < DEALS) == (0, True)
    assert asked(crm) == (by_deal, pages)
    assert len(stored(tmp_path)) == len(crm.world.rows(VALUES))


def test_a_sync_of_the_account_reads_values_after_their_deals_and_asks_for_none_twice(
    crm: ActiveCampaignSandbox, sync: Sync, tmp_path: Path
) -> None:
    """The sweep that follows in the same sync answers for the changed deals."""
    crm.world.update("deals", 5, {"title": "changed"})
    crm.world.update(VALUES, of(crm, 5)[0], {"fieldValue": "now"})

    runs = sync()

    assert [(run.stream, run.request) for run in runs] == [("deals", "incremental"), (VALUES, "incremental")]
    assert asked(crm)[0] == 0
    assert stored(tmp_path)[of(crm, 5)[0]] == (5, "now")
    assert sync("crm/deals")[1:] == []


async def test_an_outage_costs_few_requests(crm: ActiveCampaignSandbox, clock: SteppingClock) -> None:
    """Nobody says of a record that it lives, or is gone, while the server fails for all of many."""
    async with open_crm(crm.url, clock) as source:
        reader = await source.read(StreamRequest("deals"), Progress(clock))
        crm.faults.add("error_500=1")
        before = sum(crm.stats.calls.values())

        page = await reader.fetch(range(1, 301))
        with pytest.raises(SourceBadGateway):
            await reader.existing(range(1, 301))
        with pytest.raises(SourceBadGateway):
            await reader.existing(range(1, 6))
        living = await reader.existing(range(1, 5))

    assert [each.code for each in page.unseen] == [SourceBadGateway.code] * 300
    assert living == {1, 2, 3, 4}
    assert sum(crm.stats.calls.values()) - before <= 400
