"""Rows that come, go and move while somebody pages: what a naive client then gets wrong."""

import pytest
from tests.sandbox.activecampaign_clients import OpenAccount, ids, paged
from tests.sandbox.odoo_clients import StandingClock, act, fetch, truth

from comporta.sandbox.activecampaign import ActiveCampaignSandbox
from comporta.sandbox.activecampaign_world import STREAMS

IN_ORDER = {"orders[cdate]": "ASC"}
DEAL_IDS = list(range(1, 61))


def test_a_deal_deleted_between_two_pages_hides_another(crm: ActiveCampaignSandbox) -> None:
    """Exactly after the second page: the first row of the third slips to the second and is not seen."""
    act(crm, "delete", stream="deals", id=5, after=2, on="deals")

    assert paged(crm, "deals", 20, IN_ORDER) == [known for known in DEAL_IDS if known != 41]
    assert [int(row["id"]) for row in truth(crm, "deals")] == [known for known in DEAL_IDS if known != 5]


def test_a_deal_inserted_between_two_pages_shows_another_twice(crm: ActiveCampaignSandbox) -> None:
    """In the default order the new one comes first, and pushes the rest down."""
    act(crm, "insert", stream="deals", values={"title": "Nova"}, after=1, on="deals")
    seen = paged(crm, "deals", 20)

    assert len(seen) == 61
    assert 61 not in seen
    assert len(set(seen)) == 60


def test_a_deal_changed_between_two_pages_is_lost_and_another_is_doubled(crm: ActiveCampaignSandbox) -> None:
    """It jumps to the front that was read already; in order of creation nothing happens."""
    last = ids(crm, "deals")[-1]
    act(crm, "update", stream="deals", id=last, after=1, on="deals")
    seen = paged(crm, "deals", 20)
    act(crm, "update", stream="deals", id=30, after=1, on="deals")
    calm = paged(crm, "deals", 20, IN_ORDER)

    assert last not in seen
    assert len(seen) == 60
    assert len(set(seen)) == 59
    assert calm == DEAL_IDS


def test_a_value_changes_without_its_deal(crm: ActiveCampaignSandbox, clock: StandingClock) -> None:
    """The entry's stamp moves, the deal's does not: nothing but reading all entries finds it."""
    before = truth(crm, "deals")
    entry = truth(crm, "dealCustomFieldData")[3]
    clock.advance(minutes=1)
    act(crm, "update", stream="dealCustomFieldData", id=entry["id"], values={"fieldValue": "outro"})
    after = truth(crm, "dealCustomFieldData")[3]

    assert truth(crm, "deals") == before
    assert after == {**entry, "fieldValue": "outro", "updatedTimestamp": "2026-03-10 07:01:00"}


def test_a_row_may_change_without_its_stamp(crm: ActiveCampaignSandbox) -> None:
    """As some do."""
    before = truth(crm, "deals")[0]
    act(crm, "update", stream="deals", id=1, values={"value": "1"}, stamp=False)

    assert truth(crm, "deals")[0] == {**before, "value": "1"}


def test_what_belongs_to_a_deal_goes_with_it(crm: ActiveCampaignSandbox) -> None:
    """Entries and tasks; ids never come back."""
    act(crm, "delete", stream="deals", id=60)
    fresh = act(crm, "insert", stream="deals")

    assert fresh == 61
    assert 60 not in {row["dealId"] for row in truth(crm, "dealCustomFieldData")}
    assert "60" not in {row["relid"] for row in truth(crm, "dealTasks")}


def test_acts_wait_for_the_requests_they_name(crm: ActiveCampaignSandbox) -> None:
    """Requests of other streams do not count; several acts of one moment happen in their order."""
    acts = [
        {"do": "update", "stream": "deals", "id": 1, "values": {"title": title}, "after": 2, "on": "contacts"}
        for title in ("um", "dois")
    ]
    reply = fetch(f"{crm.url}/_act", acts)
    seen = []
    for stream in ("deals", "contacts", "deals", "contacts"):
        ids(crm, stream)
        seen.append(truth(crm, "deals")[0]["title"])

    assert reply.json == {"results": [None, None]}
    assert seen[0] == seen[1] == seen[2] != "dois"
    assert seen[3] == "dois"


