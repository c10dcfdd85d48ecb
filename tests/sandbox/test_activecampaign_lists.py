from datetime import datetime
from itertools import pairwise

import pytest
from tests.sandbox.activecampaign_clients import OpenAccount, Query, get, ids, paged, rows
from tests.sandbox.odoo_clients import START, StandingClock, act, fetch, truth

from comporta.sandbox.activecampaign import ActiveCampaignSandbox
from comporta.sandbox.activecampaign_world import STREAMS

WHOLE = {"deals": 60, "dealGroups": 3, "dealStages": 9, "contacts": 30, "accounts": 6, "users": 3}
DEAL_IDS = list(range(1, 61))


@pytest.mark.parametrize("stream", STREAMS)
def test_truth_is_what_a_client_can_page_through(crm: ActiveCampaignSandbox, stream: str) -> None:
    """Row by row, value by value, for every stream."""
    told = truth(crm, stream)
    read = [row for start in range(0, len(told) + 1, 100) for row in rows(crm, stream, {"offset": start})]

    assert len(told) == WHOLE.get(stream, len(told)) > 0
    assert sorted(read, key=lambda row: int(row["id"])) == told


def test_truth_says_when_it_was_asked(crm: ActiveCampaignSandbox) -> None:
    """By the source's clock."""
    assert fetch(f"{crm.url}/_truth/deals").json["as_of"] == "2026-03-10T12:00:00.250000Z"
    assert fetch(f"{crm.url}/_truth/nothing").status == 400


def test_the_same_seed_invents_the_same_account(open_crm: OpenAccount) -> None:
    """And another seed another one."""
    first, second, other = open_crm(), open_crm(), open_crm(seed=2)

    assert [truth(first, stream) for stream in STREAMS] == [truth(second, stream) for stream in STREAMS]
    assert truth(first, "deals") != truth(other, "deals")


@pytest.mark.parametrize(
    ("query", "amount"),
    [({}, 20), ({"limit": 7}, 7), ({"limit": 500}, 100), ({"limit": 100, "offset": 110}, 10), ({"offset": 120}, 0)],
)
def test_a_page_has_twenty_rows_or_as_many_as_asked_up_to_a_hundred(
    open_crm: OpenAccount, query: Query, amount: int
) -> None:
    """A limit above the maximum is cut without a word."""
    assert len(get(open_crm(records=120), "deals", query).json["deals"]) == amount


@pytest.mark.parametrize(
    "query", [{"limit": "all"}, {"offset": -1}, {"filters[updated_after]": "lately"}, {"filters[minimum_value]": "x"}]
)
def test_a_parameter_that_cannot_be_read_is_a_bare_400(crm: ActiveCampaignSandbox, query: Query) -> None:
    """The documented body of a 400 is an empty object."""
    reply = get(crm, "deals", query)

    assert (reply.status, reply.json) == (400, {})


def test_ids_and_numbers_are_texts_but_for_the_odd_ones(crm: ActiveCampaignSandbox) -> None:
    """The three references of a custom field entry are numbers; its own id is a text."""
    deal, entry = rows(crm, "deals")[0], rows(crm, "dealCustomFieldData")[0]

    assert all(isinstance(deal[name], str) for name in ("id", "owner", "contact", "group", "stage", "value", "status"))
    assert isinstance(entry["id"], str)
    assert all(isinstance(entry[name], int) for name in ("dealId", "customFieldId", "dealCustomFieldMetumId"))


def test_stamps_follow_the_summer_time_of_the_account(open_crm: OpenAccount) -> None:
    """Of one account, some stamps end in -06:00 and some in -05:00; in Brazil all in -03:00."""
    there = {deal["cdate"][-6:] for deal in truth(open_crm(), "deals")}
    here = {deal["cdate"][-6:] for deal in truth(open_crm(zone="America/Sao_Paulo"), "deals")}

    assert there == {"-06:00", "-05:00"}
    assert here == {"-03:00"}


def test_some_stamps_have_no_zone_and_some_are_no_dates(crm: ActiveCampaignSandbox, clock: StandingClock) -> None:
    """They show the account's wall clock; what the contact calls UTC is that too."""
    known = act(crm, "insert", stream="contacts")
    contact = truth(crm, "contacts")[known - 1]

    assert contact["cdate"] == "2026-03-10T07:00:00-05:00"
    assert contact["created_utc_timestamp"] == contact["created_timestamp"] == "2026-03-10 07:00:00"
    assert {row["createdTimestamp"][-6:] for row in truth(crm, "accounts")} <= {"-06:00", "-05:00"}
    assert contact["deleted_at"] == "0000-00-00 00:00:00"
    assert {row["edate"] for row in truth(crm, "deals")} == {"0000-00-00 00:00:00", "2019-11-22 14:15:37"}


