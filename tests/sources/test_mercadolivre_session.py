"""Requests as one seller: a token that is refused, throttling in all its forms, answers that are none."""

from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import timedelta

import pytest
from tests.sources.mercadolivre_desk import SECRET, SELLER, Desk, Spoken, StandIn, desk_of, keys_of, orders_of, pages_of
from tests.sources.scripted import Reply, ScriptedServer, SteppingClock, http, reset

from comporta.errors import (
    AccessRefused,
    ComportaError,
    LoginRefused,
    RateLimited,
    SourceAnsweredPage,
    SourceBadGateway,
    SourceChangedShape,
    SourceTimedOut,
    SourceTruncated,
    SourceUnavailable,
    UnknownStream,
)
from comporta.errors_mercadolivre import PolicyRefused, TokenRefused
from comporta.ports.source import StreamRequest
from comporta.sandbox.mercadolivre import MercadoLivreSandbox
from comporta.sandbox.mercadolivre_routes import truth_of

TOKEN = "APP_USR-3344-0302-abcdef0123456789-1001"


@pytest.fixture
def sandbox(clock: SteppingClock) -> Iterator[MercadoLivreSandbox]:
    """Return two sellers for whom nobody works."""
    with MercadoLivreSandbox(records=40, items=10, clock=clock.now) as running:
        yield running


@pytest.fixture
async def desk(sandbox: MercadoLivreSandbox, clock: SteppingClock) -> AsyncIterator[Desk]:
    """Return the first of them."""
    desk = desk_of(sandbox, clock, page_size=10)
    yield desk
    await desk.source.aclose()


async def test_a_token_that_ends_in_the_middle_is_renewed_once(
    desk: Desk, sandbox: MercadoLivreSandbox, clock: SteppingClock
) -> None:
    """The page is asked for again with the new one, and nobody notices."""
    reader = await desk.read(concurrency=1)
    found: list[object] = []
    async for page in reader.pages(since=None, until=None, after=None):
        found += keys_of(page)
        if len(found) == 10:
            clock.advance(timedelta(hours=7))

    assert len(found) == len(set(found)) == len(orders_of(sandbox))
    assert len(desk.login.refusals) == 1


