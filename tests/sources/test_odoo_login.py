"""Which protocol is spoken, and how often one logs in."""

import asyncio
import json
import subprocess
import sys
from datetime import timedelta

import pytest
from tests.sources.conftest import Connect
from tests.sources.scripted import ScriptedServer, SteppingClock, failure, http, page

from comporta.errors import (
    ComportaError,
    LoginRefused,
    SourceAnsweredPage,
    SourceBadGateway,
    SourceUnavailable,
)
from comporta.ports.progress import Progress
from comporta.ports.source import Finding, Identity, StreamRequest
from comporta.sources.odoo import OdooSource
from comporta.sources.odoo_config import OdooConfig

ORDERS = StreamRequest("sale.order")


async def protocol_of(source: OdooSource, progress: Progress) -> str:
    """Log in and say over what."""
    session = await source.session(progress)
    return session.dialect.name


@pytest.mark.parametrize(
    ("version", "spoken", "chosen"),
    [
        ("16.0", "jsonrpc", "jsonrpc"),
        ("saas~17.2", "jsonrpc", "jsonrpc"),
        ("16.0", "xmlrpc", "xmlrpc"),
        ("19.0", "json2", "json2"),
        ("19.0", "jsonrpc", "jsonrpc"),
        ("19.0", "xmlrpc", "xmlrpc"),
    ],
)
async def test_the_best_protocol_the_server_accepts_is_chosen(
    server: ScriptedServer, connect: Connect, progress: Progress, *, version: str, spoken: str, chosen: str
) -> None:
    """JSON-2 from 19 on if the key is taken as bearer, else JSON-RPC, XML-RPC last."""
    server.protocol, server.version = spoken, version
    if version == "19.0" and spoken != "json2":
        server.overrides["/json/2/res.users/context_get"] = failure("json2", "werkzeug.Unauthorized", "Invalid apikey")

    protocol = await protocol_of(connect(server.url), progress)

    assert protocol == chosen


async def test_a_key_that_every_protocol_refuses(server: ScriptedServer, connect: Connect, progress: Progress) -> None:
    """JSON-2 says 401, JSON-RPC says false: it is the login."""
    server.version, server.uid = "19.0", False
    server.overrides["/json/2/res.users/context_get"] = failure("json2", "werkzeug.Unauthorized", "Invalid apikey")

    with pytest.raises(LoginRefused):
        await protocol_of(connect(server.url), progress)


async def test_a_server_that_is_no_odoo(server: ScriptedServer, connect: Connect, progress: Progress) -> None:
    """Pages on every address: the message says so and names the url."""
    server.overrides = dict.fromkeys(["/web/version", "/web/webclient/version_info", "/jsonrpc"], page("Nossa loja"))

    with pytest.raises(SourceAnsweredPage, match=r"Nossa loja.*no Odoo answers at http://127\.0\.0\.1") as caught:
        await protocol_of(connect(server.url), progress)

    assert "url" in caught.value.next_step


async def test_a_server_that_is_down_is_not_taken_for_an_old_one(
    server: ScriptedServer, connect: Connect, progress: Progress
) -> None:
    """A 502 on the version is a 502."""
    server.overrides["/web/version"] = page("502", status=502)

    with pytest.raises(SourceBadGateway):
        await protocol_of(connect(server.url), progress)


async def test_all_streams_share_one_login(server: ScriptedServer, connect: Connect, progress: Progress) -> None:
    """Readers that are opened at once log in once."""
    source = connect(server.url)

    await asyncio.gather(*(source.read(StreamRequest(name), progress) for name in ("sale.order", "res.partner")))

    logins = [received for received in server.received if b'"authenticate"' in received.body]
    assert len(logins) == 1


async def test_a_refused_login_is_tried_again_by_the_next(
    server: ScriptedServer, connect: Connect, progress: Progress
) -> None:
    """A key that was renewed works without a restart."""
    source = connect(server.url)
    server.uid = False
    with pytest.raises(LoginRefused):
        await source.read(ORDERS, progress)
    server.uid = 2

    reader = await source.read(ORDERS, progress)

    assert reader.identity.version == "16.0"