def test_some_rows_lack_a_column(crm: ActiveCampaignSandbox) -> None:
    """The hash is not in every deal; a deal without account has null."""
    deals = truth(crm, "deals")

    assert {"hash" in deal for deal in deals} == {True, False}
    assert None in {deal["account"] for deal in deals}
    assert all((deal["winProbability"] is None) == (deal["winProbabilityMdate"] is None) for deal in deals)
    for name in ("account", "organization", "nextTask", "nexttaskid", "nextdate", "winProbabilityMdate"):
        assert {type(deal[name]) for deal in deals} == {type(None), str}, name


def test_the_total_is_a_text_beside_the_currencies(crm: ActiveCampaignSandbox) -> None:
    """Currencies in capitals there, in small letters in the rows; the custom fields have no meta at all."""
    meta = get(crm, "deals").json["meta"]

    assert meta["total"] == "60"
    assert sum(int(money["total"]) for money in meta["currencies"].values()) == 60
    assert sum(int(money["value"]) for money in meta["currencies"].values()) == sum(
        int(deal["value"]) for deal in truth(crm, "deals")
    )
    assert get(crm, "contacts").json["meta"] == {"total": "30"}
    assert "meta" not in get(crm, "dealCustomFieldMeta").json
    assert "meta" not in get(crm, "dealCustomFieldData").json


@pytest.mark.parametrize(
    ("fault", "stream", "total"),
    [
        ("total=absent", "deals", None),
        ("total=integer", "deals", 60),
        ("total=string", "dealCustomFieldMeta", "13"),
        ("total=too_high", "deals", "66"),
        ("total=too_low", "deals", "54"),
        ("total=absent@contacts", "deals", "60"),
    ],
)
def test_the_total_may_be_anything(open_crm: OpenAccount, fault: str, stream: str, total: object) -> None:
    """Missing, a number, wrong: as a fault says."""
    assert get(open_crm(faults=[fault]), stream).json["meta"].get("total") == total


def test_pipelines_bring_their_stages_along(crm: ActiveCampaignSandbox) -> None:
    """All stages stand in the same answer."""
    answer = get(crm, "dealGroups").json

    assert answer["dealStages"] == truth(crm, "dealStages")
    assert answer["dealGroups"][0]["stages"] == ["1", "2", "3", "4"]


def test_deals_without_an_order_come_last_changed_first(crm: ActiveCampaignSandbox) -> None:
    """So a change moves a deal to the front; in order of creation it stays where it is."""
    before = ids(crm, "deals", {"orders[cdate]": "ASC"})
    act(crm, "update", stream="deals", id=30, values={"title": "Ajuste"})
    changed = [datetime.fromisoformat(row["mdate"]) for row in rows(crm, "deals")]

    assert ids(crm, "deals")[0] == 30
    assert all(later <= earlier for earlier, later in pairwise(changed))
    assert ids(crm, "deals", {"orders[cdate]": "ASC"}) == before == DEAL_IDS
    assert ids(crm, "deals", {"orders[cdate]": "DESC"}) != before


def test_an_order_or_filter_that_is_not_documented_is_ignored(crm: ActiveCampaignSandbox) -> None:
    """Without a word."""
    usual = ids(crm, "deals")

    assert ids(crm, "deals", {"orders[id]": "ASC"}) == usual
    assert ids(crm, "deals", {"orders[mdate]": "ASC"}) == usual
    assert ids(crm, "deals", {"filters[updated_timestamp][gte]": "2026-03-01"}) == usual
    assert len(ids(crm, "dealCustomFieldData", {"filters[updated_after]": "2030-01-01"})) == 100


@pytest.mark.parametrize("direction", ["ASC", "DESC"])
def test_several_orders_are_applied_one_after_another(crm: ActiveCampaignSandbox, direction: str) -> None:
    """By the first, and where that is alike by the next."""
    names = {row["id"]: f"{row['firstName']} {row['lastName']}" for row in truth(crm, "contacts")}
    sign = -1 if direction == "DESC" else 1
    read = [
        (names[deal["contact"]], sign * int(deal["value"]))
        for deal in rows(crm, "deals", {"orders[contact_name]": "ASC", "orders[value]": direction})
    ]

    assert read == sorted(read)
    assert len({name for name, _ in read}) < len(read)


