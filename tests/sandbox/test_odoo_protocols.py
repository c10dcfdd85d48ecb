import re
from datetime import timedelta
from threading import Thread
from urllib.error import URLError
from xmlrpc.client import Fault, ServerProxy

import odoorpc
import pytest
from tests.sandbox.odoo_clients import Json, Open, StandingClock, ask, connect, error_of, fetch, json2, jsonrpc

from comporta.errors import BadValue
from comporta.sandbox.odoo import OdooSandbox


def xml(sandbox: OdooSandbox, *call: Json, key: str = "demo", database: str = "demo") -> Json:
    """Call a model method over XML-RPC."""
    with ServerProxy(f"{sandbox.url}/xmlrpc/2/object", allow_none=True) as server:
        return server.execute_kw(database, 2, key, *call)


def xml_fault(sandbox: OdooSandbox, *call: Json, **who: str) -> Fault:
    """Call over XML-RPC what must fail, and return the fault."""
    with pytest.raises(Fault) as caught:
        xml(sandbox, *call, **who)
    return caught.value


@pytest.mark.parametrize("version", [16, 17, 18, 19])
def test_odoorpc_logs_in_and_reads_every_version(open_odoo: Open, version: int) -> None:
    """An independent client finds its way through version, login, context and records."""
    client = connect(open_odoo(version=version))
    orders = client.env["sale.order"]

    assert client.version == f"{version}.0"
    assert client.env.uid == 2
    assert orders.search_count([]) == 60
    assert orders.browse(3).name == "S00003"


def test_odoorpc_browses_from_a_line_to_its_customer(odoo: OdooSandbox) -> None:
    """Relations lead on: line, order, partner."""
    line = connect(odoo).env["sale.order.line"].browse(1)

    assert line.order_id.partner_id.name == ask(odoo, "sale.order", "read", [1])[0]["partner_id"][1].split(", ")[-1]


def test_a_wrong_login_is_no_error_but_false(odoo: OdooSandbox) -> None:
    """``authenticate`` answers false where others would raise."""
    wrong_key = jsonrpc(odoo, "common", "authenticate", "demo", "demo", "wrong", {})
    wrong_login = jsonrpc(odoo, "common", "login", "demo", "nobody", "demo")

    assert wrong_key == {"jsonrpc": "2.0", "id": 7, "result": False}
    assert wrong_login["result"] is False


def test_odoorpc_says_wrong_login(odoo: OdooSandbox) -> None:
    """The client odoorpc turns that false into its own error."""
    with pytest.raises(odoorpc.error.RPCError, match="Wrong login"):
        connect(odoo, key="wrong")


def test_credentials_are_configurable(open_odoo: Open) -> None:
    """Database, login, key and password may differ; the password opens the old protocols only."""
    odoo = open_odoo(database="prod", login="bot", key="k", password="p")
    wrong_user = jsonrpc(odoo, "common", "login", "prod", "demo", "k")
    by_password = jsonrpc(odoo, "common", "login", "prod", "bot", "p")

    assert wrong_user["result"] is False
    assert by_password["result"] == 2
    assert json2(odoo, "res.users", "context_get", key="p").status == 401
    assert json2(odoo, "res.users", "context_get", key="k").json["uid"] == 2


@pytest.mark.parametrize(("version", "code"), [(16, 200), (19, 0)])
def test_jsonrpc_errors_have_the_code_of_their_version(open_odoo: Open, version: int, code: int) -> None:
    """HTTP 200 for every fault; error.code is 200 in 16.0 and 0 in 19.0 (measured)."""
    error = error_of(open_odoo(version=version), "sale.order", "search", [["no_such", "=", 1]])

    assert error["code"] == code
    assert error["message"] == "Odoo Server Error"
    assert error["data"]["name"] == "builtins.ValueError"
    assert set(error["data"]) == {"name", "message", "arguments", "context", "debug"}
    assert "Invalid field sale.order.no_such" in error["data"]["message"]


ERRORS: list[tuple[tuple[Json, ...], str, int, int]] = [
    (("no.such", "search", [[]]), "odoo.exceptions.UserError", 2, 404),
    (("sale.order", "no_such", []), "builtins.AttributeError", 1, 404),
    (("sale.order", "search_read", [[]], {"fields": ["no_such"]}), "builtins.ValueError", 1, 500),
    (("sale.order", "search", [[["name", "near", 1]]]), "builtins.ValueError", 1, 500),
    (("sale.order", "search", [[]], {"order": "no_such"}), "builtins.ValueError", 1, 500),
    (("sale.order", "search_read", [[]], {"no_such": 1}), "builtins.TypeError", 1, 500),
    (("sale.order", "write", [[99_999]], {"vals": {"origin": "x"}}), "odoo.exceptions.MissingError", 2, 404),
    (("sale.order", "search", [[]], {"context": {"allowed_company_ids": [9]}}), "odoo.exceptions.AccessError", 4, 403),
]


