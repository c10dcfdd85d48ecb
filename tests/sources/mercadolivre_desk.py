"""What the tests of the Mercado Livre readers share: a login that stands in, an account, a server of answers."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.sources.scripted import Reply

from comporta.coordination.budgets import SharedBudgets
from comporta.core.record import Key, Page, Row, Shape, Value
from comporta.ports.clock import Clock
from comporta.ports.login import Tokens
from comporta.ports.progress import Progress
from comporta.ports.source import Reader, StreamRequest
from comporta.sandbox.mercadolivre import MercadoLivreSandbox
from comporta.sandbox.mercadolivre_routes import truth_of
from comporta.sources.mercadolivre import MercadoLivreSource
from comporta.sources.mercadolivre_config import MercadoLivreConfig, terms
from comporta.sources.mercadolivre_rows import Plan
from comporta.sources.mercadolivre_shape import table_for
from comporta.testing import MemoryLog

SELLER, OTHER = 1001, 1002
SECRET = "s3cret-of-the-application"
Anything = Any
Say = Callable[[str, Mapping[str, str]], Reply]
"""Answers a path with a query."""


class StandIn:
    """A login that makes a new token whenever one was refused; implements ``ports.login.Login``."""

    def __init__(self, new: Callable[[], str], clock: Clock, seller: int = SELLER) -> None:
        self.refusals: list[str] = []
        self._new = new
        self._clock = clock
        self._seller = str(seller)
        self._now: Tokens | None = None

    async def tokens(self, progress: Progress) -> Tokens:
        if self._now is None:
            now = self._clock.now()
            self._now = Tokens(self._new(), "TG-refresh", self._seller, now, now + timedelta(hours=6))
        return self._now

    async def refused(self, tokens: Tokens, progress: Progress) -> Tokens:
        self.refusals.append(tokens.access)
        if self._now == tokens:
            self._now = None
        return await self.tokens(progress)

    async def aclose(self) -> None:
        return


class Desk:
    """One seller's account and its readers."""

    def __init__(self, url: str, clock: Clock, login: StandIn, **settings: Anything) -> None:
        self.progress = Progress(clock)
        self.login = login
        config = MercadoLivreConfig("demo", SECRET, url=url, **settings)
        self.source = MercadoLivreSource(
            config,
            account="loja",
            login=login,
            clock=clock,
            budget=SharedBudgets(MemoryLog(clock), clock).of(terms(url, None)),
            dice=Random(1),
        )

    async def read(self, stream: str = "orders", **how: Anything) -> Reader:
        return await self.source.read(StreamRequest(stream, **how), self.progress)


class Spoken(dict[str, Reply]):
    """Answers for a scripted server, said by a function; remembers what was asked."""

    def __init__(self, say: Say) -> None:
        super().__init__()
        self.asked: list[str] = []
        self._say = say

    def __contains__(self, path: object) -> bool:
        return True

    def __getitem__(self, path: str) -> Reply:
        self.asked.append(path)
        parts = urlsplit(path)
        return self._say(parts.path, dict(parse_qsl(parts.query)))


def desk_of(sandbox: MercadoLivreSandbox, clock: Clock, seller: int = SELLER, **settings: Anything) -> Desk:
    """Return a seller's account at a simulator."""

    def new() -> str:
        return str(sandbox.logins.consent(seller)["access_token"])

    return Desk(sandbox.url, clock, StandIn(new, clock, seller), **settings)


async def pages_of(
    reader: Reader, since: datetime | None = None, until: datetime | None = None, **how: Anything
) -> list[Page]:
    """Read all pages."""
    told = {"after": None, "limit": None, **how}
    return [page async for page in reader.pages(since=since, until=until, **told)]


def keys_of(*pages: Page) -> list[Key]:
    """Return the keys of all rows, in the order they came."""
    return [row[0] for page in pages for row in page.rows]  # type: ignore[misc]  # a key


def rows_of(pages: list[Page]) -> dict[Value, Row]:
    """Return all rows by key."""
    return {row[0]: tuple(row) for page in pages for row in page.rows}


def cells(shape: Shape, row: Row) -> dict[str, Value]:
    """Return a row by the names of its columns."""
    return {column.name: cell for column, cell in zip(shape.columns, row, strict=True)}


async def listed(
    reader: Reader, since: datetime | None = None, until: datetime | None = None
) -> list[tuple[Key, str | None]]:
    """Return the whole listing."""
    return [pair async for part in reader.listing(since=since, until=until) for pair in part]


def orders_of(sandbox: MercadoLivreSandbox, seller: int = SELLER, *, hidden: bool = False) -> dict[Value, Row]:
    """Return every order as a row, those that searches hide only if asked."""
    records = [each for each in truth_of(sandbox.world, "orders", seller) if hidden or each["status"] != "cancelled"]
    plan = Plan(table_for(StreamRequest("orders")), keeps_unknown=True)
    return {row[0]: tuple(row) for row in plan.page(records).rows}
