"""Every refusal and failure of an Odoo server, as the error of ours that tells what to do next."""

import pytest
from tests.sources.conftest import Connect
from tests.sources.scripted import Reply, ScriptedServer, failure, http, page, result

from comporta.core.record import Page
from comporta.errors import (
    AccessRefused,
    ComportaError,
    LoginRefused,
    RateLimited,
    SourceAnsweredPage,
    SourceBadGateway,
    SourceChangedShape,
    SourceRefused,
    SourceTruncated,
    SourceUnavailable,
    UnknownField,
    UnknownStream,
)
from comporta.errors_odoo import ProtocolUnsupported, UnknownDatabase
from comporta.ports.progress import Progress
from comporta.ports.source import StreamRequest
from comporta.sources.odoo_errors import Trouble

PROTOCOLS = [("jsonrpc", "16.0"), ("xmlrpc", "16.0"), ("jsonrpc", "19.0"), ("xmlrpc", "19.0"), ("json2", "19.0")]
IN_FULL = PROTOCOLS[1:3]
TOLD = [each if each not in IN_FULL else pytest.param(*each, marks=pytest.mark.full) for each in PROTOCOLS]
SECRET = "s3cret-key"

NO_DATABASE = 'connection to server at "localhost" failed: FATAL:  database "demo" does not exist'
RAISED: list[tuple[str, str, type[ComportaError], str, str]] = [
    ("odoo.exceptions.AccessError", "Not allowed", AccessRefused, "read access to sale.order", "read access"),
    ("odoo.exceptions.AccessDenied", "Access Denied", LoginRefused, "login and key", "api_key"),
    (
        "odoo.exceptions.UserError",
        "Object sale.order doesn't exist",
        UnknownStream,
        "a model called sale.order",
        "installed",
    ),
    (
        "builtins.ValueError",
        "Invalid field 'foo' on model 'sale.order'",
        UnknownField,
        "Invalid field 'foo'",
        "`fields`",
    ),
    ("builtins.ValueError", "something else", SourceRefused, "ValueError: something else", "what this user may do"),
    ("odoo.exceptions.ValidationError", "Não", SourceRefused, "expected a result", "what this user may do"),
    ("psycopg2.errors.SerializationFailure", "could not serialize", SourceUnavailable, "serialize", "tried again"),
    ("psycopg2.OperationalError", "server closed the connection", SourceUnavailable, "closed", "tried again"),
    ("psycopg2.OperationalError", "relation x does not exist", SourceUnavailable, "relation", "tried again"),
    ("builtins.MemoryError", "", SourceUnavailable, "MemoryError", "tried again"),
    ("odoo.http.SessionExpiredException", "Session expired", SourceUnavailable, "expired", "tried again"),
]


async def read_one(server: ScriptedServer, connect: Connect, progress: Progress) -> Page:
    """Read the first page of sale.order."""
    reader = await connect(server.url, protocol=server.protocol).read(StreamRequest("sale.order"), progress)
    return await anext(reader.pages(since=None, until=None, after="7000"))


@pytest.mark.parametrize(("protocol", "version"), TOLD)
@pytest.mark.parametrize(
    ("name", "text", "error", "words", "advice"), RAISED, ids=[f"{c[0]}-{c[1][:9]}" for c in RAISED]
)
async def test_an_exception_of_the_server_is_told_by_its_name(
    server: ScriptedServer,
    connect: Connect,
    progress: Progress,
    *,
    protocol: str,
    version: str,
    name: str,
    text: str,
    error: type[ComportaError],
    words: str,
    advice: str,
) -> None:
    """Over every protocol the same exception becomes the same error, with what was attempted and what helps."""
    server.protocol, server.version = protocol, version
    is_nameless = protocol == "xmlrpc" and name.startswith("odoo.exceptions.Val")
    server.overrides["search_read"] = failure(protocol, name, f"{text} {SECRET}")

    with pytest.raises(error) as caught:
        await read_one(server, connect, progress)

    assert type(caught.value) is error
    assert caught.value.code == error.code
    assert caught.value.message.startswith("odoo/matriz sale.order: page after id 7000: the server answered")
    assert words in caught.value.message or is_nameless
    assert advice in caught.value.next_step
    assert SECRET not in f"{caught.value!r} {caught.value.message}"


SENT: list[tuple[Reply, type[ComportaError], str, str]] = [
    (page("Em manutenção"), SourceAnsweredPage, 'answered 200 with an HTML page ("<title>Em manutenção")', "browser"),
    (http('{"jsonrpc": "2.0", "resu'), SourceTruncated, "are not valid", "page_size"),
    (http(""), SourceTruncated, "an empty body", "page_size"),
    (page("502 Bad Gateway", status=502), SourceBadGateway, "answered 502 with an HTML page", "lack time"),
    (page("Slow", status=503), SourceBadGateway, "answered 503", "lack time"),
    (page("Slow", status=504), SourceBadGateway, "answered 504", "lack time"),
    (http("", status=429), RateLimited, "answered 429", "pause"),
    (page("Blocked", status=403), SourceRefused, "answered 403 with an HTML page", "firewall"),
]


