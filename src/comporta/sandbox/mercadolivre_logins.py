"""The consents of the simulated sellers: codes, access tokens, and refresh tokens that work once.

Only the newest refresh token of a seller works. What became of each one that was used is remembered: to
present it again is a client's mistake only if the client was told its successor. Whoever never got that
answer (``lost_answers``) has lost the consent, as with the real service, and needs a new one.
"""

from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from random import Random
from threading import RLock
from typing import Any

from comporta.errors import BadValue
from comporta.sandbox.clock import SourceClock

APPLICATION = 5_000_000_000_000_001
OURS = frozenset({"demo", str(APPLICATION)})
"""The ids of the application to which the sellers have consented; the first is a short name for the second."""
CLIENTS = {**dict.fromkeys(OURS, "demo"), "other": "other"}
"""The secret of each client: of that application, and of another one to which nobody has consented."""
CODE_LIFE = timedelta(minutes=10)
FIRST_SELLER = 1001


@dataclass
class Login:
    """One seller's consent: the refresh token that works, and what was done with the others."""

    seller: int
    current: str
    refreshes: int = 0
    reuses: int = 0
    lost_answers: int = 0
    invalid_grants: int = 0
    is_revoked: bool = False


@dataclass(frozen=True)
class Grant:
    """A code that was handed out, and what its exchange must quote."""

    seller: int
    redirect_uri: str
    challenge: str
    method: str
    until: datetime


@dataclass(eq=False)
class Use:
    """One use of a refresh token, and whether its answer was heard: ``None`` while nobody knows."""

    login: Login
    pair: dict[str, Any] = field(default_factory=dict)
    is_heard: bool | None = None


class Logins:
    """All consents to one application. Every method may be called from any thread."""

    def __init__(self, sellers: int, clock: SourceClock, rng: Random, lifetime_s: int, *, first: str) -> None:
        self.lifetime_s = lifetime_s
        self._clock = clock
        self._rng = rng
        self._lock = RLock()
        ids = range(FIRST_SELLER, FIRST_SELLER + sellers)
        self._logins = {seller: Login(seller, f"{first}-{seller}") for seller in ids}
        self._owners = {login.current: login for login in self._logins.values()}
        self._uses: dict[str, Use] = {}
        self._codes: dict[str, Grant] = {}
        self._access: dict[str, tuple[int, datetime]] = {}

    @property
    def sellers(self) -> list[int]:
        """Return the ids of all sellers."""
        return list(self._logins)

    def login(self, seller: int) -> Login:
        """Return a seller's consent; refuse a seller there is not."""
        if seller not in self._logins:
            raise BadValue(f"unknown seller {seller}; expected one of {', '.join(map(str, self._logins))}")
        return self._logins[seller]

    def owner_of(self, refresh_token: str, code: str = "") -> int | None:
        """Return whose token or code it is, working or not."""
        grant = self._codes.get(code)
        login = self._owners.get(refresh_token)
        return login.seller if login else grant.seller if grant else None

    def bearer(self, token: str) -> int | None:
        """Return the seller an access token speaks for now."""
        seller, until = self._access.get(token, (None, self._clock.now()))
        return seller if until > self._clock.now() else None

    def refresh(self, token: str) -> Use | None:
        """Use up a refresh token; ``None`` if it does not work."""
        with self._lock:
            login = self._owners.get(token)
            if login is None:
                return None
            if token != login.current or login.is_revoked:
                used = self._uses.get(token)
                login.invalid_grants += 1
                login.reuses += bool(used and used.is_heard)
                return None
            self._uses[token] = use = Use(login)
            use.pair = self._rotate(login)
            login.refreshes += 1
            return use

    def settle(self, use: Use, *, is_heard: bool) -> None:
        """Note, once, whether the answer to a use went out."""
        with self._lock:
            if use.is_heard is None:
                use.is_heard = is_heard
                use.login.lost_answers += not is_heard

    def authorize(self, seller: int, *, redirect_uri: str, challenge: str, method: str) -> str:
        """Return a code to be exchanged soon and once."""
        with self._lock:
            login = self.login(seller)
            code = f"TG-{self._hex(24)}-{login.seller}"
            self._codes[code] = Grant(seller, redirect_uri, challenge, method, self._clock.now() + CODE_LIFE)
            return code

    def take_code(self, code: str) -> Grant | None:
        """Return what a code stands for, and make it worthless."""
        with self._lock:
            grant = self._codes.pop(code, None)
            return grant if grant and grant.until > self._clock.now() else None

    def consent(self, seller: int) -> dict[str, Any]:
        """Return the first pair of a new consent; the pair before it is dead."""
        with self._lock:
            login = self.login(seller)
            login.is_revoked = False
            return self._rotate(login)

    def revoke(self, seller: int) -> None:
        """Withdraw a consent: every token of the seller is dead."""
        with self._lock:
            self.login(seller).is_revoked = True
            self._access = {token: entry for token, entry in self._access.items() if entry[0] != seller}

    def as_json(self, seller: int) -> dict[str, Any]:
        """Return what was done with a seller's tokens."""
        with self._lock:
            login = self.login(seller)
            names = ("refreshes", "reuses", "lost_answers", "invalid_grants", "current", "is_revoked")
            return {"seller": seller, **{name: getattr(login, name) for name in names}}

    def _rotate(self, login: Login) -> dict[str, Any]:
        """Make a new pair. An access token lives to its end, whatever becomes of its refresh token: a guess."""
        access = f"APP_USR-{APPLICATION}-{self._clock.now():%m%d%H}-{self._hex(32)}-{login.seller}"
        self._access[access] = (login.seller, self._clock.now() + timedelta(seconds=self.lifetime_s))
        login.current = f"TG-{self._hex(24)}-{login.seller}"
        self._owners[login.current] = login
        return {
            "access_token": access,
            "token_type": "bearer",
            "expires_in": self.lifetime_s,
            "scope": "offline_access read write",
            "user_id": login.seller,
            "refresh_token": login.current,
        }

    def _hex(self, digits: int) -> str:
        return f"{self._rng.getrandbits(digits * 4):0{digits}x}"


def is_proven(grant: Grant, verifier: str) -> bool:
    """Tell whether a verifier is the one that a code was asked for with."""
    digest = urlsafe_b64encode(sha256(verifier.encode()).digest()).decode().rstrip("=")
    return compare_digest(digest if grant.method == "S256" else verifier, grant.challenge)
