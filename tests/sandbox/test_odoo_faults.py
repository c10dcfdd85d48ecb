import json
import threading
from http.client import IncompleteRead, RemoteDisconnected
from urllib.error import URLError

import pytest
from tests.sandbox.odoo_clients import Open, Reply, ask, connect, error_of, fetch, json2, jsonrpc

from comporta.errors import BadValue
from comporta.sandbox.odoo import OdooSandbox
from comporta.sandbox.odoo_faults import ODOO_FAULTS
from comporta.sandbox.reality import Reality, real_now

CALL = {
    "jsonrpc": "2.0",
    "method": "call",
    "params": {
        "service": "object",
        "method": "execute_kw",
        "args": ["demo", 2, "demo", "sale.order", "search_read", [[]], {"fields": ["name"]}],
    },
}


def page(sandbox: OdooSandbox) -> Reply:
    """Ask for all orders."""
    return fetch(f"{sandbox.url}/jsonrpc", CALL)


def is_whole(sandbox: OdooSandbox) -> bool:
    """Tell whether all orders come."""
    reply = page(sandbox)
    return reply.status == 200 and len(reply.json["result"]) == 60


def test_a_fault_strikes_as_often_as_it_was_told(open_odoo: Open) -> None:
    """``error_502=1:2``: twice, then all is well again."""
    odoo = open_odoo(faults=["error_502=1:2"])

    assert [page(odoo).status for _ in range(3)] == [502, 502, 200]
    assert odoo.faults.struck == {"error_502": 2}


def test_a_probability_strikes_now_and_then(open_odoo: Open) -> None:
    """Half of the calls, decided by the seed."""
    odoo = open_odoo(faults=["error_502=0.5"])
    failed = sum(page(odoo).status == 502 for _ in range(40))

    assert 10 <= failed <= 30


def test_502_is_a_page_of_the_proxy(open_odoo: Open) -> None:
    """HTML, and nothing was done."""
    odoo = open_odoo(faults=["error_502"])
    reply = fetch(f"{odoo.url}/json/2/sale.order/create", {"vals_list": [{}]}, Authorization="bearer demo")

    assert (reply.status, reply.headers["Content-Type"]) == (502, "text/html; charset=utf-8")
    assert len(odoo.world.ids("sale.order")) == 60


def test_429_says_when_to_come_back(open_odoo: Open) -> None:
    """With a Retry-After."""
    reply = page(open_odoo(faults=["http_429"]))

    assert (reply.status, reply.headers["Retry-After"]) == (429, "1")


def test_html_comes_with_status_200(open_odoo: Open) -> None:
    """A maintenance page where JSON was expected."""
    reply = page(open_odoo(faults=["html"]))

    assert reply.status == 200
    assert b"<!doctype html>" in reply.body


def test_garbage_is_announced_as_json(open_odoo: Open) -> None:
    """The header says JSON, the body is not."""
    reply = page(open_odoo(faults=["json_garbage"]))

    assert reply.headers["Content-Type"].startswith("application/json")
    with pytest.raises(json.JSONDecodeError):
        json.loads(reply.body)


def test_a_truncated_body_is_shorter_than_announced(open_odoo: Open) -> None:
    """Content-Length is right, the bytes stop half way."""
    odoo = open_odoo(faults=["truncate=1:1"])

    with pytest.raises(IncompleteRead):
        page(odoo)
    assert is_whole(odoo)


def test_a_cleanly_truncated_body_only_shows_in_its_json(open_odoo: Open) -> None:
    """Content-Length fits the cut body: only a parser notices."""
    reply = page(open_odoo(faults=["truncate_clean"]))

    assert int(reply.headers["Content-Length"]) == len(reply.body)
    with pytest.raises(json.JSONDecodeError):
        json.loads(reply.body)


def test_a_reset_tears_the_connection_in_mid_answer(open_odoo: Open) -> None:
    """The client sees a reset, not an orderly end; the work was done."""
    odoo = open_odoo(faults=["reset=1:1"])

    with pytest.raises(ConnectionResetError):
        page(odoo)
    assert is_whole(odoo)


