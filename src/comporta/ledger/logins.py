"""Logins in the database: the row that people may read, the pair closed in cmp_secret, both in one transaction.

core/login.py tells the protocol. Two things guard a write. The lease account/@login (``leases``) guards what only its
holder may say: that an attempt begins, that it was refused, that it failed. The chain of tokens guards a new pair: it
is stored where the row still names the token that bought it, whoever holds the lease by then, and nowhere else.
The lease's row is always taken first, so that two writers wait for one another in one order.
"""
# ruff: noqa: D102  ports.login_store.LoginStore says what each method promises

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TypeVar

from comporta.core.lease import Lease
from comporta.core.login import LOGIN_SCOPE, LoginState, Standing, token_fingerprint
from comporta.errors import LeaseLost, MasterKeyWrong, SecretMissing
from comporta.ledger import leases
from comporta.ledger.rows import instant_from, text_of
from comporta.ledger.secrets import get_secret, put_secret
from comporta.ledger.session import Database, Row, Session, settled, term
from comporta.ports.login import Tokens
from comporta.ports.login_store import KeptLogin, Leased
from comporta.ports.store import Occupied

FIRSTS_MAX = 100
"""First tokens of an account that are remembered as used; a person writes one when access was granted anew."""
T = TypeVar("T")


def scope_of(account: str) -> str:
    """Return the scope whose lease is the right to renew a login."""
    return f"{account}{LOGIN_SCOPE}"


def secret_of(account: str) -> str:
    """Return the id of the secret that holds an account's pair."""
    return f"{account}/tokens"


def login_states(session: Session) -> dict[str, LoginState]:
    """Return how every login stands, by account; no secret is opened for it."""
    return {row["account"]: _state(row) for row in session.all("logins", {})}


def read_login(session: Session, key: Callable[[], bytes], account: str) -> KeptLogin | None:
    """Return what is stored of a login."""
    row = session.one("login", {"account": account})
    if row is None:
        return None
    state = _state(row)
    kept = json.loads(get_secret(session, key(), secret_id=secret_of(account)))
    tokens = None
    if kept["access"] is not None and state.issued_at is not None and state.expires_at is not None:
        user_id = state.user_id or ""
        tokens = Tokens(kept["access"], kept["refresh"], user_id, state.issued_at, state.expires_at)
    return KeptLogin(state, kept["refresh"], tokens, tuple(kept["firsts"]))


def connect_login(session: Session, key: bytes, account: str, tokens: Tokens, *, firsts: Sequence[str] = ()) -> None:
    """Store a pair that a person granted, in place of whatever is there; an attempt under way changes nothing any more.

    ``firsts`` are fingerprints of first tokens that are used up by it.
    """
    used = list(firsts)
    with suppress(MasterKeyWrong, SecretMissing):  # a person who lost the key connects again
        before = read_login(session, lambda: key, account)
        used = [*(before.firsts if before else ()), *firsts]
    values = _pair(tokens) | {"attempt": None, "attempted_at": None, "attempts": 0}
    session.run("put_login", {"account": account, "state": Standing.GOOD.value, "now": text_of(session.now), **values})
    _close(session, key, account, access=tokens.access, refresh=tokens.refresh, firsts=used)


