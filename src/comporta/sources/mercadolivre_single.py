"""Records that are asked for by key, one request each: single orders, and shipments and packs, which have no list.

An answer of 404 is no record, and so is a 403: the order of another seller, which a forged notification may name. What
was said instead of a record is handed on, whatever it was; whether so many odd answers are about us, whoever asks can
tell. But a 403 that is about the application is a right that is missing, and ends the run (``one_by_one``). A shipment
whose costs are not told is written without them, where none are known yet, and is to be asked for again.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from comporta.core.record import Bucket, Key, Lookup, Page, Rejected
from comporta.errors import ComportaError, RecordAbsent, SourceChangedShape
from comporta.ports.progress import Progress
from comporta.ports.source import Identity, StreamRequest
from comporta.sources.answers import Answer
from comporta.sources.mercadolivre_errors import NO_CONTENT, NOT_FOUND, refuse
from comporta.sources.mercadolivre_rows import Plan, Record, prepared
from comporta.sources.mercadolivre_session import MercadoLivreSession, Wanted, decoded
from comporta.sources.mercadolivre_shape import table_for
from comporta.sources.one_by_one import each_told, end_of, failure_of_all, unseen

COSTLY = frozenset({("costs",), ("sender_cost",)})
"""Where the columns begin that the costs of a shipment feed."""
COSTS = frozenset({"gross_amount", "receiver", "senders"})
"""What costs are told in: an answer with none of these tells of none, whatever its status."""
NEW_FORM = {"x-format-new": "true"}


@dataclass(frozen=True, slots=True)
class Looked:
    """What records asked for by key were answered: those that there are, by key, and what was said of the others."""

    found: Mapping[str, Record]
    unseen: Sequence[Rejected]
    failure: ComportaError | None
    """The first, where of many each was refused or answered oddly."""
    end: ComportaError | None
    """What ended the look before all was asked for."""

    @property
    def absent(self) -> frozenset[str]:
        """Return the keys of which it was said that there is no such record."""
        return frozenset(each.key for each in self.unseen if each.code == RecordAbsent.code)


async def records_by_key(
    session: MercadoLivreSession, kind: str, keys: Sequence[Key], *, seller: str, progress: Progress, width: int
) -> Looked:
    """Ask for records of a seller, each by itself; one that says whose it is, and is another's, is none."""

    async def ask(key: str) -> Record:
        wanted = Wanted(f"{kind}/{key}", f"id {key}", f"{kind}: one record")
        found = await _asked(session, wanted, progress)
        subject = session.subject(wanted.path, wanted.what)
        if str(found.get("id")) != key:
            message = f"{subject} answered the record {str(found.get('id'))[:40]}; expected the one asked for"
            raise SourceChangedShape(message)
        if (other := other_seller(found, seller)) is not None:  # what the account bought: its buyer may see it, too
            raise RecordAbsent(f"{subject} answered a record of seller {other}; expected one of {seller}")
        return found

    asked = sorted({str(key) for key in keys})
    told = await each_told(ask, asked, width=width, dice=session.dice)
    answers = list(zip(asked, told, strict=True))
    found = {key: each for key, each in answers if not isinstance(each, ComportaError)}
    return Looked(found, unseen(answers), failure_of_all(told), end_of(told))


def other_seller(record: Record, seller: str) -> str | None:
    """Return whose a record says that it is, ``None`` where it is this seller's or does not say.

    >>> other_seller({"seller": {"id": 1002}}, "1001"), other_seller({"seller": {"id": 1001}}, "1001")
    ('1002', None)
    """
    told = record.get("seller")
    owner = told.get("id") if isinstance(told, Mapping) else None
    return None if owner is None or str(owner) == seller else str(owner)[:40]


async def records(
    session: MercadoLivreSession,
    wanted: Callable[[str], Wanted],
    keys: Sequence[str],
    *,
    progress: Progress,
    width: int,
) -> tuple[Mapping[str, Record | None], ComportaError | None]:
    """Return a record for each key, ``None`` if there is none that we may see, or it is not told.

    And what ended the look: of keys that are left out then, nobody was asked.
    """
    told = await each_told(lambda key: _asked(session, wanted(key), progress), keys, width=width, dice=session.dice)
    asked = [(key, each) for key, each in zip(keys, told, strict=True) if end_of([each]) is None]
    return {key: None if isinstance(each, ComportaError) else each for key, each in asked}, end_of(told)


