"""ActiveCampaign from the API into the database, while its people work: every row is the source's in the end."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import comporta
from comporta.core.run import Run, RunState
from comporta.ports.source import StreamRequest
from comporta.sandbox.activecampaign import ActiveCampaignSandbox
from comporta.sandbox.activecampaign_lists import shown
from comporta.sources.activecampaign_rows import Plan
from comporta.sources.activecampaign_shape import fields_of, shape_of
from comporta.sources.activecampaign_streams import DEFAULT_STREAMS

ZONE = "America/Chicago"
Sync = Callable[..., list[Run]]


@pytest.fixture(params=[80, pytest.param(2_500, marks=[pytest.mark.full, pytest.mark.timeout(120)])])
def records(request: pytest.FixtureRequest) -> int:
    """Return how many deals there are."""
    return int(request.param)


@pytest.fixture
def crm(records: int) -> Iterator[ActiveCampaignSandbox]:
    """Return an account, small, or with thousands of deals and values."""
    with ActiveCampaignSandbox(records=records, limit=1_000_000) as sandbox:
        yield sandbox


COUNTED = {"count_deals": "true"}
"""Accounts bear how many deals and contacts they have, where that is asked for."""


@pytest.fixture
def sync(tmp_path: Path, crm: ActiveCampaignSandbox, records: int, monkeypatch: pytest.MonkeyPatch) -> Sync:
    """Return what syncs the account into a database in ``tmp_path``."""
    monkeypatch.setenv("CRM_KEY", "demo")
    config = tmp_path / "comporta.toml"
    config.write_text(
        f"""
        database = "sqlite:///crm.db"
        state_dir = "state"
        margin = "0s"
        deleted_share = 0.5

        [accounts.crm]
        source = "activecampaign"
        url = "{crm.url}"
        api_key = "env:CRM_KEY"
        timezone = "{ZONE}"
        limit = "10000/1s"
        page_size = {20 if records < 1_000 else 100}
        """,
        encoding="utf-8",
    )
    return lambda *names, **how: comporta.sync(*names, config=config, **how)


def differences(crm: ActiveCampaignSandbox, database: Path) -> list[str]:
    """Return in what the tables are not what the source has, row by row; none is the aim."""
    found = []
    with closing(sqlite3.connect(database)) as connection:
        for stream in DEFAULT_STREAMS:
            fields = fields_of(StreamRequest(stream))
            plan = Plan(fields, zone=ZoneInfo(ZONE))
            records = [shown(crm.world, stream, dict(row), COUNTED, crm.faults) for row in crm.world.rows(stream)]
            theirs = {row[0]: row for row in plan.rows(records, subject="").rows}
            shape = shape_of(stream, fields)
            columns = ", ".join(f'"{column.name}"' for column in shape.columns)
            query = f"SELECT {columns} FROM {shape.table} WHERE _cmp_deleted_at IS NULL"
            ours = {row[0]: row for row in connection.execute(query)}
            found += [f"{stream} {key}: absent here" for key in theirs.keys() - ours.keys()]
            found += [f"{stream} {key}: gone there" for key in ours.keys() - theirs.keys()]
            both = theirs.keys() & ours.keys()
            found += [f"{stream} {key}: {ours[key]} is not {theirs[key]}" for key in both if ours[key] != theirs[key]]
    return found


@pytest.mark.full
def test_every_row_is_the_sources_after_people_worked_all_the_while(
    crm: ActiveCampaignSandbox, sync: Sync, tmp_path: Path
) -> None:
    """Deals come, change, move and go between any two pages; one more sync when they rest, and all is as there."""
    crm.people.start(200)
    during = sync()
    crm.people.stop()
    after = sync(full=True)

    assert [run.error for run in [*during, *after] if run.state is not RunState.SUCCEEDED] == []
    assert crm.people.changes > 10
    assert differences(crm, tmp_path / "crm.db") == []
    again = sync()
    assert {run.counts.inserted + run.counts.updated + run.counts.deleted for run in again} == {0}


@pytest.mark.full
def test_totals_that_are_missing_or_wrong_cost_no_row(crm: ActiveCampaignSandbox, sync: Sync, tmp_path: Path) -> None:
    """Whatever the total says, and in whatever order the values come."""
    for form in ("absent", "too_low", "too_high"):
        crm.faults.clear()
        crm.faults.add(f"total={form}")
        crm.faults.add("reorder=1@dealCustomFieldData")
        crm.people.step(10)
        runs = sync(full=True)

        assert [run.error for run in runs if run.state is not RunState.SUCCEEDED] == []
        assert differences(crm, tmp_path / "crm.db") == []


@pytest.mark.parametrize("form", ["too_high", "unfiltered"])
@pytest.mark.parametrize("records", [80], indirect=True)
def test_a_quiet_night_is_one_though_the_total_says_otherwise(
    crm: ActiveCampaignSandbox, sync: Sync, tmp_path: Path, form: str
) -> None:
    """Nothing changed, and a total that is as wrong over all of the list is no evidence that something did."""
    crm.faults.add(f"total={form}")
    names = ("crm/deals", "crm/contacts")
    sync(*names)

    runs = sync(*names)

    assert [(run.error, run.counts.read) for run in runs] == [(None, 0)] * 2
    crm.world.update("deals", 7, {"title": "changed"})
    assert sync("crm/deals")[0].counts.updated == 1


def test_what_may_not_be_seen_any_more_stays_as_it_was_seen(
    crm: ActiveCampaignSandbox, sync: Sync, tmp_path: Path
) -> None:
    """Deals of a pipeline that was hidden come with their titles alone; their rows keep what is known."""
    sync("crm/deals")
    crm.faults.add("limited=3")

    (run,) = sync("crm/deals", full=True)

    assert (run.counts.updated, run.counts.deleted, run.state) == (0, 0, RunState.SUCCEEDED)
    query = 'SELECT count(*) FROM activecampaign_deals WHERE "value" IS NULL OR _cmp_deleted_at IS NOT NULL'
    with closing(sqlite3.connect(tmp_path / "crm.db")) as connection:
        assert connection.execute(query).fetchone() == (0,)


@pytest.mark.parametrize("records", [80], indirect=True)
def test_a_custom_field_that_was_deleted_costs_few_requests_until_somebody_agrees(
    crm: ActiveCampaignSandbox, sync: Sync
) -> None:
    """Its values are too many to be marked without a person's yes: not each is looked at by itself to say so."""
    sync("crm/dealCustomFieldData")
    values = list(crm.world.tables["dealCustomFieldData"])
    gone = values[: len(values) * 2 // 3]
    for known in gone:
        crm.world.delete("dealCustomFieldData", known)
    before = crm.stats.requests

    (stopped,) = sync("crm/dealCustomFieldData")
    spent = crm.stats.requests - before

    assert stopped.error is not None
    assert stopped.error["code"] == "CMP-ROW-003"
    assert f"{len(gone)} of {len(values)} rows" in stopped.error["message"]
    assert spent < len(gone) // 3


@pytest.mark.parametrize(("told", "is_one_by_one"), [("", False), ("concurrency = 1", True)])
@pytest.mark.parametrize("records", [80], indirect=True)
def test_an_account_may_be_asked_one_request_after_another(
    crm: ActiveCampaignSandbox, sync: Sync, tmp_path: Path, told: str, *, is_one_by_one: bool
) -> None:
    """Whichever streams are at work: with ``concurrency = 1`` the next request leaves when the last was answered."""
    with (tmp_path / "comporta.toml").open("a", encoding="utf-8") as config:
        config.write(told)
    crm.faults.add("latency=20")
    runs = sync("crm")

    assert {run.state for run in runs} == {RunState.SUCCEEDED}
    assert differences(crm, tmp_path / "crm.db") == []
    apart = [later - earlier for earlier, later in pairwise(sorted(crm.meter()._arrived))]
    assert (min(apart) >= 0.02) == is_one_by_one