async def test_a_key_that_was_revoked_is_forgotten(
    server: ScriptedServer, connect: Connect, progress: Progress
) -> None:
    """The next reader logs in anew instead of failing with the old user id for ever."""
    source = connect(server.url)
    await source.read(ORDERS, progress)
    server.overrides["fields_get"] = failure("jsonrpc", "odoo.exceptions.AccessDenied", "Access Denied")
    with pytest.raises(LoginRefused):
        await source.read(ORDERS, progress)
    del server.overrides["fields_get"]

    await source.read(ORDERS, progress)

    assert sum(b'"authenticate"' in received.body for received in server.received) == 2


@pytest.mark.parametrize("protocol", ["jsonrpc", "xmlrpc", "json2"])
async def test_the_identity_is_the_databases_own(
    server: ScriptedServer, connect: Connect, progress: Progress, *, protocol: str
) -> None:
    """Its uuid where it may be read; the URL without a password in it."""
    server.protocol, server.version = protocol, "19.0"
    url = server.url.replace("http://", "http://user:s3cret-key@")

    reader = await connect(f"{url}/", protocol=protocol).read(ORDERS, progress)

    assert reader.identity == Identity(server.url, "demo", "uuid-1", "19.0")


@pytest.mark.parametrize("name", ["odoo.exceptions.AccessError", "builtins.AttributeError"])
async def test_an_unreadable_uuid_is_none(
    server: ScriptedServer, connect: Connect, progress: Progress, *, name: str
) -> None:
    """Few logins may read system parameters; that alone stops nothing."""
    text = "The method 'ir.config_parameter.get_param' does not exist"
    server.overrides["get_param"] = failure("jsonrpc", name, text)

    reader = await connect(server.url).read(ORDERS, progress)

    assert reader.identity.unique is None


async def test_the_query_says_what_decides_the_rows(
    server: ScriptedServer, connect: Connect, progress: Progress
) -> None:
    """Fields, domain, companies and user; neither protocol nor page size nor key."""
    request = StreamRequest("sale.order", fields=("name",), domain=(("state", "=", "sale"),))

    reader = await connect(server.url, companies=(1,), page_size=7).read(request, progress)

    assert reader.query == {
        "fields": ["id", "name", "write_date"],
        "domain": [["state", "=", "sale"]],
        "companies": [1],
        "login": "demo",
    }


async def test_no_secret_is_shown_by_what_holds_it(
    server: ScriptedServer, connect: Connect, progress: Progress
) -> None:
    """Source, config, session, protocol, call and request may be printed."""
    url = server.url.replace("http://", "http://user:s3cret-key@")
    for protocol, version in (("jsonrpc", "16.0"), ("xmlrpc", "16.0"), ("json2", "19.0")):
        server.protocol, server.version = protocol, version
        source = connect(server.url, protocol=protocol)
        session = await source.session(progress)
        call = session.call("sale.order", "search", "x", {"domain": []})

        shown = f"{source!r} {source.config!r} {session!r} {session.dialect!r} {session.dialect.ask(call)!r}"

        assert "s3cret-key" not in shown
        assert "s3cret-key" not in repr(connect(url))


@pytest.mark.parametrize("protocol", ["jsonrpc", "xmlrpc"])
async def test_no_secret_is_in_the_chain_of_an_error(
    server: ScriptedServer, connect: Connect, progress: Progress, *, protocol: str
) -> None:
    """A server that quotes the call back is quoted with the key masked, causes included."""
    server.protocol = protocol
    server.overrides["fields_get"] = failure(protocol, "builtins.TypeError", "execute_kw('demo', 2, 's3cret-key')")

    with pytest.raises(ComportaError) as caught:
        await connect(server.url, protocol=protocol).read(ORDERS, progress)

    error: BaseException | None = caught.value
    while error is not None:
        assert "s3cret-key" not in f"{error!r} {error}"
        error = error.__cause__
    assert "'***'" in caught.value.message


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("key", ["s3cret-key-of-forty-letters", 'odd"key<&>ä'])
async def test_an_echo_of_the_request_shows_no_key(
    server: ScriptedServer, connect: Connect, progress: Progress, *, status: int, key: str
) -> None:
    """A proxy that answers with what it was sent is quoted, but not with the key in it."""
    echo = json.dumps({"args": ["demo", 7, key, "x" * 30]})
    server.overrides["fields_get"] = http(echo, status=status, kind="text/plain")

    with pytest.raises(ComportaError) as caught:
        await connect(server.url, protocol="jsonrpc", api_key=key).read(ORDERS, progress)

    assert key not in caught.value.message
    assert json.dumps(key)[1:-1] not in caught.value.message
    assert "***" in caught.value.message


