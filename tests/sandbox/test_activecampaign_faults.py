import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import IncompleteRead, RemoteDisconnected
from urllib.error import URLError

import pytest
from tests.sandbox.activecampaign_clients import OpenAccount, get, ids, rows
from tests.sandbox.odoo_clients import Reply, fetch

from comporta.errors import BadValue
from comporta.sandbox.activecampaign import ActiveCampaignSandbox
from comporta.sandbox.activecampaign_faults import ACTIVECAMPAIGN_FAULTS
from comporta.sandbox.reality import Reality


def test_a_key_that_is_wrong_or_missing_is_refused(crm: ActiveCampaignSandbox) -> None:
    """On every route; the right one is let in."""
    for route in ("", "users/me", "deals", "deals/1"):
        assert get(crm, route, key="wrong").status == 403
        assert get(crm, route, key="").status == 403
        assert get(crm, route).status == 200
    assert get(crm, "users/me").json["user"]["username"] == "admin"


def test_nothing_is_written_here(crm: ActiveCampaignSandbox) -> None:
    """The simulator is read only, and says so as the API says that it refuses."""
    reply = fetch(f"{crm.url}/api/3/deals/1", method="DELETE", Api_Token="demo")

    assert (reply.status, list(reply.json)) == (422, ["errors"])
    assert get(crm, "deals/1").status == 200


def test_a_right_may_be_missing_or_seem_to_be(open_crm: OpenAccount) -> None:
    """403 on one stream for good, or now and then anywhere."""
    crm = open_crm(faults=["forbidden=1@dealTasks", "forbidden=0.5@deals"])
    statuses = [get(crm, "deals", {"limit": 1}).status for _ in range(30)]

    assert {get(crm, "dealTasks").status for _ in range(5)} == {403}
    assert get(crm, "dealStages").status == 200
    assert 5 <= statuses.count(403) <= 25
    assert set(statuses) == {200, 403}


@pytest.mark.parametrize(
    ("fault", "status", "says"),
    [
        ("error_402=1:1", 402, lambda reply: reply.json == {"message": "Payment Required"}),
        ("error_500=1:1", 500, lambda reply: reply.json == {"message": "Internal Server Error"}),
        ("error_503=1:1", 503, lambda reply: reply.json == {"message": "Service Unavailable"}),
        ("error_502=1:1", 502, lambda reply: reply.body.startswith(b"<!doctype html>")),
        ("html=1:1", 200, lambda reply: reply.body.startswith(b"<!doctype html>")),
        ("empty_200=1:1", 200, lambda reply: reply.body == b""),
        ("truncate_clean=1:1", 200, lambda reply: not is_json(reply.body)),
        ("json_garbage=1:1", 200, lambda reply: not is_json(reply.body)),
    ],
)
def test_an_answer_may_be_no_answer(
    open_crm: OpenAccount, fault: str, status: int, says: Callable[[Reply], bool]
) -> None:
    """Once, and then all is well."""
    crm = open_crm(faults=[fault])
    reply = get(crm, "deals")

    assert reply.status == status
    assert says(reply)
    assert get(crm, "deals").json["meta"]["total"] == "60"


def is_json(body: bytes) -> bool:
    """Tell whether a body can be read."""
    try:
        json.loads(body)
    except json.JSONDecodeError:
        return False
    return True


def test_a_connection_may_end_in_mid_answer(open_crm: OpenAccount) -> None:
    """Short of its announced length, or with a reset."""
    crm = open_crm(faults=["truncate=1:1"])

    with pytest.raises(IncompleteRead):
        get(crm, "deals")
    crm.faults.add("reset=1:1")
    with pytest.raises(ConnectionResetError):
        get(crm, "deals")
    assert get(crm, "deals").status == 200


def test_latency_holds_every_answer(open_crm: OpenAccount) -> None:
    """So long as it says."""
    waited: list[float] = []

    def note(until: threading.Event, seconds: float) -> bool:
        waited.append(seconds)
        return until.is_set()

    crm = open_crm(faults=["latency=800"], reality=Reality(wait=note))

    assert get(crm, "deals").status == get(crm, "users").status == 200
    assert waited == [0.8, 0.8]