async def test_whose_data_it_is_is_asked_where_no_pair_has_said_it(
    desk: Desk, sandbox: MercadoLivreSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first token of the settings, and an answer without it: nothing would be found of nobody."""
    monkeypatch.setattr(desk.login, "_seller", "")

    assert len(keys_of(*await pages_of(await desk.read()))) == len(orders_of(sandbox))


async def test_a_token_that_is_refused_again_ends_the_run(server: ScriptedServer, clock: SteppingClock) -> None:
    """After one renewal it is no question of time; nor of what was asked for: it does not say either who we are."""
    number = iter(range(9))
    server.overrides = Spoken(lambda path, query: http({"message": "invalid access token"}, status=401))
    desk = Desk(server.url, clock, StandIn(lambda: f"{TOKEN}-{next(number)}", clock))

    with pytest.raises(LoginRefused, match="401: invalid access token") as caught:
        await pages_of(await desk.read())
    await desk.source.aclose()

    assert desk.login.refusals == [f"{TOKEN}-0"]
    assert [each.headers["authorization"] for each in server.received] == [f"Bearer {TOKEN}-{n}" for n in (0, 1, 1)]
    assert "comporta connect mercadolivre" in caught.value.next_step


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 200])
@pytest.mark.parametrize("stream", ["orders", "items", "packs"])
async def test_no_message_holds_a_token(server: ScriptedServer, clock: SteppingClock, status: int, stream: str) -> None:
    """Whatever echoes the request: the token, the one before it and the secret are masked."""
    said = {"message": f"you sent {TOKEN}-0 {TOKEN}-1 {SECRET}", "id": f"{TOKEN}-0", "error": TOKEN}
    number = iter(range(9))
    server.overrides = Spoken(lambda path, query: http(said, status=status))
    desk = Desk(server.url, clock, StandIn(lambda: f"{TOKEN}-{next(number)}", clock))
    told: list[str] = []
    try:
        reader = await desk.read(stream)
        await reader.count(since=None, until=None)
        await reader.fetch(["5"])
    except ComportaError as error:
        told += [error.message, error.next_step, str(error), repr(error.args)]
    await desk.source.aclose()
    told += [line.message for line in desk.progress.told]

    assert not any(SECRET in text for text in told)
    used = {each.headers["authorization"].removeprefix("Bearer ") for each in server.received}
    assert not any(token in text for text in told for token in used)


@pytest.mark.parametrize("form", ["empty", "text", "json"])
async def test_a_429_of_any_form_is_one(desk: Desk, sandbox: MercadoLivreSandbox, form: str) -> None:
    """It says nothing of when to come back; everybody pauses, and nothing is lost."""
    sandbox.faults.add(f"body_429={form}")
    sandbox.faults.add("throttled=1", times=2)

    assert len(keys_of(*await pages_of(await desk.read()))) == len(orders_of(sandbox))
    assert desk.progress.requests.throttled == 2


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("html", SourceAnsweredPage),
        ("json_garbage", SourceTruncated),
        ("truncate", SourceUnavailable),
        ("truncate_clean", SourceTruncated),
        ("reset", SourceUnavailable),
        ("error_500", SourceBadGateway),
        ("error_502", SourceBadGateway),
        ("throttled", RateLimited),
        ("forbidden", AccessRefused),
        ("forbidden body_403=scopes", PolicyRefused),
        ("forbidden body_403=policy", PolicyRefused),
    ],
)
async def test_a_fault_passes_or_is_named(
    desk: Desk, sandbox: MercadoLivreSandbox, fault: str, error: type[ComportaError]
) -> None:
    """Twice is a stumble, but for a right that is refused: the page is asked again, and nothing is lost."""
    name, *forms = fault.split()
    for form in forms:
        sandbox.faults.add(form)
    if name != "forbidden":
        sandbox.faults.add(f"{name}=1@orders/search", times=2)
        assert len(keys_of(*await pages_of(await desk.read(concurrency=1)))) == len(orders_of(sandbox))
    sandbox.faults.add(f"{name}=1@orders/search")

    with pytest.raises(error, match="mercadolivre/loja orders: "):
        await pages_of(await desk.read())


@pytest.mark.full
async def test_no_answer_is_waited_for_for_ever(sandbox: MercadoLivreSandbox, clock: SteppingClock) -> None:
    """A request that hangs is given up and asked again."""
    sandbox.faults.add("hang=1:1@orders/search")
    desk = desk_of(sandbox, clock, timeout=timedelta(seconds=0.3))

    assert len(keys_of(*await pages_of(await desk.read()))) == len(orders_of(sandbox))
    sandbox.faults.add("hang=1@orders/search")
    with pytest.raises(SourceTimedOut, match=r"no answer within 0\.3 s"):
        await pages_of(await desk.read())
    await desk.source.aclose()


@pytest.mark.parametrize("reply", [http(b"", status=204), http(b"", status=200), http({}, status=206), reset])
async def test_nothing_is_no_empty_list(server: ScriptedServer, clock: SteppingClock, reply: Reply) -> None:
    """Neither of orders nor of items: it would claim that there are none."""
    server.overrides = Spoken(lambda path, query: reply)
    desk = Desk(server.url, clock, StandIn(lambda: TOKEN, clock))

    for stream in ("orders", "items"):
        with pytest.raises((SourceChangedShape, SourceUnavailable)):
            await pages_of(await desk.read(stream))
    await desk.source.aclose()


async def test_the_clock_is_the_servers(server: ScriptedServer, clock: SteppingClock) -> None:
    """From the last answer while that is fresh; without a header there is none."""

    def say(path: str, query: Mapping[str, str]) -> Reply:
        return http({"id": SELLER})

    server.overrides = Spoken(say)
    desk = Desk(server.url, clock, StandIn(lambda: TOKEN, clock))
    reader = await desk.read()
    first = await reader.clock()
    again = await reader.clock()
    clock.advance(timedelta(seconds=6))
    await reader.clock()
    await desk.source.aclose()

    assert (first.isoformat(), again) == ("2026-11-22T12:00:05+00:00", first)
    assert [each.path for each in server.received] == ["/users/me"] * 2


async def test_a_server_without_a_clock_is_none(server: ScriptedServer, clock: SteppingClock) -> None:
    """Nothing can be claimed by no clock."""
    server.overrides = Spoken(
        lambda path, query: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    )
    desk = Desk(server.url, clock, StandIn(lambda: TOKEN, clock))

    with pytest.raises(SourceChangedShape, match="no Date header"):
        await (await desk.read()).clock()
    await desk.source.aclose()


async def test_check_says_what_works(desk: Desk, sandbox: MercadoLivreSandbox) -> None:
    """Login, clock, each stream; what fails is named with its next step."""
    sandbox.faults.add("forbidden=1@items/search")

    findings = await desk.source.check([StreamRequest(each) for each in ("orders", "shipments", "items", "order")])

    told = {finding.subject: finding for finding in findings}
    assert [name for name, finding in told.items() if finding.ok] == ["login", "clock", "orders", "shipments"]
    assert told["orders"].details["records"] == len(orders_of(sandbox))
    assert told["items"].next_step
    assert told["order"].details["code"] == UnknownStream.code


@pytest.mark.parametrize(
    ("stream", "part"),
    [
        ("orders", "orders/search"),
        ("shipments", "/shipments/4"),
        ("shipments", "/costs"),
        ("packs", "/packs/"),
        ("items", "items/search"),
        ("items", "1001/items"),
    ],
)
async def test_a_part_of_the_data_is_asked_for_again(
    desk: Desk, sandbox: MercadoLivreSandbox, stream: str, part: str
) -> None:
    """206 is taken for nothing, whatever was asked for."""
    records = truth_of(sandbox.world, stream, SELLER)
    keys = [each["id"] for each in records if each.get("status") != "cancelled"][:1]
    reader = await desk.read(stream)
    sandbox.faults.add(f"partial_206=1:2@{part}")

    pages = [await reader.fetch(keys)] if reader.shape.parent_stream else await pages_of(reader)

    assert set(keys) <= set(keys_of(*pages))
    assert sum(desk.progress.requests.failures.values()) == 2


async def test_a_login_that_is_lost_is_the_only_finding(desk: Desk, sandbox: MercadoLivreSandbox) -> None:
    """Without it nothing further can be said."""
    sandbox.logins.revoke(SELLER)
    sandbox.logins.bearer = lambda token: None  # type: ignore[method-assign]  # one answer of its own

    (finding,) = await desk.source.check([StreamRequest("orders")])

    assert (finding.subject, finding.ok, finding.details["code"]) == ("login", False, TokenRefused.code)