async def test_odoo_online_is_asked_once_a_second(clock: SteppingClock) -> None:
    """Unless a limit is set, hosted databases get one call at a time, a second apart."""
    hosted = OdooConfig("https://acme.odoo.com", "acme", "l", "k")
    own = OdooConfig("https://erp.example.com", "acme", "l", "k")
    limited = OdooConfig("https://acme.odoo.com", "acme", "l", "k", limit=(5, timedelta(seconds=1)))

    terms = [config.terms for config in (hosted, own, limited)]

    assert [each.rate for each in terms] == [(1, timedelta(seconds=1)), None, (5, timedelta(seconds=1))]
    assert [each.in_flight_max for each in terms] == [1, None, None]


async def test_two_accounts_at_one_database_share_its_budget(connect: Connect, server: ScriptedServer) -> None:
    """What is counted is what the server has to do, not who logs in; the key says so, and holds no secret."""
    first = OdooConfig("https://erp.example.com/", "acme", "ana", "key-of-ana")
    second = OdooConfig("https://user:pw@erp.example.com", "acme", "bia", "key-of-bia")

    assert first.terms.key == second.terms.key == "odoo https://erp.example.com acme"


def test_importing_the_source_is_cheap() -> None:
    """Neither the HTTP library nor the XML parser is loaded before it is used."""
    program = "import sys, comporta.sources.odoo; print(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert {"pyreqwest", "xmlrpc.client", "xml"} & set(done.stdout.split()) == set()


async def test_check_says_what_works(server: ScriptedServer, connect: Connect) -> None:
    """Version, protocol, login, the clocks' distance, and every stream with its count."""
    server.say(12, [server_record()], [])

    findings = await connect(server.url).check([ORDERS])

    assert [(finding.subject, finding.ok) for finding in findings] == [
        ("login", True),
        ("clock", True),
        ("sale.order", True),
    ]
    assert findings[0].message == f"Odoo 16.0 at {server.url}, user 2 over jsonrpc"
    assert findings[1].message == "the server's clock is +5 s from ours"
    assert findings[2].message == "12 records, 8 columns"


async def test_check_says_what_does_not(server: ScriptedServer, connect: Connect) -> None:
    """A stream without rights is a finding with its next step; the others are checked all the same."""
    server.overrides["fields_get"] = failure("jsonrpc", "odoo.exceptions.AccessError", "Not allowed")

    *_, finding = await connect(server.url).check([ORDERS])

    assert (finding.subject, finding.ok, finding.details) == ("sale.order", False, {"code": "CMP-AUTH-002"})
    assert "read access" in finding.next_step


async def test_check_without_a_server_is_one_finding(connect: Connect) -> None:
    """Nothing more can be said when nobody answers."""
    findings = await connect("http://127.0.0.1:1").check([ORDERS])

    assert [type(finding) for finding in findings] == [Finding]
    assert "port" in findings[0].next_step
    assert findings[0].details == {"code": SourceUnavailable.code}


async def test_check_without_a_date(server: ScriptedServer, connect: Connect) -> None:
    """The clock is a finding of its own."""
    server.overrides["context_get"] = http("{", status=200)

    findings = await connect(server.url).check([])

    assert [(finding.subject, finding.ok) for finding in findings] == [("login", True), ("clock", False)]


def server_record() -> dict[str, object]:
    """Return a record of the scripted server."""
    from tests.sources.scripted import RECORD

    return dict(RECORD)
