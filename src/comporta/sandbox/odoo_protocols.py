"""The three protocols over HTTP: JSON-RPC and XML-RPC in every version, JSON-2 in 19 alone.

Each turns a request into a plan labelled ``model/method``, and an OdooError into its own shape.
"""

from collections.abc import Callable, Mapping
from typing import Any
from xml.parsers.expat import ExpatError
from xmlrpc.client import Fault, ResponseError, dumps, loads

import msgspec

from comporta.sandbox.exchange import Answer, Plan, Request, html_answer, json_answer
from comporta.sandbox.odoo_errors import BAD_REQUEST, TYPE_ERROR, UNAUTHORIZED, OdooError, unknown_model
from comporta.sandbox.odoo_methods import Address, bind_json2
from comporta.sandbox.odoo_services import Services

JSON2_SINCE = 19
XML = "text/xml; charset=utf-8"
NOT_THERE = "404 Not Found"
_CONTROL = dict.fromkeys([*range(9), 11, 12, *range(14, 32)])


def plan_jsonrpc(services: Services, request: Request) -> Plan:
    """Plan a call of ``/jsonrpc``: HTTP 200 whatever happens."""
    try:
        envelope = msgspec.json.decode(request.body)
        params = envelope["params"]
        service, method, arguments = params["service"], params["method"], params.get("args", [])
    except (msgspec.DecodeError, KeyError, TypeError):
        return Plan(lambda: html_answer(400, "400 Bad Request"))
    return Plan(
        lambda: _jsonrpc_answer(services, envelope, lambda: services.dispatch(service, method, arguments)),
        _label(service, method, arguments),
    )


def plan_version_info(services: Services, request: Request) -> Plan:
    """Plan ``/web/webclient/version_info``, which clients ask before anything else."""
    try:
        envelope = msgspec.json.decode(request.body or b"{}")
    except msgspec.DecodeError:
        envelope = {}
    return Plan(lambda: _jsonrpc_answer(services, envelope, services.version), "common/version_info")


def plan_xmlrpc(services: Services, request: Request) -> Plan:
    """Plan a call of ``/xmlrpc/2/common``, ``object`` or ``db``."""
    service = request.path.rpartition("/")[2]
    try:
        arguments, method = loads(request.body.decode(), use_builtin_types=True)
    except (ExpatError, ResponseError, ValueError, TypeError, LookupError, AttributeError) as error:
        return Plan(_xml_fault_plan(OdooError(TYPE_ERROR, f"not an XML-RPC call: {error}")))
    return Plan(
        lambda: _xml_answer(lambda: services.dispatch(service, str(method), arguments)),
        _label(service, str(method), arguments),
    )


def plan_json2(services: Services, request: Request) -> Plan:
    """Plan a call of ``/json/2/<model>/<method>``: named arguments, true HTTP statuses."""
    parts = request.path.removeprefix("/json/2/").split("/")
    if services.world.version < JSON2_SINCE or len(parts) != 2:
        return Plan(lambda: html_answer(404, NOT_THERE))
    if request.method != "POST":
        return Plan(lambda: html_answer(405, "405 Method Not Allowed"))
    model, method = parts

    def run() -> Answer:
        try:
            return json_answer(_json2_result(services, request, model, method))
        except OdooError as error:
            status, body = error.as_json2()
            return json_answer(body, status)

    return Plan(run, f"{model}/{method}")


def plan_web_version(services: Services, _request: Request) -> Plan:
    """Plan ``GET /web/version``, there since 19."""
    if services.world.version < JSON2_SINCE:
        return Plan(lambda: html_answer(404, NOT_THERE))
    said = services.version()
    return Plan(lambda: json_answer({"version_info": said["server_version_info"], "version": said["server_version"]}))


def _label(service: str, method: str, arguments: Any) -> str:
    if service == "object" and len(arguments) >= 5:
        return f"{arguments[3]}/{arguments[4]}"
    return f"{service}/{method}"


def _jsonrpc_answer(services: Services, envelope: Mapping[str, Any], work: Callable[[], Any]) -> Answer:
    head = {"jsonrpc": "2.0", "id": envelope.get("id")}
    try:
        return json_answer({**head, "result": work()})
    except OdooError as error:
        return json_answer({**head, "error": error.as_jsonrpc(services.world.version)})


def _xml_answer(work: Callable[[], Any]) -> Answer:
    try:
        text = dumps((_without_controls(work()),), methodresponse=True)
    except OdooError as error:
        return _xml_fault(error)
    except (TypeError, OverflowError) as error:
        return _xml_fault(OdooError(TYPE_ERROR, str(error)))
    return Answer(200, text.encode(), XML)


def _without_controls(value: Any) -> Any:
    """Return the value as XML can carry it: control characters dropped, as Odoo drops them."""
    if isinstance(value, str):
        return value.translate(_CONTROL)
    if isinstance(value, dict):
        return {key: _without_controls(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_controls(item) for item in value]
    return value


def _xml_fault(error: OdooError) -> Answer:
    code, text = error.as_fault()
    return Answer(200, dumps(Fault(code, text)).encode(), XML)


def _xml_fault_plan(error: OdooError) -> Callable[[], Answer]:
    return lambda: _xml_fault(error)


def _json2_result(services: Services, request: Request, model: str, method: str) -> Any:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not services.is_key(key.strip()):
        raise OdooError(UNAUTHORIZED, "Invalid apikey")
    if request.headers.get("x-odoo-database", services.database) != services.database:
        raise unknown_model(request.headers["x-odoo-database"])
    try:
        named = msgspec.json.decode(request.body or b"{}")
    except msgspec.DecodeError as error:
        raise OdooError(BAD_REQUEST, f"could not parse the body as json: {error}") from error
    if not isinstance(named, dict):
        raise OdooError(BAD_REQUEST, "expected an object of named arguments")
    address = Address(services.world, model, method)
    result = services.call(address, bind_json2(address, named))
    return [result] if method == "create" and isinstance(result, int) else result