def test_deals_are_filtered_by_when_they_were_changed(crm: ActiveCampaignSandbox) -> None:
    """From an instant on, or before it; a bare date is midnight of the account."""
    cut = datetime.fromisoformat("2025-12-01T00:00:00-06:00")
    later = {int(row["id"]) for row in truth(crm, "deals") if datetime.fromisoformat(row["mdate"]) >= cut}

    assert 5 < len(later) < 55
    assert set(ids(crm, "deals", {"filters[updated_after]": "2025-12-01"})) == later
    assert set(ids(crm, "deals", {"filters[updated_after]": "2025-12-01T06:00:00+00:00"})) == later
    assert set(ids(crm, "deals", {"filters[updated_before]": "2025-12-01"})) == set(DEAL_IDS) - later


def test_a_bare_date_is_midnight_of_the_account(crm: ActiveCampaignSandbox) -> None:
    """Not of Greenwich, where a second before that midnight is the same day."""
    for known, stamp in ((1, "2027-11-30T23:59:59-06:00"), (2, "2027-12-01T00:00:00-06:00")):
        act(crm, "update", stream="deals", id=known, values={"mdate": stamp}, stamp=False)

    assert ids(crm, "deals", {"filters[updated_after]": "2027-12-01"}) == [2]


@pytest.mark.full
def test_a_deal_changed_at_the_very_instant_is_within(crm: ActiveCampaignSandbox) -> None:
    """Updated after means not before."""
    act(crm, "update", stream="deals", id=3)

    assert ids(crm, "deals", {"filters[updated_after]": START.replace(microsecond=0).isoformat()}) == [3]
    assert 3 not in ids(crm, "deals", {"filters[updated_before]": START.replace(microsecond=0).isoformat()})


def test_other_filters_of_deals(crm: ActiveCampaignSandbox) -> None:
    """Status, stage, pipeline, title, and an amount in dollars where the rows have cents."""
    deals = truth(crm, "deals")
    dear = [deal for deal in deals if int(deal["value"]) >= 5_000_000]

    for column in ("status", "stage", "group", "owner"):
        expected = {int(deal["id"]) for deal in deals if deal[column] == "1"}
        assert set(ids(crm, "deals", {f"filters[{column}]": "1"})) == expected, column
    assert 0 < len(dear) < 60
    assert len(ids(crm, "deals", {"filters[minimum_value]": "50000"})) == len(dear)
    assert ids(crm, "deals", {"filters[title]": deals[4]["title"]}) != []


def test_custom_fields_of_one_deal(crm: ActiveCampaignSandbox) -> None:
    """By the filter with a capital I, or by the link of the deal."""
    expected = [row for row in truth(crm, "dealCustomFieldData") if row["dealId"] == 7]

    assert rows(crm, "dealCustomFieldData", {"filters[dealId]": 7}) == expected
    assert get(crm, "deals/7/dealCustomFieldData").json["dealCustomFieldData"] == expected


def test_contacts_have_a_keyset(crm: ActiveCampaignSandbox) -> None:
    """``id_greater`` with the order of id, and a filter of changes."""
    act(crm, "update", stream="contacts", id=9)

    assert ids(crm, "contacts", {"id_greater": 20, "orders[id]": "ASC"}) == list(range(21, 31))
    assert ids(crm, "contacts", {"filters[updated_after]": "2026-03-10"}) == [9]
    assert ids(crm, "contacts", {"email": "contato4@example.com"}) == [4]


def test_accounts_count_their_deals_only_when_asked(crm: ActiveCampaignSandbox) -> None:
    """The counts are texts; the links of an account are an empty list."""
    plain, counted = rows(crm, "accounts")[0], rows(crm, "accounts", {"count_deals": "true"})[0]
    owned = [deal for deal in truth(crm, "deals") if deal["account"] == "1"]

    assert "dealCount" not in plain
    assert counted["dealCount"] == str(len(owned))
    assert plain["links"] == []


def test_one_row_alone(crm: ActiveCampaignSandbox) -> None:
    """Under its singular, odd ones among them; one column of a contact has another name there."""
    assert get(crm, "deals/5").json == {"deal": truth(crm, "deals")[4]}
    assert list(get(crm, "dealCustomFieldMeta/1").json) == ["dealCustomFieldMetum"]
    assert list(get(crm, "dealCustomFieldData/1").json) == ["dealCustomFieldDatum"]
    assert "email_domain" not in get(crm, "contacts/1").json["contact"]
    assert get(crm, "contacts/1").json["contact"]["emailDomain"] == "example.com"