@pytest.mark.parametrize(("call", "name", "fault", "status"), ERRORS)
def test_an_error_has_its_shape_in_each_protocol(
    odoo: OdooSandbox, call: tuple[Json, ...], name: str, fault: int, status: int
) -> None:
    """The same refusal: a name over JSON-RPC, a number over XML-RPC, a status over JSON-2."""
    model, method, positional, *rest = call
    named = rest[0] if rest else {}
    by_name: dict[str, Json] = {"ids" if method == "write" else "domain": positional[0] if positional else [], **named}
    over_json2 = json2(odoo, model, method, **by_name)

    assert error_of(odoo, model, method, *positional, **named)["data"]["name"] == name
    assert xml_fault(odoo, model, method, positional, named).faultCode == fault
    assert over_json2.status == status
    assert set(over_json2.json) == {"name", "message", "arguments", "context", "debug"}


def test_a_wrong_key_in_a_call_is_access_denied(odoo: OdooSandbox) -> None:
    """AccessDenied by name, fault 3, or 401 "Invalid apikey"."""
    denied = jsonrpc(odoo, "object", "execute_kw", "demo", 2, "wrong", "sale.order", "search", [[]], {})
    over_json2 = json2(odoo, "sale.order", "search", key="wrong", domain=[])

    assert denied["error"]["data"]["name"] == "odoo.exceptions.AccessDenied"
    assert denied["error"]["data"]["message"] == "Access Denied"
    assert xml_fault(odoo, "sale.order", "search", [[]], key="wrong").faultCode == 3
    assert (over_json2.status, over_json2.json["name"]) == (401, "werkzeug.exceptions.Unauthorized")
    assert over_json2.json["arguments"] == ["Invalid apikey", 401]


def test_an_unknown_database_is_postgres_own_error(odoo: OdooSandbox) -> None:
    """psycopg2.OperationalError over JSON-RPC, an unforeseen fault over XML-RPC, 404 over JSON-2."""
    login = jsonrpc(odoo, "common", "authenticate", "nowhere", "demo", "demo", {})
    headers = {"Authorization": "bearer demo", "X_Odoo_Database": "nowhere"}

    assert login["error"]["data"]["name"] == "psycopg2.OperationalError"
    assert 'database "nowhere" does not exist' in login["error"]["data"]["message"]
    assert xml_fault(odoo, "sale.order", "search", [[]], database="nowhere").faultCode == 1
    assert fetch(f"{odoo.url}/json/2/sale.order/search", {"domain": []}, **headers).status == 404


def test_an_unforeseen_xml_fault_carries_a_traceback(odoo: OdooSandbox) -> None:
    """Fault 1 shows the whole traceback; the others only their message."""
    unforeseen = xml_fault(odoo, "sale.order", "read", [[1]], {"fields": ["no_such"]})
    foreseen = xml_fault(odoo, "no.such", "search", [[]])

    assert unforeseen.faultString.startswith("Traceback (most recent call last):")
    assert foreseen.faultString == "Object no.such doesn't exist"


def test_xmlrpc_reads_the_same_as_jsonrpc(odoo: OdooSandbox) -> None:
    """Another protocol, the same records."""
    fields = ["name", "partner_id", "write_date", "order_line", "client_order_ref", "amount_total"]

    assert xml(odoo, "sale.order", "search_read", [[]], {"fields": fields}) == ask(
        odoo, "sale.order", "search_read", [], fields=fields
    )


def test_json2_reads_the_same_as_jsonrpc(odoo: OdooSandbox) -> None:
    """Bare JSON, named arguments, ``load`` by name."""
    bare = json2(odoo, "sale.order", "search_read", domain=[], fields=["partner_id"], load=None)

    assert bare.status == 200
    assert bare.json == ask(odoo, "sale.order", "search_read", [], fields=["partner_id"], load=False)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("sale.order/search_count", {"no_such": 1}, 422),
        ("sale.order/search", {"ids": [1], "domain": []}, 422),
        ("sale.order/create", {}, 422),
        ("sale.order/read_group", {"domain": []}, 422),
        ("sale.order/search", b"{broken", 400),
        ("sale.order/search", [1], 400),
        ("sale.order/_private", {}, 403),
        ("sale.order", {}, 404),
    ],
)
def test_json2_judges_arguments_by_status(odoo: OdooSandbox, path: str, body: Json, status: int) -> None:
    """Positional habits and wrong names are answered 422, and a broken body 400."""
    reply = fetch(f"{odoo.url}/json/2/{path}", body, Authorization="bearer demo")

    assert reply.status == status