def waiting(odoo_open: Open, *faults: str) -> tuple[OdooSandbox, list[float]]:
    """Start an Odoo that notes how long it would wait instead of waiting."""
    waited: list[float] = []

    def note(until: threading.Event, seconds: float) -> bool:
        waited.append(seconds)
        return until.is_set()

    return odoo_open(faults=faults, reality=Reality(now=real_now, wait=note)), waited


def test_latency_delays_every_answer(open_odoo: Open) -> None:
    """In milliseconds, on every call."""
    odoo, waited = waiting(open_odoo, "latency=40")
    ask(odoo, "sale.order", "search_count", [])
    ask(odoo, "sale.order", "search_count", [])

    assert waited == [0.04, 0.04]


def test_one_page_hangs(open_odoo: Open) -> None:
    """``slow_page`` holds one page back, counts and logins pass."""
    odoo, waited = waiting(open_odoo, "slow_page=30")
    ask(odoo, "sale.order", "search_count", [])

    assert is_whole(odoo)
    assert is_whole(odoo)
    assert waited == [30.0]


def test_a_worker_is_killed_at_its_limit(open_odoo: Open) -> None:
    """What would take 300 seconds ends after 120, with a torn connection."""
    odoo, waited = waiting(open_odoo, "slow_page=300", "cut_after=120")

    with pytest.raises((ConnectionResetError, RemoteDisconnected, URLError)):
        page(odoo)
    assert is_whole(odoo)
    assert waited == [120.0]


def test_closing_ends_a_hanging_page(open_odoo: Open) -> None:
    """Nobody waits for a fault when the simulator goes."""
    odoo = open_odoo(faults=["slow_page=3600"])
    outcome: list[str] = []

    def hang() -> None:
        try:
            page(odoo)
        except OSError as error:
            outcome.append(type(error).__name__)

    client = threading.Thread(target=hang)
    client.start()
    while not odoo.faults.struck:
        pass
    odoo.close()
    client.join(5)

    assert len(outcome) == 1


def test_a_wrong_login_is_refused_everywhere(open_odoo: Open) -> None:
    """An expired key: login false, calls AccessDenied, JSON-2 401."""
    odoo = open_odoo(faults=["wrong_login"])

    assert jsonrpc(odoo, "common", "authenticate", "demo", "demo", "demo", {})["result"] is False
    assert error_of(odoo, "sale.order", "search", [])["data"]["name"] == "odoo.exceptions.AccessDenied"
    assert json2(odoo, "sale.order", "search", domain=[]).status == 401


def test_a_model_can_be_closed_to_readers(open_odoo: Open) -> None:
    """``access_error`` refuses rows, ``deny_model`` everything, ``missing_model`` denies its existence."""
    odoo = open_odoo(faults=["access_error=sale.order", "deny_model=res.partner", "missing_model=sale.order.line"])
    allowed = [
        ask(odoo, model, "check_access_rights", "read", raise_exception=False)
        for model in ("sale.order", "res.partner")
    ]

    assert error_of(odoo, "sale.order", "search_read", [])["data"]["name"] == "odoo.exceptions.AccessError"
    assert json2(odoo, "sale.order", "search", domain=[]).status == 403
    assert ask(odoo, "sale.order", "fields_get", ["name"], ["type"]) == {"name": {"type": "char"}}
    assert error_of(odoo, "res.partner", "check_access_rights", "read")["code"] == 0
    assert error_of(odoo, "res.partner", "fields_get")["data"]["name"] == "odoo.exceptions.AccessError"
    assert allowed == [True, False]
    assert json2(odoo, "sale.order.line", "search", domain=[]).status == 404
    assert ask(odoo, "product.product", "search_count", []) > 0


def test_the_identity_may_be_hidden(open_odoo: Open) -> None:
    """Ordinary users may not read system parameters."""
    odoo = open_odoo(faults=["deny_model=ir.config_parameter"])
    error = error_of(odoo, "ir.config_parameter", "get_param", "database.uuid")

    assert error["data"]["name"] == "odoo.exceptions.AccessError"


def test_another_database_has_another_identity(odoo: OdooSandbox) -> None:
    """Same address, same name, other uuid."""
    before = ask(odoo, "ir.config_parameter", "get_param", "database.uuid")
    odoo.faults.add("other_database")

    assert ask(odoo, "ir.config_parameter", "get_param", "database.uuid") != before


