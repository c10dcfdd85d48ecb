"""Requests to one ActiveCampaign account: lists, single records, its clock.

An answer becomes a batch of rows, or an error of ours; what is cut or empty shows here, and is asked for again.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec

from comporta.errors import AccessRefused, ComportaError, FilterIgnored, Retryable, SourceChangedShape
from comporta.ports.budget import Budget
from comporta.ports.clock import Clock
from comporta.ports.progress import Progress
from comporta.sources.activecampaign_config import IN_FLIGHT_MAX, ActiveCampaignConfig
from comporta.sources.activecampaign_errors import NOT_FOUND, REFUSALS_TRIED, ignored, refuse
from comporta.sources.activecampaign_rows import DIGITS_MAX, Batch, Plan
from comporta.sources.activecampaign_streams import Endpoint
from comporta.sources.answers import Answer, Ask, describe, parse_json
from comporta.sources.connections import Connections
from comporta.sources.http import Transport
from comporta.sources.latency import TimedBudget, useful_requests
from comporta.sources.retries import Retry
from comporta.sources.values import INTEGER_MAX

CLOCK_FRESH_S = 5.0
"""Seconds for which the clock of the last answer will do: an older clock only claims less."""
PROOF_FRESH_S = 60.0
"""Seconds for which a key that was taken after a refusal counts as good: of a thousand refusals one asks."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Leaf:
    """One page of a list: its records, what they are in order of, and the total that came with it."""

    batch: Batch
    order: Sequence[Any]
    total: int | None

    @property
    def keys(self) -> Sequence[int]:
        """Return the ids of all records."""
        return self.batch.keys