@pytest.mark.parametrize("protocol", ["jsonrpc", "xmlrpc", "json2"])
@pytest.mark.parametrize(("reply", "error", "words", "advice"), SENT, ids=[case[2][:12] for case in SENT])
async def test_what_is_no_answer_of_odoo_is_said(
    server: ScriptedServer,
    connect: Connect,
    progress: Progress,
    *,
    protocol: str,
    reply: Reply,
    error: type[ComportaError],
    words: str,
    advice: str,
) -> None:
    """Pages, cut answers and gateways are named with the page that was asked for."""
    server.protocol, server.version = protocol, "19.0"
    server.overrides["search_read"] = reply

    with pytest.raises(error) as caught:
        await read_one(server, connect, progress)

    assert type(caught.value) is error
    assert caught.value.message.startswith("odoo/matriz sale.order: page after id 7000 answered")
    assert words in caught.value.message
    assert advice in caught.value.next_step


async def test_an_envelope_without_a_result_is_not_understood(
    server: ScriptedServer, connect: Connect, progress: Progress
) -> None:
    """Neither result nor error: nothing is claimed."""
    server.overrides["search_read"] = http({"jsonrpc": "2.0", "id": 1})

    with pytest.raises(SourceChangedShape, match='page after id 7000 answered 200 with no "result" key'):
        await read_one(server, connect, progress)


async def test_records_that_are_no_list_are_not_understood(
    server: ScriptedServer, connect: Connect, progress: Progress
) -> None:
    """An object where a list belongs is a changed interface, not an empty page."""
    server.overrides["search_read"] = result("jsonrpc", {"records": []})

    with pytest.raises(SourceChangedShape, match="expected a list of records"):
        await read_one(server, connect, progress)


@pytest.mark.parametrize(("protocol", "version"), PROTOCOLS[:4])
async def test_a_wrong_login_is_false_not_an_error(
    server: ScriptedServer, connect: Connect, progress: Progress, *, protocol: str, version: str
) -> None:
    """``authenticate`` answers false; the message names login and database."""
    server.protocol, server.version, server.uid = protocol, version, False

    with pytest.raises(LoginRefused, match="login as 'demo' at database 'demo'") as caught:
        await read_one(server, connect, progress)

    assert caught.value.code == "CMP-AUTH-001"
    assert "api_key" in caught.value.next_step
    assert SECRET not in caught.value.message


async def test_a_refused_key_of_json2(server: ScriptedServer, connect: Connect, progress: Progress) -> None:
    """A bad key is a 401."""
    server.protocol, server.version = "json2", "19.0"
    server.overrides["context_get"] = failure("json2", "werkzeug.exceptions.Unauthorized", "Invalid apikey")

    with pytest.raises(LoginRefused, match="Invalid apikey"):
        await read_one(server, connect, progress)


@pytest.mark.parametrize("protocol", ["jsonrpc", "xmlrpc"])
async def test_an_unknown_database(
    server: ScriptedServer, connect: Connect, progress: Progress, *, protocol: str
) -> None:
    """PostgreSQL's own refusal, seen at the login, is about ``database``."""
    server.protocol = protocol
    path = {"jsonrpc": "/jsonrpc", "xmlrpc": "/xmlrpc/2/common"}[protocol]
    server.overrides[path] = failure(protocol, "psycopg2.OperationalError", NO_DATABASE)

    with pytest.raises(UnknownDatabase, match="expected a database called 'demo'") as caught:
        await read_one(server, connect, progress)

    assert "/web/database/selector" in caught.value.next_step


async def test_a_database_that_is_starting_is_not_unknown(
    server: ScriptedServer, connect: Connect, progress: Progress
) -> None:
    """The same exception with another text passes."""
    server.overrides["/jsonrpc"] = failure("jsonrpc", "psycopg2.OperationalError", "FATAL: the database is starting up")

    with pytest.raises(SourceUnavailable, match="starting up"):
        await read_one(server, connect, progress)


@pytest.mark.parametrize(
    "reply",
    [page("404 Not Found", status=404), failure("json2", "werkzeug.exceptions.NotFound", "Not found")],
    ids=["page", "json"],
)
async def test_an_unknown_database_of_json2(
    server: ScriptedServer, connect: Connect, progress: Progress, *, reply: Reply
) -> None:
    """From 19 on JSON-2 is always there, so that its 404 at the login means the database."""
    server.protocol, server.version = "json2", "19.0"
    server.overrides["context_get"] = reply

    with pytest.raises(UnknownDatabase, match="'demo'"):
        await read_one(server, connect, progress)


@pytest.mark.parametrize(
    ("protocol", "version", "other"),
    [
        ("json2", "16.0", "jsonrpc or xmlrpc"),
        ("jsonrpc", "20.0", "xmlrpc or json2"),
        ("xmlrpc", "22.0", "jsonrpc or json2"),
    ],
)
async def test_a_protocol_the_server_does_not_have(
    server: ScriptedServer, connect: Connect, progress: Progress, *, protocol: str, version: str, other: str
) -> None:
    """Set by hand and not there: the error names the others."""
    server.protocol, server.version = "none", version

    with pytest.raises(ProtocolUnsupported) as caught:
        await connect(server.url, protocol=protocol).read(StreamRequest("sale.order"), progress)

    assert other in caught.value.next_step


FAULT = """Traceback (most recent call last):
  File "/a.py", line 1, in f
    g()
psycopg2.OperationalError: connection failed
\tIs the server running?
FATAL: no
"""


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (
            FAULT,
            Trouble("psycopg2.OperationalError", " connection failed FATAL: no", 1),
        ),
        ("plain words", Trouble("", "plain words", 1)),
        ("", Trouble("", "", 1)),
        ("ValueError: bad", Trouble("ValueError", " bad", 1)),
    ],
)
def test_a_fault_names_its_exception_after_the_last_frame(fault: str, expected: Trouble) -> None:
    """Lines of the message that look like an exception are not taken for one."""
    actual = Trouble.of_fault(1, fault)

    assert actual == expected
