import socket
import threading
from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from http.client import RemoteDisconnected
from urllib.parse import urlencode, urlsplit

import pytest
from tests.sandbox.mercadolivre_clients import DEMO, OpenMarket, consent, get, login, logins, refresh, token_call
from tests.sandbox.odoo_clients import StandingClock, act

from comporta.sandbox.mercadolivre import MercadoLivreSandbox

BACK = "https://example.com/back"
GRANT = {
    "error_description": "Error validating grant. Your authorization code or refresh token may be expired or it was "
    "already used",
    "error": "invalid_grant",
    "status": 400,
    "cause": [],
}


def test_a_refresh_token_buys_a_pair(market: MercadoLivreSandbox) -> None:
    """With the fields and the forms of the vendor's answer."""
    pair = refresh(market, "demo-1002").json

    assert list(pair) == ["access_token", "token_type", "expires_in", "scope", "user_id", "refresh_token"]
    assert pair["access_token"].startswith("APP_USR-")
    assert pair["access_token"].endswith("-1002")
    assert pair["refresh_token"].startswith("TG-")
    assert (pair["user_id"], pair["expires_in"], pair["token_type"]) == (1002, 21_600, "bearer")
    assert get(market, "users/me", pair["access_token"]).json == {"id": 1002, "nickname": "LOJA_1002", "site_id": "MLB"}


def test_a_refresh_token_works_once(market: MercadoLivreSandbox) -> None:
    """The second use is refused; the newest works; the first access token stays good."""
    first = refresh(market, "demo-1001").json
    again = refresh(market, "demo-1001")

    assert (again.status, again.json) == (400, GRANT)
    assert refresh(market, first["refresh_token"]).status == 200
    assert get(market, "users/me", first["access_token"]).status == 200
    seen = logins(market)[1001]
    assert (seen["refreshes"], seen["reuses"], seen["lost_answers"], seen["invalid_grants"]) == (2, 1, 0, 1)
    assert logins(market)[1002]["refreshes"] == 0


def test_another_client_is_refused(market: MercadoLivreSandbox) -> None:
    """And uses nothing up."""
    wrong = refresh(market, "demo-1001", client_secret="wrong")

    assert (wrong.status, wrong.json["error"]) == (400, "invalid_client")
    assert refresh(market, "demo-1001", client_id="5000000000000001").status == 200
    assert token_call(market, grant_type="password").json["error"] == "unsupported_grant_type"
    assert token_call(market, grant_type="refresh_token").json["error"] == "invalid_request"


def test_a_token_is_bound_to_its_application(market: MercadoLivreSandbox) -> None:
    """Another application, with its own secret, is told that the grant is none, and uses nothing up."""
    other = {"client_id": "other", "client_secret": "other"}
    code = consent(market)["code"]
    asked = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK}

    assert (refresh(market, "demo-1001", **other).status, refresh(market, "demo-1001", **other).json) == (400, GRANT)
    assert token_call(market, **asked, **other).json == GRANT
    assert refresh(market, "demo-1001").status == 200
    assert token_call(market, **asked).status == 200
    assert logins(market)[1001]["invalid_grants"] == 0


@pytest.mark.parametrize("code", ["forbidden", "invalid_scope", "unauthorized_application", "unauthorized_client"])
def test_an_application_may_be_refused(market: MercadoLivreSandbox, code: str) -> None:
    """With a code of the vendor's list; nothing is used up."""
    market.faults.add(f"oauth_refusal={code}:1")

    refused = refresh(market, "demo-1001")

    assert (refused.status, refused.json["error"]) == (403 if code == "forbidden" else 400, code)
    assert refresh(market, "demo-1001").status == 200


def test_an_application_tells_its_quota(market: MercadoLivreSandbox) -> None:
    """Its own only; the number is that of the vendor's sample."""
    token = login(market)
    told = get(market, "applications/5000000000000001", token)

    assert (told.status, told.json) == (200, {"id": 5000000000000001, "max_requests_per_hour": 18_000})
    assert get(market, "applications/other", token).status == 404


def test_an_access_token_ends_with_its_time(open_market: OpenMarket, clock: StandingClock) -> None:
    """By the source's clock; the lifetime is what the answer says, and a setting."""
    market = open_market(token_lifetime_s=600)
    token = login(market)

    assert get(market, "users/me", token).status == 200
    clock.advance(seconds=601)
    assert get(market, "users/me", token).status == 401
    assert get(market, "users/me", "APP_USR-nothing").json["message"] == "invalid access token"
    assert get(market, "users/me", "", {"access_token": login(market)}).status == 401


def test_an_answer_may_be_cut_after_the_token_was_used(open_market: OpenMarket) -> None:
    """The client hears nothing, and what it holds is dead; the witness does not blame it for trying."""
    market = open_market(faults=["oauth_cut=1:1"])

    with pytest.raises((ConnectionResetError, RemoteDisconnected)):
        refresh(market, "demo-1001")
    assert refresh(market, "demo-1001").json == GRANT
    seen = logins(market)[1001]
    assert (seen["refreshes"], seen["lost_answers"], seen["reuses"], seen["invalid_grants"]) == (1, 1, 0, 1)


def test_an_answer_may_be_cut_before(open_market: OpenMarket) -> None:
    """Or be the server's own failure: nothing is used up."""
    market = open_market(faults=["oauth_cut_before=1:1", "oauth_500=1:1"])

    with pytest.raises((ConnectionResetError, RemoteDisconnected)):
        refresh(market, "demo-1001")
    assert refresh(market, "demo-1001").status == 500
    assert refresh(market, "demo-1001").status == 200
    assert logins(market)[1001]["refreshes"] == 1