class ActiveCampaignSession:
    """One key at one account."""

    def __init__(
        self,
        config: ActiveCampaignConfig,
        *,
        account: str,
        clock: Clock,
        budget: Budget,
        dice: Random,
        connections: Connections | None = None,
    ) -> None:
        self.config = config
        self.account = account
        self.clock = clock
        self.dice = dice
        self._budget = TimedBudget(budget, clock)
        usual = Retry(further=REFUSALS_TRIED)
        patience = max(usual.within, usual.tries_max * config.timeout)  # five times also where nothing is answered
        self._transport = Transport(
            clock,
            dice=dice,
            budget=self._budget,
            timeout=config.timeout,
            retry=replace(usual, within=patience),
            secrets=(config.api_key,),
            connections=connections,
        )
        self._door = asyncio.Lock()
        self._date: tuple[datetime, float] | None = None
        self._failure: tuple[ComportaError, float] | None = None
        self._proved_s = -PROOF_FRESH_S

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    def in_flight(self, wanted: int | None) -> int:
        """Return how many requests under way are of use now, ``wanted`` at most."""
        return useful_requests(self._budget.rate, self._budget.latency_s, most=wanted or IN_FLIGHT_MAX)

    async def page(
        self, endpoint: Endpoint, plan: Plan, query: Mapping[str, object], *, what: str, progress: Progress
    ) -> Leaf:
        """Return one page of a list."""
        asked = {**query, **(endpoint.orders or {}), **(endpoint.always or {})}
        ask = self._ask(endpoint.name, asked, what, f"{endpoint.name}: page")

        def accept(answer: Answer) -> Leaf:
            return self._leaf(answer, endpoint, plan, ask.subject)

        return await self._send(ask, progress, accept)

    async def page_of_parent(
        self, endpoint: Endpoint, plan: Plan, parent: int, query: Mapping[str, object], *, progress: Progress
    ) -> Leaf | None:
        """Return one page of what belongs to one record of another list, ``None`` if that record is gone."""
        _, parents = endpoint.parent or ("", endpoint.name)
        path = f"{parents}/{parent}/{endpoint.name}"
        ask = self._ask(path, query, f"{endpoint.name} of id {parent}", f"{endpoint.name}: those of one record")

        def accept(answer: Answer) -> Leaf | None:
            if answer.status == NOT_FOUND and not answer.is_page:
                self._envelope(answer, ask.subject)
                return None
            return self._leaf(answer, endpoint, plan, ask.subject)

        return await self._send(ask, progress, accept)

    async def record(self, endpoint: Endpoint, plan: Plan, key: int, progress: Progress) -> Batch | None:
        """Return one record as a batch of its own, ``None`` if there is none of that id."""
        ask = self._ask(f"{endpoint.name}/{key}", endpoint.always or {}, f"id {key}", f"{endpoint.name}: one record")

        def accept(answer: Answer) -> Batch | None:
            if answer.status == NOT_FOUND and not answer.is_page:
                self._envelope(answer, ask.subject)
                return None
            refuse(answer, subject=ask.subject, now=self.clock.now())
            envelope = self._envelope(answer, ask.subject)
            batch = plan.rows([envelope.get(endpoint.singular)], subject=ask.subject)
            if list(batch.keys) != [key]:
                message = f"{ask.subject} answered id {batch.keys[0]}; expected the one asked for"
                raise SourceChangedShape(message)
            return batch

        return await self._send(ask, progress, accept)

    async def time(self, progress: Progress) -> datetime:
        """Return the server's clock: from the last answer while that is fresh, else from a cheap request.

        Streams that begin together ask once, and a refused key, or a server that hangs, ends them together.
        """
        came = self.clock.monotonic()
        async with self._door:
            if self._date is not None and self.clock.monotonic() - self._date[1] <= CLOCK_FRESH_S:
                return self._date[0]
            if self._failure is not None and self._failure[1] > came:
                raise self._failure[0]
            try:
                return await self.login(progress)
            except ComportaError as error:
                self._failure = (error, self.clock.monotonic())
                raise

    async def login(self, progress: Progress) -> datetime:
        """Show the key to the server; return its clock, or raise that the key is refused."""
        ask = self._ask("users/me", {}, "the key's user", "users: me")

        def accept(answer: Answer) -> datetime:
            refuse(answer, subject=ask.subject, now=self.clock.now(), is_login=True)
            self._envelope(answer, ask.subject)
            if answer.date is None:
                message = f"{ask.subject}: the answer has no Date header; expected one, it is the source's clock"
                raise SourceChangedShape(message, next_step="A proxy removes the Date header: let it through.")
            return answer.date

        return await self._transport.send(ask, progress, accept)

    async def _send(self, ask: Ask, progress: Progress, accept: Callable[[Answer], T]) -> T:
        """Send a request; what it is refused for is a missing right only if the key is still good."""
        try:
            return await self._transport.send(ask, progress, accept)
        except AccessRefused:
            if self.clock.monotonic() - self._proved_s > PROOF_FRESH_S:
                self._date = None  # others' answers are older than this refusal
                with suppress(Retryable):
                    await self.time(progress)
                    self._proved_s = self.clock.monotonic()
            raise

    def subject(self, path: str, what: str) -> str:
        """Say in words what is attempted on what."""
        return f"activecampaign/{self.account} {path.partition('/')[0]}: {what}"

    def ignored(self, endpoint: Endpoint, message: str) -> FilterIgnored:
        """Return the error of an answer that is not what was asked of a list."""
        return ignored(message, scope=f"{self.account}/{endpoint.name}")

    def _ask(self, path: str, query: Mapping[str, object], what: str, operation: str) -> Ask:
        tail = f"?{urlencode(query)}" if query else ""
        headers = {"Api-Token": self.config.api_key, "Accept": "application/json"}
        url = f"{self.config.base}/{path}{tail}"
        return Ask("GET", url, self.subject(path, what), headers=headers, operation=operation)

    def _leaf(self, answer: Answer, endpoint: Endpoint, plan: Plan, subject: str) -> Leaf:
        """Return the page that an answer is, or raise why it is none."""
        refuse(answer, subject=subject, now=self.clock.now())
        envelope = self._envelope(answer, subject)
        if endpoint.name not in envelope:
            message = f"{subject} answered no {endpoint.name!r} ({describe(answer)}); expected a list of that name"
            raise SourceChangedShape(message)
        batch = plan.rows(envelope[endpoint.name], subject=subject)
        return Leaf(batch, plan.order(batch), _total(envelope))

    def _envelope(self, answer: Answer, subject: str) -> dict[str, Any]:
        """Return an answer's JSON object; remember the clock that came with it."""
        try:
            parsed = msgspec.json.decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            parsed = parse_json(answer, subject=subject)
        if not isinstance(parsed, dict):
            message = f"{subject} answered {describe(answer)}; expected a JSON object"
            raise SourceChangedShape(message)
        if answer.date is not None:
            self._date = (answer.date, self.clock.monotonic())
        return parsed


def _total(envelope: Mapping[str, Any]) -> int | None:
    """Return ``meta.total``, which comes as text, as a number, or not at all; no list is longer than an id can say."""
    meta = envelope.get("meta")
    total = meta.get("total") if isinstance(meta, dict) else None
    if isinstance(total, str) and total.isascii() and total.isdecimal() and len(total) <= DIGITS_MAX:
        total = int(total)
    return total if type(total) is int and 0 <= total <= INTEGER_MAX else None
