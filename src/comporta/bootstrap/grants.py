"""Granting access: what `comporta connect` does for a source whose tokens are renewed, once a person has agreed.

The pair that the source gives exists nowhere else, so it is stored before anything is asked with it, except whose it is
where the source did not say so. One of which nobody can say that now is kept for the account that it was granted for,
which asks for its own seller's data only. A pair of another seller than the account has read so far is refused: two
sellers' rows would mix. But it has ended the pair that the account of that seller holds, if there is one, so it is
stored there first. Before a code or a token is spent, the key that closes the pair is open and the database has taken a
write; one that is busy afterwards is waited for.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field, replace
from typing import TypeVar

from comporta.bootstrap.account_plans import secret_of
from comporta.bootstrap.databases import ledger_key, open_database
from comporta.bootstrap.source_kinds import mercadolivre_config, mercadolivre_oauth
from comporta.bootstrap.workspaces import outside_of
from comporta.coordination.logins import KEEP_PATIENCE_S, KEEP_PAUSE
from comporta.core.login import LoginState, token_fingerprint
from comporta.errors import (
    AnswerLost,
    ComportaError,
    DestinationRefused,
    RateLimited,
    Retryable,
    SecretMissing,
    SourceBadGateway,
    WrongUse,
)
from comporta.ledger.accounts import accounts as stored_accounts
from comporta.ledger.accounts import put_account
from comporta.ledger.logins import connect_login, login_states
from comporta.ledger.secrets import put_secret
from comporta.ledger.session import Database, Session
from comporta.ports.clock import Clock
from comporta.ports.login import Tokens
from comporta.ports.progress import Progress
from comporta.ports.system_clock import SystemClock
from comporta.settings.stored import read_account
from comporta.settings.tree import AccountSettings, Settings
from comporta.sources.mercadolivre_config import AUTH_URLS
from comporta.sources.mercadolivre_oauth import MercadoLivreOAuth, User, authorize_url

SOURCE = "mercadolivre"
CLIENT = ("client_id", "client_secret")
USED_UP = " The code or token that was given is used up by now: grant access anew."
AGAIN = "Run this command once more in a minute; a code from a browser may have to be had anew."
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Granting:
    """One account to which access is being granted. ``table`` is what will be kept of it, ``None`` for the file's."""

    told: AccountSettings
    table: Mapping[str, object] | None
    client: Mapping[str, str]
    oauth: MercadoLivreOAuth
    database: Database
    clock: Clock
    key: bytes = field(repr=False)
    tell: Callable[[str], None]
    peers: frozenset[str]
    """The other accounts of the same application: a new pair of a seller ends the pair that one of them holds."""

    def address(self, *, redirect_uri: str, state: str, verifier: str) -> str:
        """Return the address of the page at which the seller agrees."""
        auth_url = self.told.options["auth_url"] or AUTH_URLS[str(self.told.options["site"])]
        return authorize_url(
            str(auth_url), client_id=self.client["client_id"], redirect_uri=redirect_uri, state=state, verifier=verifier
        )

    async def exchange(self, code: str, *, verifier: str, redirect_uri: str) -> Tokens:
        """Return the pair that a code buys, once it is stored."""
        progress = Progress(self.clock)
        await self._try_to_write()
        tokens = await _bought(
            lambda: self.oauth.exchange(code, verifier=verifier, redirect_uri=redirect_uri, progress=progress)
        )
        return await self._kept(tokens)

    async def renew(self, refresh: str) -> Tokens:
        """Return the pair that a refresh token buys that somebody brought along, once it is stored."""

        async def at_once() -> None:
            """Nobody else has this token."""

        await self._try_to_write()
        tokens = await _bought(lambda: self.oauth.renew(refresh, Progress(self.clock), at_once))
        return await self._kept(tokens, first=token_fingerprint(refresh))

    async def user(self, tokens: Tokens) -> User:
        """Return who granted access."""
        return await self.oauth.user(tokens, Progress(self.clock))

    async def _kept(self, tokens: Tokens, *, first: str | None = None) -> Tokens:
        """Keep account, application and pair in one transaction, flushed to the disk."""
        name, tokens = self.told.name, await self._with_user(tokens)

        def work(session: Session) -> tuple[str | None, str]:
            states = login_states(session)
            known = (states[name].user_id if name in states else None) or ""
            told = tokens if tokens.user_id else replace(tokens, user_id=known)
            holder = holder_of(states, name, told.user_id, peers=self.peers) if told.user_id else name
            if holder == name:
                self._keep_account(session)
            if holder is not None:
                connect_login(session, self.key, holder, told, firsts=[first] if first else [])
            return holder, known

        holder, known = await self._written(work)
        if holder != name:
            raise _other_seller(name, known, tokens.user_id, holder)
        return tokens

    async def _with_user(self, tokens: Tokens) -> Tokens:
        """Return a pair with whose it is; asked for before it is kept, where its answer did not say.

        What the account has read so far does not tell: a browser may be logged in as another seller. But a pair is not
        dropped for that, as what bought it buys nothing any more.
        """
        if tokens.user_id:
            return tokens
        try:
            return replace(tokens, user_id=(await self.user(tokens)).user_id)
        except ComportaError as error:
            self.tell(f"Whose the tokens are cannot be asked now; they are kept for {self.told.name}. {error.message}")
            return tokens

    async def _try_to_write(self) -> None:
        """Raise while nothing is spent where the database takes no write at all."""
        await asyncio.wrap_future(self.database.write(lambda _: None))

    async def _written(self, work: Callable[[Session], T]) -> T:
        """Write what exists nowhere else, again and again while the database is in trouble."""
        until, has_told = self.clock.monotonic() + KEEP_PATIENCE_S, False
        while True:
            try:
                return await asyncio.wrap_future(self.database.write(work, is_durable=True))
            except (Retryable, DestinationRefused) as error:
                if self.clock.monotonic() >= until:
                    error.next_step += USED_UP
                    raise
                if not has_told:
                    self.tell(f"The tokens are here and cannot be stored yet; leave this running. {error.message}")
                has_told = True
                await self.clock.sleep(KEEP_PAUSE)

    def _keep_account(self, session: Session) -> None:
        if self.table is not None:
            put_account(session, self.told.name, self.table)
        for part in CLIENT:
            if self.told.secrets[part].kind == "stored":
                put_secret(session, self.key, secret_id=self.told.secrets[part].name, secret=self.client[part])


