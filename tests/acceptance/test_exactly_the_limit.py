"""Promises 2 and 6 for ActiveCampaign: while people change what is being read, in no more time than the limit asks.

The account allows five requests in any second and refuses the sixth; its people insert, delete, edit and move
deals all the while. ``--deals 8500`` plays the size of a real company, in two minutes.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from math import ceil

import pytest
from tests.acceptance.company import Company
from tests.acceptance.conftest import MakeProject, each_database
from tests.acceptance.databases import Json
from tests.acceptance.project import Project, Told, told

from comporta.sandbox.activecampaign import ActiveCampaignSandbox

pytestmark = [pytest.mark.full, pytest.mark.alone, pytest.mark.timeout(900)]
LIMIT, PAGE = 5, 100
PATIENCE_S = 300
FIXED = 6
"""Requests that no number of records changes: for each stream who we are, and a look whether its list has ended."""
MANY = 300
"""From so many requests on 97 % of the limit are asked for: of a thousand deals' 65, the beginning takes two."""
ACTIVITY = 3.0
DEALS, VALUES = "deals", "dealCustomFieldData"
DEALS_TABLE, VALUES_TABLE = "activecampaign_deals", "activecampaign_deal_custom_field_data"


@pytest.fixture
def crm(request: pytest.FixtureRequest) -> Iterator[Company]:
    """An account with five custom field values for each deal."""
    with ActiveCampaignSandbox(records=request.config.getoption("--deals"), limit=LIMIT) as sandbox:
        yield Company(sandbox.url)


@pytest.fixture
def sales(make_project: MakeProject, way: str, crm: Company) -> Project:
    """A folder whose only account is that one."""
    project = make_project("sales", way)
    project.configure({"crm": {"source": "activecampaign", "url": crm.url, "api_key": "file:key"}}, margin="1s")
    return project


@each_database
def test_deals_that_change_while_they_are_read_are_all_here_in_the_time_that_the_limit_asks(
    crm: Company, sales: Project
) -> None:
    """Not one request too many in any second, hardly one that was not used, no more pages than records ask for."""
    crm.act("start_activity", rate=ACTIVITY)
    first = _patiently(sales, "sync", f"crm/{DEALS}", f"crm/{VALUES}")
    seen = crm.limit()
    crm.act("stop_activity")
    again = _patiently(sales, "sync", f"crm/{DEALS}", f"crm/{VALUES}")
    compared = _patiently(sales, "reconcile", f"crm/{DEALS}", "--repair")  # which finds the deals that were deleted
    pages = sum(ceil(len(crm.truth(stream)) / PAGE) for stream in (DEALS, VALUES))

    assert [(each.code, each.errors) for each in (first, again, compared)] == [(0, "")] * 3
    assert seen["violations"] == 0
    assert seen["used"] >= 0.97 or seen["arrivals"] < MANY
    assert seen["seconds"] <= 1.05 * (pages + FIXED) / LIMIT
    assert _deals(sales) == {int(key): _deal(each) for key, each in crm.truth(DEALS).items()}
    assert _values(sales) == {int(key): _value(each) for key, each in crm.truth(VALUES).items()}


def _patiently(project: Project, *arguments: str) -> Told:
    """Run a command that takes as long as its requests."""
    with project.started(*arguments) as process:
        return told(process, patience_s=PATIENCE_S)


def _deals(project: Project) -> dict[int, tuple[Json, ...]]:
    query = f"SELECT id, title, value, currency, stage, status, mdate FROM {DEALS_TABLE} WHERE _cmp_deleted_at IS NULL"
    return {key: (*others, _instant(mdate)) for key, *others, mdate in project.ask(query)}


def _deal(record: dict[str, Json]) -> tuple[Json, ...]:
    numbers = (int(record["stage"]), int(record["status"]))
    return (record["title"], int(record["value"]), record["currency"], *numbers, _instant(record["mdate"]))


def _values(project: Project) -> dict[int, tuple[Json, ...]]:
    query = f"SELECT id, deal_id, custom_field_id, field_value FROM {VALUES_TABLE} WHERE _cmp_deleted_at IS NULL"
    return {key: tuple(others) for key, *others in project.ask(query)}


def _value(record: dict[str, Json]) -> tuple[Json, ...]:
    value = record["fieldValue"]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return (record["dealId"], record["customFieldId"], text)


def _instant(said: Json) -> datetime:
    return (said if isinstance(said, datetime) else datetime.fromisoformat(said)).astimezone(UTC)