async def _asked(session: MercadoLivreSession, wanted: Wanted, progress: Progress) -> Record:
    """Return one record, or raise what was said instead."""

    def accept(answer: Answer, subject: str) -> Record | RecordAbsent:
        if answer.status == NO_CONTENT or (answer.status == NOT_FOUND and not answer.is_page):
            return RecordAbsent(f"{subject} answered {answer.status}; expected a record")
        refuse(answer, subject=subject, now=session.clock.now())
        told = decoded(answer, subject)
        if not isinstance(told, Mapping):
            message = f"{subject} answered no JSON object; expected a record"
            raise SourceChangedShape(message)
        return told

    told = await session.ask(replace(wanted, headers=NEW_FORM), accept, progress)
    if isinstance(told, RecordAbsent):
        raise told
    return told


class SingleReader:
    """Shipments or packs of one seller: what orders refer to."""

    is_resumable = True
    is_unbroken = False
    oldest = None
    sweep_rows = None

    def __init__(self, session: MercadoLivreSession, request: StreamRequest, progress: Progress, seller: str) -> None:
        self._plan = Plan(table_for(request), keeps_unknown=request.fields is None)
        self.shape = self._plan.shape
        self.identity = Identity(session.config.shown_url, "", seller, "1")
        self._stream = request.stream
        self._session = session
        self._progress = progress
        self._seller = seller
        self._concurrency = request.concurrency
        self._costly = frozenset(each.column.name for each in self._plan.fields if each.path[:1] in COSTLY)

    @property
    def query(self) -> Mapping[str, object]:
        """What decides which rows and columns are asked for."""
        return {"fields": [each.column.name for each in self._plan.fields], "seller": self._seller}

    async def clock(self) -> datetime:
        """Return the source's clock."""
        return await self._session.time(self._progress)

    async def fetch(self, keys: Sequence[Key]) -> Page:
        """Return those of the records that exist, each asked for by itself."""
        width = self._session.in_flight(self._concurrency)
        looked = await records_by_key(
            self._session, self._stream, keys, seller=self._seller, progress=self._progress, width=width
        )
        found = looked.found
        untold: Mapping[Key, Collection[str]] = {}
        end = looked.end
        if self._costly:
            told, costs_end = await records(self._session, _costs, list(found), progress=self._progress, width=width)
            costs = {key: each if each and COSTS & each.keys() else None for key, each in told.items()}
            found = {key: {**found[key], "costs": each} for key, each in costs.items()}
            end = end or costs_end
            untold = {int(key): self._costly for key, each in found.items() if each["costs"] is None}
        page = self._plan.page([prepared(self._stream, each, seller=self._seller) for each in found.values()])
        return replace(page, unseen=looked.unseen, untold=untold, failure=end)

    async def existing(self, keys: Sequence[Key]) -> frozenset[Key]:
        """Return all of them: what is not shown any more is not deleted."""
        return frozenset(keys)

    async def count(self, *, since: datetime | None, until: datetime | None) -> int | None:
        """Return nothing: there is no list to count."""
        return None

    async def pages(
        self,
        *,
        since: datetime | None,
        until: datetime | None,
        after: str | None,
        limit: int | None = None,
    ) -> AsyncGenerator[Page, None]:
        """Yield a last page without records: there is no list."""
        yield Page([], is_last=True)

    async def listing(
        self,
        *,
        since: datetime | None,
        until: datetime | None,
    ) -> AsyncIterator[Sequence[tuple[Key, str | None]]]:
        """Yield nothing: there is no list."""
        none: Sequence[tuple[Key, str | None]] = ()
        if none:
            yield none

    async def fetch_children(self, parents: Sequence[Key]) -> Page:
        """Return nothing: no record has a parent."""
        return Page([], is_last=True)

    async def buckets(self, *, until: datetime) -> Sequence[Bucket]:
        """Return nothing: there is no list."""
        return []

    async def lookups(self) -> Sequence[Lookup]:
        """Return nothing."""
        return []


def _costs(key: str) -> Wanted:
    return Wanted(f"shipments/{key}/costs", f"costs of {key}", "shipments: costs")