@asynccontextmanager
async def open_granting(
    settings: Settings,
    name: str,
    table: Mapping[str, object],
    typed: Mapping[str, str],
    *,
    tell: Callable[[str], None],
) -> AsyncIterator[Granting]:
    """Open the database and the way to the source for an account of the file, of the database, or a new one.

    ``typed`` are parts of the application that a person gave; the others are looked for where the account names them.
    """
    clock = SystemClock()
    with closing(open_database(settings, clock)) as database:
        known = database.read(stored_accounts).get(name, {})
        kept = {**known, **table, "source": SOURCE} if known.get("source") in {None, SOURCE} else known
        is_file_s = name in settings.accounts
        shown = known if is_file_s else kept
        told = read_account(name, shown, settings=settings, origin="what was typed in")
        if told.source != SOURCE:
            raise WrongUse(f"account {name} is one of {told.source}", next_step="Choose another name.")
        client = {part: typed.get(part) or _client(told, part, database, settings) for part in CLIENT}
        outside = outside_of(settings, database, clock)
        config = mercadolivre_config(told, client_id=client["client_id"], client_secret=client["client_secret"])
        try:
            oauth = mercadolivre_oauth(told, config, outside)
            peers = _peers(told, client["client_id"], database, settings)
            key = ledger_key(settings, create=True)
            yield Granting(told, None if is_file_s else kept, client, oauth, database, clock, key, tell, peers)
        finally:
            await outside.aclose()


async def _bought(ask: Callable[[], Awaitable[Tokens]]) -> Tokens:
    """Return the pair; without an answer ask once more with the same, which costs nothing (core.login)."""
    try:
        try:
            return await ask()
        except AnswerLost:
            return await ask()
    except (RateLimited, SourceBadGateway) as error:  # a sync would try again by itself
        raise type(error)(error.message, next_step=AGAIN) from error


def holder_of(states: Mapping[str, LoginState], name: str, user_id: str, *, peers: frozenset[str]) -> str | None:
    """Return the account that a pair of this seller is for, though access was granted for ``name``.

    >>> from comporta.core.login import Standing
    >>> states = {
    ...     "one": LoginState(Standing.GOOD, "f", user_id="1"),
    ...     "two": LoginState(Standing.GOOD, "g", user_id="2"),
    ... }
    >>> [holder_of(states, "two", user, peers=frozenset({"one"})) for user in ("1", "2", "3")]
    ['one', 'two', None]
    >>> holder_of(states, "new", "1", peers=frozenset({"one"})), holder_of(states, "new", "3", peers=frozenset())
    ('one', 'new')
    """
    known = states[name].user_id if name in states else None
    if known == user_id:
        return name
    readers = sorted(each for each in peers & states.keys() if states[each].user_id == user_id)
    if readers:
        return readers[0]
    return name if known is None else None


def _peers(told: AccountSettings, client_id: str, database: Database, settings: Settings) -> frozenset[str]:
    """Return the other accounts that read the same API with the same application, as far as can be told."""
    found = set()
    kept = database.read(stored_accounts)
    origin = f"the database {database.where}"
    for name in (kept.keys() | settings.accounts.keys()) - {told.name}:
        with suppress(ComportaError):  # one of whose application nothing can be read renews nothing with it either
            other = read_account(name, kept.get(name, {}), settings=settings, origin=origin)
            is_here = other.source == SOURCE and other.url == told.url
            if is_here and secret_of(other, "client_id", database, settings) == client_id:
                found.add(name)
    return frozenset(found)


def _client(told: AccountSettings, part: str, database: Database, settings: Settings) -> str:
    option = f"--{part.replace('_', '-')}"
    try:
        return secret_of(told, part, database, settings)
    except SecretMissing as error:
        message = f"account {told.name}: {part} of your application at Mercado Livre is missing"
        raise SecretMissing(message, next_step=f"Give {option} env:NAME or {option} file:PATH.") from error


def _other_seller(name: str, known: str, granted: str, holder: str | None) -> WrongUse:
    reads = f"account {name} reads seller {known}, and " if known else ""
    read_by = f", whom account {holder} reads" if holder else ""
    lost = f"nothing was kept; what was given is used up, and what else holds a login of seller {granted} with this"
    lost += " application needs a new one"
    kept = f"the new pair was kept for {holder}, and nothing for {name}" if holder else lost
    whose = f"as seller {known}" if known else f"as the seller whom {name} shall read"
    step = f"Log out of Mercado Livre in the browser and agree {whose}: `comporta connect mercadolivre {name}`."
    too = f" To read seller {granted} too, grant access once more under another name."
    return WrongUse(
        f"{reads}access was granted by seller {granted}{read_by}; {kept}", next_step=step if holder else step + too
    )
