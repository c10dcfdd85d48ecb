"""What each answer of the token endpoint means: a pair, a refusal, not now, or nobody knows."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.sources.scripted import ScriptedServer, SteppingClock, http, page, reset

from comporta.coordination.budgets import SharedBudgets
from comporta.errors import (
    AnswerLost,
    ComportaError,
    LeaseLost,
    LoginNeeded,
    RateLimited,
    SourceAnsweredPage,
    SourceBadGateway,
    SourceRefused,
    SourceUnavailable,
)
from comporta.ports.login import Tokens
from comporta.ports.progress import Progress
from comporta.sandbox.mercadolivre import MercadoLivreSandbox
from comporta.sources.mercadolivre_config import MercadoLivreConfig, terms
from comporta.sources.mercadolivre_oauth import MercadoLivreOAuth, authorize_url, refusal_of
from comporta.testing import MemoryLog

PAIR = {
    "access_token": "APP_USR-new",
    "token_type": "bearer",
    "expires_in": 10_800,
    "scope": "offline_access read write",
    "user_id": 1001,
    "refresh_token": "TG-new",
}
SECRETS = ("TG-old-token", "s3cret-of-client", "APP_USR-new", "TG-new")


def oauth_at(
    url: str, clock: SteppingClock, *, client: str = "4242", secret: str = "s3cret-of-client", timeout_s: float = 5
) -> MercadoLivreOAuth:
    """Return the client under test."""
    config = MercadoLivreConfig(client, secret, url=url, timeout=timedelta(seconds=timeout_s))
    budget = SharedBudgets(MemoryLog(clock), clock).of(terms(url, None))
    return MercadoLivreOAuth(config, account="loja1", clock=clock, budget=budget)


async def at_once() -> None:
    """Let the request be sent."""


def refused(error: str, *, status: int = 400, description: str = "no") -> bytes:
    """Return a refusal in the vendor's form."""
    return http({"error": error, "error_description": description, "status": status, "cause": []}, status=status)


async def test_a_pair_is_bound_to_its_application(clock: SteppingClock, progress: Progress) -> None:
    """Another application is refused for good; the token is still the first one's."""
    with MercadoLivreSandbox(records=5, items=2, clock=clock.now) as market:
        with pytest.raises(LoginNeeded, match="invalid_grant"):
            await oauth_at(market.url, clock, client="other", secret="other").renew("demo-1001", progress, at_once)

        pair = await oauth_at(market.url, clock, client="demo", secret="demo").renew("demo-1001", progress, at_once)

    assert pair.user_id == "1001"


async def answer_of(
    server: ScriptedServer, clock: SteppingClock, progress: Progress, answer: bytes | Callable[..., None]
) -> Tokens | ComportaError:
    """Return what a renewal makes of an answer; exactly one request was made."""
    server.overrides["/oauth/token"] = answer
    try:
        return await oauth_at(server.url, clock).renew("TG-old-token", progress, at_once)
    except ComportaError as error:
        return error
    finally:
        assert len(server.received) == 1


@pytest.mark.parametrize("user_id", [1001, "1001"])
@pytest.mark.parametrize("expires_in", [10_800, "10800"])
async def test_a_pair_lives_as_long_as_its_answer_says(
    server: ScriptedServer, clock: SteppingClock, progress: Progress, user_id: object, expires_in: object
) -> None:
    """Three hours or six; the user's id is a number or a text."""
    answer = http({**PAIR, "user_id": user_id, "expires_in": expires_in})

    pair = await answer_of(server, clock, progress, answer)

    assert isinstance(pair, Tokens)
    assert (pair.access, pair.refresh, pair.user_id) == ("APP_USR-new", "TG-new", "1001")
    assert (pair.issued_at, pair.expires_at) == (clock.now(), clock.now() + timedelta(hours=3))
    assert "APP_USR" not in repr(pair)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (http({**PAIR, "expires_in": None}), ("1001", timedelta(minutes=10))),
        (http({**PAIR, "expires_in": 0}), ("1001", timedelta(minutes=10))),
        (http({**PAIR, "expires_in": True}), ("1001", timedelta(minutes=10))),
        (http({**PAIR, "expires_in": 10**12}), ("1001", timedelta(minutes=10))),
        (http({**PAIR, "expires_in": "soon"}), ("1001", timedelta(minutes=10))),
        (http({**PAIR, "expires_in": "nan"}), ("1001", timedelta(minutes=10))),
        (http({**PAIR, "expires_in": "10800.0"}), ("1001", timedelta(hours=3))),
        (http({**PAIR, "user_id": None}), ("", timedelta(hours=3))),
        (http({**PAIR, "user_id": ""}), ("", timedelta(hours=3))),
        (http({**PAIR, "user_id": True}), ("", timedelta(hours=3))),
        (http({**PAIR, "user_id": {"id": 7}, "expires_in": None}), ("", timedelta(minutes=10))),
        (http(PAIR, status=203), ("1001", timedelta(hours=3))),
    ],
)
async def test_a_pair_that_came_is_kept_whatever_else_is_missing(
    server: ScriptedServer,
    clock: SteppingClock,
    progress: Progress,
    answer: bytes,
    expected: tuple[str, timedelta],
) -> None:
    """The token that bought it is used up: thrown away, the pair would leave nobody with a login."""
    pair = await answer_of(server, clock, progress, answer)

    assert isinstance(pair, Tokens)
    assert (pair.access, pair.refresh) == ("APP_USR-new", "TG-new")
    assert (pair.user_id, pair.expires_at - pair.issued_at) == expected