def test_a_row_that_is_not_there(open_crm: OpenAccount) -> None:
    """Two forms of 404."""
    plain, other = open_crm(), open_crm(faults=["other_404"])
    errors = {"errors": [{"status": 404, "title": "Not Found"}]}

    assert get(plain, "deals/999").status == get(other, "deals/999").status == 404
    assert get(plain, "deals/999").json == {"message": "No Result found for Deal with id 999"}
    assert get(other, "deals/999").json == get(plain, "dealCustomFieldData/9999").json == errors
    assert get(plain, "nothing").status == fetch(f"{plain.url}/nowhere").status == 404


def test_rows_of_a_pipeline_out_of_sight_are_hardly_there(open_crm: OpenAccount) -> None:
    """Id and title remain, in the list and alone; the truth has them whole."""
    crm = open_crm(faults=["limited=2"])
    hidden = [deal for deal in truth(crm, "deals") if deal["group"] == "2"]
    seen = {row["id"]: row for row in rows(crm, "deals")}

    assert 5 < len(hidden) < 55
    for deal in hidden:
        expected = {"id": deal["id"], "title": deal["title"], "isDisabled": 1}
        assert seen[deal["id"]] == expected
    assert get(crm, f"deals/{hidden[0]['id']}").json["deal"]["isDisabled"] == 1
    assert sum(len(row) == 3 for row in seen.values()) == len(hidden)


def test_every_type_of_custom_field_is_there(open_crm: OpenAccount) -> None:
    """About five values a deal, in the form of their type; old lists are texts with bars."""
    crm = open_crm(records=300)
    kinds = {row["id"]: row["fieldType"] for row in truth(crm, "dealCustomFieldMeta")}
    entries = truth(crm, "dealCustomFieldData")
    seen = {(kinds[str(row["customFieldId"])], type(row["fieldValue"]).__name__) for row in entries}

    assert 4.5 < len(entries) / 300 < 6
    assert {kind for kind in kinds.values() if kind not in {"text", "currency", "multiselect", "checkbox"}} == {
        kind for kind, form in seen if form == "str" and kind not in {"text", "multiselect", "checkbox"}
    }
    assert {form for kind, form in seen if kind == "currency"} == {"int"}
    assert {form for kind, form in seen if kind in {"multiselect", "checkbox"}} == {"list", "str"}
    assert all(row["fieldCurrency"] == "brl" for row in entries if kinds[str(row["customFieldId"])] == "currency")
    assert any(str(row["fieldValue"]).startswith("||") for row in entries)
    assert any(str(row["fieldValue"]).endswith(" 00:00:00") for row in entries)


def test_labels_are_as_people_write_them(crm: ActiveCampaignSandbox) -> None:
    """With accents; two that become one name, one without a letter."""
    labels = [row["fieldLabel"] for row in truth(crm, "dealCustomFieldMeta")]

    assert len(labels) == 13
    assert {"Região", "REGIAO", " – ", "Última reunião"} <= set(labels)


def test_offsets_page_through_everything_while_nothing_moves(crm: ActiveCampaignSandbox) -> None:
    """Each row once, in any order."""
    assert sorted(paged(crm, "deals", 7)) == DEAL_IDS
    assert paged(crm, "deals", 20, {"orders[cdate]": "ASC"}) == DEAL_IDS


def test_imports_share_a_stamp(open_crm: OpenAccount) -> None:
    """Some deals were created at one instant; in a fault's world their order is that of the last change."""
    steady, shifting = open_crm(records=200), open_crm(records=200, faults=["unstable_ties"])
    first = rows(steady, "deals", {"orders[cdate]": "ASC"})
    tied = [int(row["id"]) for row, after in pairwise(first) if row["cdate"] == after["cdate"]]
    for crm in (steady, shifting):
        act(crm, "update", stream="deals", id=tied[0] + 1)
    after = [ids(crm, "deals", {"orders[cdate]": "ASC"}) for crm in (steady, shifting)]

    assert after[0] == [int(row["id"]) for row in first]
    assert after[1].index(tied[0] + 1) < after[1].index(tied[0])


def test_stamps_move_with_the_clock(crm: ActiveCampaignSandbox) -> None:
    """A step of the clock is seen in the next change, and in the Date header."""
    moved = act(crm, "clock", advance_s=3600)
    act(crm, "update", stream="deals", id=1)

    assert moved == "2026-03-10T13:00:00.250000Z"
    assert truth(crm, "deals")[0]["mdate"] == "2026-03-10T08:00:00-05:00"
    assert get(crm, "deals").headers["Date"] == "Tue, 10 Mar 2026 13:00:00 GMT"