def test_a_network_that_loses_the_pair_is_no_fault_of_the_client(open_market: OpenMarket) -> None:
    """Whatever spoils the answer on its way counts as lost."""
    market = open_market(faults=["truncate_clean=1:1@oauth"])
    refresh(market, "demo-1001")

    assert logins(market)[1001]["lost_answers"] == 1


def test_a_consent_dies_early(market: MercadoLivreSandbox) -> None:
    """Withdrawn, it takes every token with it; refreshed by somebody else, the stored pair is dead."""
    token = login(market)
    act(market, "rotate", seller=1002)
    act(market, "revoke", seller=1001)

    assert get(market, "users/me", token).status == 401
    assert refresh(market, logins(market)[1001]["current"]).json == GRANT
    assert refresh(market, "demo-1002").json == GRANT
    assert logins(market)[1002]["reuses"] == 0


def test_a_person_consents(market: MercadoLivreSandbox) -> None:
    """The code is good once, for who asked; a new consent revives a seller."""
    act(market, "revoke", seller=1002)
    said = consent(market, state="abc", seller="1002")
    pair = token_call(market, grant_type="authorization_code", code=said["code"], redirect_uri=BACK)
    again = token_call(market, grant_type="authorization_code", code=said["code"], redirect_uri=BACK)

    assert said["state"] == "abc"
    assert pair.json["user_id"] == 1002
    assert again.json == GRANT
    assert refresh(market, pair.json["refresh_token"]).status == 200


def test_a_code_is_good_for_its_own_page_and_ten_minutes(market: MercadoLivreSandbox, clock: StandingClock) -> None:
    """Another address to go back to, or too much time, and it is worth nothing."""
    elsewhere = consent(market)["code"]
    wrong = token_call(market, grant_type="authorization_code", code=elsewhere, redirect_uri=f"{BACK}?x=1")
    late = consent(market)["code"]
    clock.advance(minutes=10, seconds=1)

    assert wrong.json == GRANT
    assert token_call(market, grant_type="authorization_code", code=late, redirect_uri=BACK).json == GRANT


@pytest.mark.parametrize("method", ["S256", "plain"])
def test_a_code_is_bound_to_its_challenge(market: MercadoLivreSandbox, method: str) -> None:
    """Without the verifier, or with another one, there is no pair."""
    digest = urlsafe_b64encode(sha256(b"verifier").digest()).decode().rstrip("=")
    challenge = digest if method == "S256" else "verifier"
    errors = []
    for verifier in ({}, {"code_verifier": "wrong"}, {"code_verifier": "verifier"}):
        code = consent(market, code_challenge=challenge, code_challenge_method=method)["code"]
        reply = token_call(market, grant_type="authorization_code", code=code, redirect_uri=BACK, **verifier)
        errors.append(reply.json.get("error"))

    assert errors == ["invalid_request", "invalid_grant", None]


def test_a_person_may_refuse(open_market: OpenMarket) -> None:
    """The redirect then says so; or PKCE may be demanded of who did not offer it."""
    market = open_market(faults=["denied=1:1", "denied_operator=1:1", "pkce_required"])

    assert consent(market, state="abc") == {"error": "access_denied", "state": "abc"}
    assert consent(market, state="abc") == {"error": "invalid_operator_user_id", "state": "abc"}
    code = consent(market)["code"]
    refused = token_call(market, grant_type="authorization_code", code=code, redirect_uri=BACK)
    assert (refused.status, refused.json["error"]) == (400, "invalid_request")


def sent(market: MercadoLivreSandbox, token: str) -> socket.socket:
    """Present a refresh token, and leave the answer unread."""
    body = urlencode({**DEMO, "grant_type": "refresh_token", "refresh_token": token})
    head = f"POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    parts = urlsplit(market.url)
    connection = socket.create_connection((str(parts.hostname), parts.port or 0), 5)
    connection.sendall((head + body).encode())
    return connection


def until(is_so: Callable[[], bool]) -> bool:
    """Tell whether something becomes so within some seconds."""
    waiting = threading.Event()
    return any(is_so() or waiting.wait(0.02) for _ in range(250))


@pytest.mark.parametrize("fault", ["oauth_slow=400", "oauth_hang=1:1"])
def test_who_hangs_up_before_the_answer_has_lost_it(open_market: OpenMarket, fault: str) -> None:
    """The pair went to nobody: to try again with the old token is refused, but no fault of the client's."""
    market = open_market(faults=[fault])
    connection = sent(market, "demo-1001")
    used = until(lambda: logins(market)[1001]["refreshes"] == 1)
    connection.close()

    assert used
    assert until(lambda: logins(market)[1001]["lost_answers"] == 1)
    assert refresh(market, "demo-1001").json == GRANT
    assert logins(market)[1001]["reuses"] == 0


@pytest.mark.full
def test_of_two_at_once_one_wins(open_market: OpenMarket) -> None:
    """The other is refused while the first has not heard yet: a race, and not a token used again."""
    market = open_market(faults=["oauth_slow=300:1"])
    first = sent(market, "demo-1001")
    used = until(lambda: logins(market)[1001]["refreshes"] == 1)
    second = refresh(market, "demo-1001")
    with first:
        answer = first.recv(65_536)

    assert used
    assert answer.startswith(b"HTTP/1.1 200")
    assert second.json == GRANT
    seen = logins(market)[1001]
    assert (seen["refreshes"], seen["invalid_grants"], seen["reuses"], seen["lost_answers"]) == (1, 1, 0, 0)