class LedgerLogins:
    """Implements ``ports.login_store.LoginStore``; ``key`` opens and closes the pairs, made now if it may be."""

    def __init__(self, database: Database, key: Callable[[bool], bytes]) -> None:
        self._database = database
        self._key = key

    async def states(self) -> Mapping[str, LoginState]:
        return await asyncio.to_thread(self._database.read, login_states)

    async def look(self, account: str) -> KeptLogin | None:
        return await asyncio.to_thread(self._database.read, lambda s: read_login(s, self._opening, account))

    async def take(self, account: str, holder: str, ttl: timedelta) -> Leased | Occupied:
        scope = scope_of(account)

        def work(session: Session) -> Leased | Occupied:
            taken = session.one("take_lease", {"scope": scope, "run": holder} | term(session, ttl))
            if taken is None:
                taken = session.one("lock_scope", {"scope": scope})
                if taken is None or taken["holder"] != holder:
                    return leases.occupied(session, scope)
            lease = Lease(scope, taken["epoch"], holder, taken["commits"])
            return Leased(lease, read_login(session, self._opening, account))

        return await self._write(work)

    async def extend(self, lease: Lease, ttl: timedelta) -> bool:
        return await self._write(lambda s: leases.renew(s, lease, ttl))

    async def begin(self, lease: Lease, account: str, refresh: str, *, is_first: bool, ttl: timedelta) -> None:
        token = token_fingerprint(refresh)
        key = self._key(is_first)

        def work(session: Session) -> None:
            leases.hold(session, lease, ttl)
            if is_first:
                _begin_first(session, key, account, refresh)
            elif session.run("begin_login", {"account": account, "token": token, "now": text_of(session.now)}) != 1:
                raise _changed(account, token)

        await self._write(work, is_durable=True)

    async def may_send(self, lease: Lease, account: str, refresh: str, ttl: timedelta) -> bool:
        token = token_fingerprint(refresh)

        def work(session: Session) -> bool:
            if not leases.renew(session, lease, ttl):
                return False
            row = session.one("login", {"account": account})
            return row is not None and row["token"] == row["attempt"] == token

        return await self._write(work)

    async def keep(self, lease: Lease, account: str, used: str, tokens: Tokens) -> bool:
        key = self._key(False)  # noqa: FBT003  whether it may be made

        def work(session: Session) -> bool:
            session.run("release", leases.identity(lease))
            values = {"account": account, "used": token_fingerprint(used), "now": text_of(session.now)}
            row = session.one("login", {"account": account})
            if row is not None and row["token"] == values["used"] and _is_another(row["user_id"], tokens.user_id):
                reason = _of_another(row["user_id"], tokens.user_id)
                session.run("end_login_attempt", values | {"state": Standing.NEEDS_LOGIN.value, "reason": reason})
                return False
            if session.run("keep_login", values | _pair(tokens)) != 1:
                row = session.one("login", {"account": account})
                return row is not None and row["token"] == token_fingerprint(tokens.refresh)
            before = json.loads(get_secret(session, key, secret_id=secret_of(account)))
            _close(session, key, account, access=tokens.access, refresh=tokens.refresh, firsts=before["firsts"])
            return True

        return await self._write(work, is_durable=True)

    async def refuse(self, lease: Lease, account: str, used: str, reason: str) -> bool:
        return await self._end(lease, account, used, Standing.NEEDS_LOGIN, reason)

    async def fail(self, lease: Lease, account: str, used: str, standing: Standing, reason: str) -> bool:
        return await self._end(lease, account, used, standing, reason)

    async def release(self, lease: Lease) -> None:
        await self._write(lambda s: s.run("release", leases.identity(lease)))

    async def _end(self, lease: Lease, account: str, used: str, standing: Standing, reason: str) -> bool:
        token = token_fingerprint(used)
        told = {"account": account, "used": token, "state": standing.value, "reason": reason}

        def work(session: Session) -> bool:
            if session.run("release", leases.identity(lease)) != 1:
                row = session.one("login", {"account": account})  # ours if its COMMIT was not answered
                return row is not None and (row["token"], row["state"], row["reason"]) == (token, standing, reason)
            return session.run("end_login_attempt", told | {"now": text_of(session.now)}) == 1

        return await self._write(work, is_durable=True)

    def _opening(self) -> bytes:
        return self._key(False)  # noqa: FBT003  whether it may be made

    async def _write(self, work: Callable[[Session], T], *, is_durable: bool = False) -> T:
        """Write, and again if the answer to COMMIT was lost: each of these may be done twice."""
        return await settled(lambda: asyncio.wrap_future(self._database.write(work, is_durable=is_durable)))


def _begin_first(session: Session, key: bytes, account: str, refresh: str) -> None:
    """Store a first token and write its use ahead; what it replaces was refused, or was never there."""
    token, now = token_fingerprint(refresh), text_of(session.now)
    before = read_login(session, lambda: key, account)
    if before is not None and before.state.token != token and before.state.standing is not Standing.NEEDS_LOGIN:
        raise _changed(account, token)
    nothing = {"user_id": before.state.user_id if before else None, "issued_at": None, "expires_at": None}
    values = nothing | {"token": token, "attempt": token, "attempted_at": now, "attempts": 1, "now": now}
    session.run("put_login", values | {"account": account, "state": Standing.RENEWING.value})
    _close(session, key, account, access=None, refresh=refresh, firsts=[*(before.firsts if before else ()), token])


def _close(
    session: Session, key: bytes, account: str, *, access: str | None, refresh: str, firsts: Sequence[str]
) -> None:
    kept = {"access": access, "refresh": refresh, "firsts": list(dict.fromkeys(firsts))[-FIRSTS_MAX:]}
    put_secret(session, key, secret_id=secret_of(account), secret=json.dumps(kept))


def _pair(tokens: Tokens) -> dict[str, object]:
    return {
        "user_id": tokens.user_id or None,
        "issued_at": text_of(tokens.issued_at),
        "expires_at": text_of(tokens.expires_at),
        "token": token_fingerprint(tokens.refresh),
    }


def _is_another(ours: str | None, theirs: str) -> bool:
    """Say whether a pair is of somebody else; one that does not say whose it is belongs to whom its chain does."""
    return bool(ours and theirs and ours != theirs)


def _of_another(ours: str, theirs: str) -> str:
    return (
        f"the token that was used opens the data of {theirs}, and this account reads {ours}; the pair it bought was not"
        f" kept, and the token is used up: {theirs} has to grant access again, for an account of its own"
    )


def _state(row: Row) -> LoginState:
    return LoginState(
        standing=Standing(row["state"]),
        token=row["token"],
        user_id=row["user_id"],
        issued_at=instant_from(row["issued_at"]),
        expires_at=instant_from(row["expires_at"]),
        attempt=row["attempt"],
        attempted_at=instant_from(row["attempted_at"]),
        attempts=row["attempts"],
        reason=row["reason"],
    )


def _changed(account: str, token: str) -> LeaseLost:
    return LeaseLost(f"{account}: the stored login is no longer the one with token {token}; nothing was written")
