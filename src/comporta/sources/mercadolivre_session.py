"""Requests to Mercado Livre as one seller: with a token that is good, the seller's budget, and one more try on a 401.

The tokens are not this session's: they are asked for before each request, because somebody else may renew them.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec

from comporta.errors import AccessRefused, ComportaError, SourceChangedShape, SourceTruncated
from comporta.errors_mercadolivre import TokenRefused
from comporta.ports.budget import Budget
from comporta.ports.clock import Clock
from comporta.ports.login import Login, Tokens
from comporta.ports.progress import Progress
from comporta.sources.answers import Answer, Ask, describe
from comporta.sources.connections import Connections
from comporta.sources.http import Transport
from comporta.sources.latency import TimedBudget, useful_requests
from comporta.sources.mercadolivre_config import IN_FLIGHT_MAX, MercadoLivreConfig
from comporta.sources.mercadolivre_errors import NO_CONTENT, RIGHT, refuse

CLOCK_FRESH_S = 5.0
"""Seconds for which the clock of the last answer will do: an older clock only claims less."""
SECRETS_MAX = 6
"""Tokens that an answer may still echo: those of the present pair, and of two before it."""
Query = Mapping[str, object]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for: ``what`` in words, ``operation`` as failures are counted by."""

    path: str
    what: str
    operation: str
    query: Query = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


ME = Wanted("users/me", "who we are", "users: me")


class MercadoLivreSession:
    """One seller's account, as an application sees it."""

    def __init__(
        self,
        config: MercadoLivreConfig,
        *,
        account: str,
        login: Login,
        clock: Clock,
        budget: Budget,
        dice: Random,
        connections: Connections | None = None,
    ) -> None:
        self.config = config
        self.account = account
        self.clock = clock
        self._login = login
        self._budget = TimedBudget(budget, clock)
        self.dice = dice
        self._are_ours = connections is None
        self._connections = connections or Connections()
        self._transport: tuple[str, Transport] | None = None
        self._secrets: deque[str] = deque(maxlen=SECRETS_MAX)
        self._door = asyncio.Lock()
        self._date: tuple[datetime, float] | None = None
        self._proven: str | None = None

    async def aclose(self) -> None:
        """Close the connections, if nobody shares them."""
        if self._are_ours:
            await self._connections.aclose()

    def in_flight(self, wanted: int | None) -> int:
        """Return how many requests under way are of use now, ``wanted`` at most."""
        return useful_requests(self._budget.rate, self._budget.latency_s, most=wanted or IN_FLIGHT_MAX)

    async def user_id(self, progress: Progress) -> str:
        """Return whose data the login opens; asked for where no pair of it has said so yet."""
        if known := (await self._login.tokens(progress)).user_id:
            return known
        what = "whose data the login opens"
        told = await self.get("users/me", {}, what=what, operation="users: me", progress=progress)
        if not isinstance(told, Mapping) or not told.get("id"):
            raise SourceChangedShape(f"{self.subject('users/me', what)}: the answer has no id; expected the seller's")
        return str(told["id"])

    async def get(self, path: str, query: Query, *, what: str, operation: str, progress: Progress) -> Any:  # noqa: ANN401 - JSON, which the caller looks at
        """Return the JSON of an answer, ``None`` where it says that there is nothing (204)."""
        return await self.ask(Wanted(path, what, operation, query), self._parsed, progress)

    async def ask(self, wanted: Wanted, accept: Callable[[Answer, str], T], progress: Progress) -> T:
        """Return what ``accept`` makes of the answer and its subject; a token that is refused is renewed once.

        Some records of others may be refused as a token is. One that was renewed for that, and opens something else, is
        good: the refusal is about what was asked for, and as long as the token is good it is not renewed for another.
        """
        tokens = await _logged_in(self._login.tokens(progress))
        try:
            return await self._send(wanted, accept, tokens, progress)
        except TokenRefused as error:
            if tokens.access == self._proven and await self._is_good(tokens, progress):
                raise AccessRefused(error.message, next_step=RIGHT) from error
            tokens = await _logged_in(self._login.refused(tokens, progress))
        try:
            return await self._send(wanted, accept, tokens, progress)
        except TokenRefused as error:
            if wanted.path == ME.path or not await self._is_good(tokens, progress):
                raise
            self._proven = tokens.access
            raise AccessRefused(error.message, next_step=RIGHT) from error

    async def time(self, progress: Progress) -> datetime:
        """Return the server's clock: from the last answer while that is fresh, else from a cheap request."""
        async with self._door:
            if self._date is not None and self.clock.monotonic() - self._date[1] <= CLOCK_FRESH_S:
                return self._date[0]
            return await self.look(progress)

    async def look(self, progress: Progress) -> datetime:
        """Show the token to the server and return its clock."""
        await self.ask(ME, self._parsed, progress)
        if self._date is None:
            subject = self.subject(ME.path, ME.what)
            message = f"{subject}: the answer has no Date header; expected one, it is the source's clock"
            raise SourceChangedShape(message, next_step="A proxy removes the Date header: let it through.")
        return self._date[0]

    def subject(self, path: str, what: str) -> str:
        """Say in words what is attempted on what."""
        return f"mercadolivre/{self.account} {path.partition('/')[0]}: {what}"

    async def _is_good(self, tokens: Tokens, progress: Progress) -> bool:
        try:
            await self._send(ME, self._parsed, tokens, progress)
        except TokenRefused:
            return False
        return True

    async def _send(self, wanted: Wanted, accept: Callable[[Answer, str], T], tokens: Tokens, progress: Progress) -> T:
        tail = f"?{urlencode(wanted.query)}" if wanted.query else ""
        headers = {"Authorization": f"Bearer {tokens.access}", "Accept": "application/json", **wanted.headers}
        subject = self.subject(wanted.path, wanted.what)
        url = f"{self.config.base}/{wanted.path}{tail}"
        ask = Ask("GET", url, subject, headers=headers, operation=wanted.operation)

        def looked_at(answer: Answer) -> T:
            if answer.date is not None and answer.status < 500:
                self._date = (answer.date, self.clock.monotonic())
            return accept(answer, subject)

        return await self._way(tokens).send(ask, progress, looked_at)

    def _way(self, tokens: Tokens) -> Transport:
        """Return the transport that keeps the present tokens, and those before them, out of messages."""
        if self._transport is None or self._transport[0] != tokens.access:
            self._secrets.extend((tokens.access, tokens.refresh))
            transport = Transport(
                self.clock,
                dice=self.dice,
                budget=self._budget,
                timeout=self.config.timeout,
                secrets=(*self._secrets, self.config.client_secret),
                connections=self._connections,
            )
            self._transport = (tokens.access, transport)
        return self._transport[1]

    def _parsed(self, answer: Answer, subject: str) -> Any:  # noqa: ANN401 - JSON
        refuse(answer, subject=subject, now=self.clock.now())
        return None if answer.status == NO_CONTENT else decoded(answer, subject)


async def _logged_in(asking: Awaitable[Tokens]) -> Tokens:
    """Return a pair of tokens; what keeps us from one is about all records, whatever one was to be asked for."""
    try:
        return await asking
    except ComportaError as error:
        error.is_of_one = False
        raise


def decoded(answer: Answer, subject: str) -> Any:  # noqa: ANN401 - JSON
    """Return an answer's JSON, or raise that it was cut."""
    try:
        return msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        seen = f"{subject} answered {answer.status} with {len(answer.body)} bytes that are not valid JSON ({error}): "
        raise SourceTruncated(f"{seen}{describe(answer)}; expected JSON") from error
