"""Mercado Livre's logins: a code or a refresh token for a pair of tokens, one request and never a second.

A refresh token is good for one use, so what an answer means is decided more narrowly than elsewhere: refused for good
(``LoginNeeded``), refused for another reason than the token, not possible now, or unknown (``AnswerLost``): sent, and
nobody can say what it did. No answer is ever quoted that may hold tokens.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any, NoReturn
from urllib.parse import urlencode

from comporta.errors import (
    AnswerLost,
    ComportaError,
    LoginNeeded,
    RateLimited,
    SourceAnsweredPage,
    SourceBadGateway,
    SourceRefused,
    SourceUnavailable,
)
from comporta.ports.budget import Budget
from comporta.ports.clock import Clock
from comporta.ports.login import BeforeSending, Tokens
from comporta.ports.progress import Progress
from comporta.sources.answers import Answer, Ask, describe, quote
from comporta.sources.connections import Connections
from comporta.sources.http import Transport
from comporta.sources.mercadolivre_config import MercadoLivreConfig
from comporta.sources.retries import Retry

ONCE = Retry(tries_max=1, throttles_max=1)
"""Whether the request may be sent again is decided by who knows what is stored."""
GATEWAY_STATUSES = frozenset({408, 502, 504})
"""What proxies answer when the server behind them did not: it may have done what it was asked."""
UNSENT = "client error (Connect)"
RATE_CODE = "local_rate_limited"
LIFE_MAX = timedelta(days=366)
"""A longer life is a slip of the server, and would overflow."""
LIFE_UNTOLD = timedelta(minutes=10)
"""Shorter than any that was seen: a pair without a sound one is used, and renewed early."""

_KEYS = "Check client_id and client_secret of the account against the application at Mercado Livre's developer site."
_AGAIN = "Start again: `comporta connect mercadolivre NAME`. A code is good for one use, for ten minutes."
_NEXT_STEPS: Mapping[str, str] = {
    "invalid_client": _KEYS,
    "unauthorized_client": _KEYS,
    "unauthorized_application": "Mercado Livre has blocked the application: see its page at the developer site.",
    "invalid_scope": "Give the application the scopes read and offline_access at Mercado Livre's developer site.",
    "unsupported_grant_type": "Allow the application the authorization code and refresh token flows at its page.",
    "invalid_request": "Look at the application's page: its redirect URI must be exactly the one used here, and with "
    "PKCE switched on the code must come from the address that `comporta connect` printed.",
    "forbidden": "Mercado Livre forbids this: check that the seller's user and the application are active.",
    "invalid_operator_user_id": "An operator of the account cannot grant access: log in as the seller's main user.",
    "access_denied": "Access was not granted: start again, and agree at Mercado Livre's page.",
}


@dataclass(frozen=True, slots=True)
class User:
    """Who granted access."""

    user_id: str
    nickname: str
    site: str


class MercadoLivreOAuth:
    """The token endpoint for one application, and the question whose tokens those are."""

    def __init__(
        self,
        config: MercadoLivreConfig,
        *,
        account: str,
        clock: Clock,
        budget: Budget,
        connections: Connections | None = None,
    ) -> None:
        self._config = config
        self._account = account
        self._clock = clock
        self._budget = budget
        self._connections = connections or Connections()

    def __repr__(self) -> str:
        return f"MercadoLivreOAuth({self._account!r}, {self._config.shown_url!r})"

    async def renew(self, refresh: str, progress: Progress, before: BeforeSending) -> Tokens:
        """Return the pair that a refresh token buys; implements ``ports.login.Renew``."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh}
        return await self._pair(form, "renewal of the login", (refresh,), progress, before)

    async def exchange(self, code: str, *, verifier: str, redirect_uri: str, progress: Progress) -> Tokens:
        """Return the first pair, for the code that a person brought from the page where access is granted."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        try:
            return await self._pair({**form, "code_verifier": verifier}, "first login", (code, verifier), progress)
        except LoginNeeded as error:
            raise LoginNeeded(error.message, next_step=_AGAIN) from error

    async def user(self, tokens: Tokens, progress: Progress) -> User:
        """Return whose tokens these are."""
        headers = {"Authorization": f"Bearer {tokens.access}", "Accept": "application/json"}
        ask = Ask("GET", f"{self._config.base}/users/me", self._subject("the seller"), headers=headers)

        def accept(answer: Answer) -> User:
            told = _object(answer)
            if answer.status != 200 or told is None or not told.get("id"):
                raise SourceUnavailable(f"{ask.subject} answered {answer.status}; expected whose tokens these are")
            return User(str(told["id"]), quote(str(told.get("nickname", ""))), quote(str(told.get("site_id", ""))))

        return await self._transport((tokens.access,), Retry()).send(ask, progress, accept)

    async def _pair(
        self,
        form: Mapping[str, str],
        what: str,
        secrets: tuple[str, ...],
        progress: Progress,
        before: BeforeSending | None = None,
    ) -> Tokens:
        config, sent_at = self._config, self._clock.now()
        ask = Ask(
            "POST",
            f"{config.base}/oauth/token",
            self._subject(what),
            headers={"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode({**form, "client_id": config.client_id, "client_secret": config.client_secret}).encode(),
            operation="oauth: token",
        )

        async def ready() -> None:
            nonlocal sent_at
            if before is not None:
                await before()
            sent_at = self._clock.now()

        def accept(answer: Answer) -> Tokens:
            told = _object(answer)
            if not 200 <= answer.status < 300:
                _refuse(answer, told, ask.subject, self._clock)
            return Tokens(**_pair_of(told, answer, ask.subject), issued_at=sent_at, expires_at=sent_at + _life(told))

        try:
            return await self._transport(secrets, ONCE).send(ask, progress, accept, before=ready)
        except (AnswerLost, RateLimited, SourceAnsweredPage, SourceBadGateway):
            raise
        except SourceUnavailable as error:
            if _is_unsent(error):
                raise
            raise AnswerLost(f"{error.message}; nobody knows whether the token was used") from error

    def _transport(self, secrets: tuple[str, ...], retry: Retry) -> Transport:
        return Transport(
            self._clock,
            dice=Random(),  # noqa: S311  it spreads retries
            budget=self._budget,
            timeout=self._config.timeout,
            retry=retry,
            secrets=(self._config.client_secret, *secrets),
            connections=self._connections,
        )

    def _subject(self, what: str) -> str:
        return f"mercadolivre/{self._account} {what}"


def authorize_url(auth_url: str, *, client_id: str, redirect_uri: str, state: str, verifier: str) -> str:
    """Return the address of the page where the seller grants access.

    >>> authorize_url("https://a.example", client_id="1", redirect_uri="http://b/", state="s", verifier="v")[:61]
    'https://a.example/authorization?response_type=code&client_id='
    """
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "state": state,
        "code_challenge": challenge_of(verifier),
        "code_challenge_method": "S256",
    }
    return f"{auth_url.rstrip('/')}/authorization?{urlencode(query)}"


def challenge_of(verifier: str) -> str:
    """Return what is shown of a PKCE verifier before it is needed (RFC 7636, S256).

    >>> challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
    """
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode()


def refusal_of(code: str, description: str = "") -> ComportaError:
    """Return the error for a code that came instead of a grant, at the page or on the way back."""
    said = f"{quote(code)}{f' ({quote(description)})' if description else ''}"
    return SourceRefused(f"access was not granted: {said}", next_step=_NEXT_STEPS.get(code, _AGAIN))


def _is_unsent(error: SourceUnavailable) -> bool:
    """Say whether the connection was never there, so that nothing was sent.

    The class does not tell: the library calls a reset after the sending a ``ConnectError`` too, and every timeout one
    of connecting. Its own words for the stage do; where they change, what was not sent only counts as lost.
    """
    causes = getattr(error.__cause__, "details", {}).get("causes") or []
    return any(cause["message"] == UNSENT for cause in causes)


def _object(answer: Answer) -> Mapping[str, Any] | None:
    try:
        told = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, Mapping) else None


def _refuse(answer: Answer, told: Mapping[str, Any] | None, subject: str, clock: Clock) -> NoReturn:
    """Raise what an answer means that brings no pair. Only ``invalid_grant`` is about the token."""
    code = str((told or {}).get("error") or "")
    said = f"{quote(code)}: {quote(str((told or {}).get('error_description') or (told or {}).get('message') or ''))}"
    seen = f"{subject} answered {answer.status} with {said if code else describe(answer)}; expected a pair of tokens"
    if answer.status == 429 or RATE_CODE in code or RATE_CODE.encode() in answer.beginning(200):
        raise RateLimited(seen, retry_after=answer.retry_after(clock.now()))
    if code == "invalid_grant":
        raise LoginNeeded(seen)
    if answer.status in GATEWAY_STATUSES:
        raise AnswerLost(seen)
    if answer.status >= 500:
        raise SourceBadGateway(seen)
    if answer.status < 400 or (answer.is_page and not code):
        raise SourceAnsweredPage(seen)
    raise SourceRefused(seen, next_step=_NEXT_STEPS.get(code, _KEYS))


def _pair_of(told: Mapping[str, Any] | None, answer: Answer, subject: str) -> dict[str, str]:
    """Return the tokens of an answer that says it brings them; if it cannot be read, the old ones may be used up.

    A pair that is here is never thrown away for what else is missing: what bought it buys nothing any more.
    """
    found = {name: (told or {}).get(name) for name in ("access_token", "refresh_token")}
    access, refresh = found.values()
    if not isinstance(access, str) or not access or not isinstance(refresh, str) or not refresh:
        missing = ", ".join(name for name, value in found.items() if not value) or "tokens that are texts"
        size = f"{len(answer.body)} bytes"
        raise AnswerLost(f"{subject} answered {answer.status} with {size} without {missing}; expected a pair of tokens")
    user = (told or {}).get("user_id")
    is_told = isinstance(user, str | int) and not isinstance(user, bool)
    return {"access": access, "refresh": refresh, "user_id": str(user or "") if is_told else ""}


def _life(told: Mapping[str, Any] | None) -> timedelta:
    """Return how long the access token lives, as this answer says: it is three hours or six, and may change."""
    seconds = (told or {}).get("expires_in")
    if isinstance(seconds, str):
        with suppress(ValueError):
            seconds = float(seconds)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < LIFE_MAX.total_seconds():
        return LIFE_UNTOLD
    return timedelta(seconds=seconds)