def test_json2_takes_only_post_and_needs_a_key(odoo: OdooSandbox) -> None:
    """GET is 405; no header at all is 401."""
    path = f"{odoo.url}/json/2/sale.order/search_count"

    assert fetch(path, Authorization="bearer demo").status == 405
    assert fetch(path, {}).status == 401


@pytest.mark.parametrize("version", [16, 17, 18])
def test_json2_is_not_there_before_19(open_odoo: Open, version: int) -> None:
    """Below 19 both /json/2 and /web/version are a 404 page."""
    odoo = open_odoo(version=version)
    reply = json2(odoo, "sale.order", "search_count", domain=[])

    assert reply.status == 404
    assert reply.headers["Content-Type"].startswith("text/html")
    assert fetch(f"{odoo.url}/web/version").status == 404


def test_the_version_is_told_in_three_places(odoo: OdooSandbox, odoo16: OdooSandbox) -> None:
    """common.version, /web/webclient/version_info and, from 19, /web/version."""
    said = jsonrpc(odoo16, "common", "version")["result"]
    page = fetch(f"{odoo16.url}/web/webclient/version_info", {"jsonrpc": "2.0", "params": {}}).json["result"]
    with ServerProxy(f"{odoo16.url}/xmlrpc/2/common") as server:
        over_xml = server.version()

    assert said == page == over_xml
    assert (said["server_serie"], said["server_version_info"][0]) == ("16.0", 16)
    assert fetch(f"{odoo.url}/web/version").json == {"version_info": [19, 0, 0, "final", 0, ""], "version": "19.0"}


def test_the_date_header_is_the_sources_clock(odoo: OdooSandbox, clock: StandingClock) -> None:
    """Whoever trusts the Date header learns the source's hour, not the machine's."""
    first = fetch(f"{odoo.url}/web/version").headers["Date"]
    odoo.clock.advance(timedelta(hours=-2))
    second = fetch(f"{odoo.url}/web/version").headers["Date"]

    assert first == "Tue, 10 Mar 2026 12:00:00 GMT"
    assert second == "Tue, 10 Mar 2026 10:00:00 GMT"


def test_one_connection_serves_many_requests(odoo: OdooSandbox) -> None:
    """HTTP/1.1 connections stay open between calls."""
    with ServerProxy(f"{odoo.url}/xmlrpc/2/object") as server:
        counts = [server.execute_kw("demo", 2, "demo", "sale.order", "search_count", [[]]) for _ in range(3)]
        connections = len(odoo._server._connections)

    assert counts == [60, 60, 60]
    assert connections == 1


def test_serving_in_the_foreground_ends_with_close() -> None:
    """``serve_forever`` returns when another thread closes, and the port is free again."""
    odoo = OdooSandbox(records=1)
    server = Thread(target=odoo.serve_forever)
    server.start()
    count = ask(odoo, "sale.order", "search_count", [])
    odoo.close()
    server.join(5)

    assert count == 1
    assert not server.is_alive()
    with pytest.raises(URLError):
        fetch(odoo.url)


def test_jsonrpc_without_a_call_is_a_bad_request(odoo: OdooSandbox) -> None:
    """A body that is no call is no JSON-RPC matter."""
    assert fetch(f"{odoo.url}/jsonrpc", b"{}").status == 400
    assert fetch(f"{odoo.url}/nowhere").status == 404


def test_the_database_has_an_identity(open_odoo: Open) -> None:
    """database.uuid follows from the seed."""
    uuids = [ask(open_odoo(seed=seed), "ir.config_parameter", "get_param", "database.uuid") for seed in (1, 1, 2)]

    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", uuids[0])
    assert uuids[0] == uuids[1] != uuids[2]


def test_an_unknown_version_is_refused() -> None:
    """There is a simulator of 16 to 19 and of nothing else."""
    with pytest.raises(BadValue, match="16 to 19"):
        OdooSandbox(version=15)