@pytest.mark.parametrize(
    "body",
    [
        {"do": "dance"},
        {"do": "dance", "after": 3},
        {"do": "delete", "stream": "deals", "id": 999},
        {"do": "update", "stream": "deals", "id": 999},
        {"do": "insert", "stream": "orders"},
        {"do": "delete", "stream": "deals"},
        {},
    ],
)
def test_an_act_that_cannot_be_played_is_refused(crm: ActiveCampaignSandbox, body: object) -> None:
    """With a reason and status 400."""
    reply = fetch(f"{crm.url}/_act", body)

    assert reply.status == 400
    assert reply.json["error"]


def test_people_make_every_kind_of_change(open_crm: OpenAccount, clock: StandingClock) -> None:
    """Deals, values and contacts come, change and go; stages and definitions change."""
    crm = open_crm(records=100)
    before = {stream: {row["id"]: row for row in truth(crm, stream)} for stream in STREAMS}
    clock.advance(minutes=1)
    crm.people.step(300)
    after = {stream: {row["id"]: row for row in truth(crm, stream)} for stream in STREAMS}

    for stream in ("deals", "dealCustomFieldData"):
        assert before[stream].keys() - after[stream].keys(), stream
        assert after[stream].keys() - before[stream].keys(), stream
    for stream in ("deals", "dealCustomFieldData", "contacts", "dealCustomFieldMeta"):
        kept = before[stream].keys() & after[stream].keys()
        assert any(before[stream][known] != after[stream][known] for known in kept), stream
    assert any(
        before["deals"][known]["stage"] != after["deals"][known]["stage"]
        for known in before["deals"].keys() & after["deals"].keys()
    )
    entries = "dealCustomFieldData"
    lost = [row for known, row in before[entries].items() if known not in after[entries]]
    won = [row for known, row in after[entries].items() if known not in before[entries]]
    assert any(str(row["dealId"]) in after["deals"] for row in lost)
    assert any(str(row["dealId"]) in before["deals"] for row in won)
    changed = [before["dealCustomFieldMeta"][known] != row for known, row in after["dealCustomFieldMeta"].items()]
    assert any(changed)


def test_the_same_seed_makes_the_same_changes(open_crm: OpenAccount) -> None:
    """Chance is the seed's; only time is not."""
    first, second = open_crm(), open_crm()
    for crm in (first, second):
        crm.people.step(100)

    assert [truth(first, stream) for stream in STREAMS] == [truth(second, stream) for stream in STREAMS]


def test_people_go_on_when_there_is_nothing_left(open_crm: OpenAccount) -> None:
    """An account without deals gets new ones."""
    crm = open_crm(records=1)
    act(crm, "delete", stream="deals", id=1)
    crm.people.step(20)

    assert truth(crm, "deals")


def test_people_work_on_a_thread_of_their_own(open_crm: OpenAccount) -> None:
    """``activity`` starts them with the server; they can be stopped and started again."""
    crm = open_crm(activity=500)
    while crm.people.changes < 20:
        pass
    act(crm, "stop_activity")
    stopped = crm.people.changes
    act(crm, "start_activity", rate=500)
    while crm.people.changes < stopped + 5:
        pass
    act(crm, "stop_activity")

    assert not crm.people._workday.is_on


def test_paging_while_people_work_loses_rows(open_crm: OpenAccount) -> None:
    """The drift is real: a naive client does not get what is there, even in order of creation."""
    crm = open_crm(records=300)
    found: list[int] = []
    while page := ids(crm, "deals", {**IN_ORDER, "limit": 20, "offset": len(found)}):
        found += page
        crm.people.step(20)
    there = {int(row["id"]) for row in truth(crm, "deals")}

    assert there - set(found)