def test_a_request_may_hang_for_ever(open_crm: OpenAccount) -> None:
    """Only what the fault names; the server closes all the same, and then the client hears of it."""
    crm = open_crm(faults=["hang@contacts"])
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(get, crm, "contacts")
        while not crm.stats.in_flight:
            pass
        assert get(crm, "deals").status == 200
        assert not hanging.done()
        crm.close()
        with pytest.raises((URLError, RemoteDisconnected, ConnectionResetError)):
            hanging.result(timeout=5)


def test_filters_may_be_ignored_or_coarse(open_crm: OpenAccount) -> None:
    """All rows come, or those of the whole day as the account reads it."""
    ignoring, coarse = open_crm(faults=["ignore_filter"]), open_crm(faults=["coarse_filter"])
    for crm in (ignoring, coarse):
        crm.world.update("deals", 3, {})

    assert len(ids(ignoring, "deals", {"filters[updated_after]": "2030-01-01"})) == 60
    assert ids(coarse, "deals", {"filters[updated_after]": "2026-03-10T23:59:59-05:00"}) == [3]
    assert ids(coarse, "deals", {"filters[updated_after]": "2026-03-11T00:00:00-05:00"}) == []


def test_any_list_may_come_last_changed_first(open_crm: OpenAccount) -> None:
    """Where a stream's order is nobody's promise."""
    crm = open_crm(faults=["reorder@dealCustomFieldData"])
    crm.world.update("dealCustomFieldData", 9, {"fieldValue": "x"})
    crm.world.update("contacts", 9, {})

    assert ids(crm, "dealCustomFieldData")[0] == 9
    assert ids(crm, "contacts")[0] == 1


def test_faults_come_and_go_over_http(crm: ActiveCampaignSandbox) -> None:
    """Listed, added with a place, taken away."""
    added = fetch(
        f"{crm.url}/_faults", [{"name": "error_500", "label": "users"}, {"name": "total", "value": "integer"}]
    )
    struck = [get(crm, "users").status, get(crm, "deals").json["meta"]["total"]]
    fetch(f"{crm.url}/_faults", method="DELETE")

    assert [fault["name"] for fault in added.json["faults"]] == ["error_500", "total"]
    assert struck == [500, 60]
    assert get(crm, "users").status == 200
    assert fetch(f"{crm.url}/_stats").json["faults"] == {"error_500": 1, "total": 1}


@pytest.mark.parametrize(
    "text",
    [
        "no_such",
        "total=maybe",
        "total=0.5",
        "retry_after=soon",
        "body_429=xml",
        "limited=Vendas",
        "slow_page",
        "hang=x",
    ],
)
def test_a_fault_that_cannot_be_read_is_refused(crm: ActiveCampaignSandbox, text: str) -> None:
    """Its name, or its value: the words it knows, or a number where there may be one."""
    with pytest.raises(BadValue):
        crm.faults.add(text)


def test_a_fault_with_words_takes_those_and_maybe_a_number(crm: ActiveCampaignSandbox) -> None:
    """Its first word is what it means alone."""
    written = [crm.faults.add(text).value for text in ("total", "total=integer", "retry_after", "retry_after=7")]

    assert written == ["absent", "integer", "none", "7"]


def test_control_routes_never_suffer(open_crm: OpenAccount) -> None:
    """With every fault on, the truth still answers."""
    crm = open_crm(faults=list(ACTIVECAMPAIGN_FAULTS))

    assert len(fetch(f"{crm.url}/_truth/deals").json["records"]) == 60


def test_rows_are_untouched_by_what_was_said_of_them(open_crm: OpenAccount) -> None:
    """A page spoilt is a page to be asked again: the next one is whole."""
    crm = open_crm(faults=["empty_200=1:3"])
    for _ in range(3):
        assert get(crm, "dealStages").body == b""

    assert rows(crm, "dealStages") == fetch(f"{crm.url}/_truth/dealStages").json["records"]