async def test_everything_stands_in_the_form_and_nothing_in_the_address(
    server: ScriptedServer, clock: SteppingClock, progress: Progress
) -> None:
    """As the vendor asks for; addresses are logged."""
    await answer_of(server, clock, progress, http(PAIR))
    (asked,) = server.received

    assert (asked.method, asked.path) == ("POST", "/oauth/token")
    assert parse_qs(asked.body.decode()) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["TG-old-token"],
        "client_id": ["4242"],
        "client_secret": ["s3cret-of-client"],
    }
    headers = {name.lower(): value for name, value in asked.headers.items()}
    assert headers["accept"] == "application/json"
    assert headers["content-type"] == "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (refused("invalid_grant"), LoginNeeded),
        (refused("invalid_grant", status=401), LoginNeeded),
        (refused("invalid_client"), SourceRefused),
        (refused("invalid_client", status=401), SourceRefused),
        (refused("unauthorized_client"), SourceRefused),
        (refused("unauthorized_application"), SourceRefused),
        (refused("invalid_scope"), SourceRefused),
        (refused("invalid_request"), SourceRefused),
        (refused("unsupported_grant_type"), SourceRefused),
        (refused("forbidden", status=403), SourceRefused),
        (http(b"", status=429), RateLimited),
        (http("local_rate_limited", status=429, kind="text/plain"), RateLimited),
        (refused("local_rate_limited", status=403), RateLimited),
        (http("local_rate_limited", status=503, kind="text/plain"), RateLimited),
        (refused("internal_server_error", status=500), SourceBadGateway),
        (http(b"", status=503), SourceBadGateway),
        (http(b"", status=502), AnswerLost),
        (http(b"", status=504), AnswerLost),
        (page("Log in to the network", status=403), SourceAnsweredPage),
        (page("Welcome"), AnswerLost),
        (http(b'{"access_token": "APP_USR-new", "refre'), AnswerLost),
        (http({**PAIR, "refresh_token": None}), AnswerLost),
        (http({**PAIR, "access_token": 7}), AnswerLost),
        (http([PAIR]), AnswerLost),
        (reset, AnswerLost),
        (http(PAIR)[:-20], AnswerLost),
    ],
)
async def test_what_an_answer_means(
    server: ScriptedServer,
    clock: SteppingClock,
    progress: Progress,
    answer: bytes | Callable[..., None],
    expected: type[ComportaError],
) -> None:
    """Only invalid_grant is about the token; whatever cannot be read may have used it up."""
    error = await answer_of(server, clock, progress, answer)

    assert type(error) is expected
    assert isinstance(error, ComportaError)
    assert error.next_step
    assert not any(secret in f"{error.message} {error.next_step}" for secret in SECRETS)


async def test_where_nobody_listens_nothing_was_sent(clock: SteppingClock, progress: Progress) -> None:
    """The token is as good as before, and that is known."""
    with pytest.raises(SourceUnavailable) as raised:
        await oauth_at("http://127.0.0.1:9", clock).renew("TG-old-token", progress, at_once)

    assert type(raised.value) is SourceUnavailable


@pytest.mark.full
async def test_an_answer_that_takes_too_long_is_lost(clock: SteppingClock, progress: Progress) -> None:
    """The server may have done it."""
    with MercadoLivreSandbox(sellers=1, faults=["oauth_hang"]) as market:
        client = oauth_at(market.url, clock, client="demo", secret="demo", timeout_s=0.3)

        with pytest.raises(AnswerLost, match="no answer within"):
            await client.renew("demo-1001", progress, at_once)


async def test_what_is_raised_right_before_keeps_it_from_being_sent(
    server: ScriptedServer, clock: SteppingClock, progress: Progress
) -> None:
    """Its turn had come, the lease had gone."""

    async def too_late() -> None:
        raise LeaseLost("somebody else renews")

    with pytest.raises(LeaseLost):
        await oauth_at(server.url, clock).renew("TG-old-token", progress, too_late)

    assert server.received == []


async def test_a_code_is_exchanged_with_its_verifier(clock: SteppingClock, progress: Progress) -> None:
    """The seller grants access at the page; the code comes back with the state, and buys a pair once."""
    with MercadoLivreSandbox(sellers=2, faults=["pkce_required"]) as market:
        back = "http://127.0.0.1:8765/callback"
        client = oauth_at(market.url, clock, client="demo", secret="demo")
        asked = authorize_url(market.url, client_id="demo", redirect_uri=back, state="s7", verifier="v" * 43)
        location = await asyncio.to_thread(_redirected, asked)
        query = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        pair = await client.exchange(query["code"], verifier="v" * 43, redirect_uri=back, progress=progress)
        user = await client.user(pair, progress)
        with pytest.raises(LoginNeeded) as raised:
            await client.exchange(query["code"], verifier="v" * 43, redirect_uri=back, progress=progress)

    assert query["state"] == "s7"
    assert (pair.user_id, user.user_id, user.nickname, user.site) == ("1001", "1001", "LOJA_1001", "MLB")
    assert "comporta connect mercadolivre" in raised.value.next_step


@pytest.mark.parametrize("code", ["invalid_operator_user_id", "access_denied", "something_new"])
def test_what_comes_back_instead_of_a_code_has_a_next_step(code: str) -> None:
    """An operator cannot grant access, and a person may have said no."""
    error = refusal_of(code, "told by the page")

    assert code in error.message
    assert error.next_step


def _redirected(url: str) -> str:
    """Return where a page sends the browser."""
    from http.client import HTTPConnection

    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=5)
    connection.request("GET", f"{parts.path}?{parts.query}")
    location = connection.getresponse().headers["Location"]
    connection.close()
    return location