def test_a_short_page_says_nothing(open_odoo: Open) -> None:
    """Fewer rows than there are, and no sign of it."""
    odoo = open_odoo(faults=["short_page=1:1"])
    short, whole = (ask(odoo, "sale.order", "search_read", [], ["name"], order="id", limit=30) for _ in range(2))

    assert short == whole[:19]
    assert len(whole) == 30


def test_an_empty_page_is_well_formed(open_odoo: Open) -> None:
    """Nothing, although the count says otherwise."""
    odoo = open_odoo(faults=["empty_page=1:1"])

    assert ask(odoo, "sale.order", "search_read", []) == []
    assert ask(odoo, "sale.order", "search_count", []) == 60


@pytest.mark.parametrize(("factor", "said"), [("1.1", 67), ("0.5", 30), ("0", 0)])
def test_a_count_can_lie(open_odoo: Open, factor: str, said: int) -> None:
    """Too much, too little, nothing."""
    assert ask(open_odoo(faults=[f"lying_count={factor}"]), "sale.order", "search_count", []) == said


def test_a_total_can_shrink_from_call_to_call(open_odoo: Open) -> None:
    """As if a company were taken from the user while pages are read."""
    odoo = open_odoo(faults=["shrinking_total=0.25"])

    assert [ask(odoo, "sale.order", "search_count", []) for _ in range(3)] == [60, 45, 30]


def test_the_filter_can_be_ignored(open_odoo: Open) -> None:
    """Conditions on write_date are dropped, the others hold."""
    odoo = open_odoo(faults=["ignore_filter"])
    future = ["write_date", ">=", "2030-01-01 00:00:00"]

    assert ask(odoo, "sale.order", "search", [future, ["id", ">", 58]], order="id") == [59, 60]


def test_a_fault_can_be_narrowed_to_a_call(odoo: OdooSandbox) -> None:
    """A label of ``model/method`` spares all others."""
    odoo.faults.add("error_502", label="sale.order.line/search_read")

    assert is_whole(odoo)
    assert json2(odoo, "sale.order.line", "search_read", domain=[]).status == 502


def test_faults_are_set_listed_and_cleared_over_http(odoo: OdooSandbox) -> None:
    """POST sets, GET lists, DELETE clears one or all."""
    url = f"{odoo.url}/_faults"
    fetch(url, [{"name": "error_502", "value": 1, "times": 3}, {"name": "html"}])
    listed = fetch(url).json["faults"]
    fetch(f"{url}?name=html", method="DELETE")
    left = fetch(url).json["faults"]
    cleared = fetch(url, method="DELETE").json

    assert [(fault["name"], fault["value"], fault["times"]) for fault in listed] == [
        ("error_502", "1", 3),
        ("html", "1", None),
    ]
    assert [fault["name"] for fault in left] == ["error_502"]
    assert cleared == {"faults": []}
    assert is_whole(odoo)


@pytest.mark.parametrize("text", ["no_such", "error_502=often", "error_502=1:often"])
def test_a_fault_that_cannot_be_read_is_refused(odoo: OdooSandbox, text: str) -> None:
    """At once, not when a client meets it."""
    with pytest.raises(BadValue):
        odoo.faults.add(text)
    assert fetch(f"{odoo.url}/_faults", {"name": text}).status == 400


def test_control_routes_never_suffer(open_odoo: Open) -> None:
    """With every fault on, the truth still answers."""
    odoo = open_odoo(faults=[f"{name}={0 if name in {'latency', 'slow_page', 'hang'} else 1}" for name in ODOO_FAULTS])

    assert len(fetch(f"{odoo.url}/_truth/sale.order").json["records"]) == 60


def test_odoorpc_meets_a_fault_and_recovers(odoo: OdooSandbox) -> None:
    """The independent client sees the 502 as its own error, and the next call works."""
    orders = connect(odoo).env["sale.order"]
    odoo.faults.add("error_502=1:1")

    with pytest.raises(URLError):
        orders.search_count([])
    assert orders.search_count([]) == 60
