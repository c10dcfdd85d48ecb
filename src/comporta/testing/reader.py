"""One stream of a fake source, read as careful adapters read: by key, and believing nothing.

It passes the conformance suite that the real readers pass (tests/conformance/test_reader.py), so what a
test learns with it holds for them. Bounds, order and pages are checked as the port promises.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from comporta.core.instant import instant_text
from comporta.core.record import Bucket, Key, Lookup, Page, Rejected, Shape
from comporta.errors import AccessRefused, ComportaError, FilterIgnored, RecordRejected, UnconfirmedEmpty
from comporta.ports.progress import Progress
from comporta.ports.source import Identity, StreamRequest
from comporta.testing.script import Script
from comporta.testing.stream import FakeRecord, FakeStream, row_of

LISTING_SIZE = 50
"""Records in one answer of a listing."""


class FakeReader:
    """Implements ``ports.source.Reader`` over a ``FakeStream``."""

    def __init__(
        self,
        stream: FakeStream,
        request: StreamRequest,
        script: Script,
        progress: Progress,
        *,
        identity: Identity,
        page_size: int,
        ignores_filters: bool,
        is_resumable: bool,
        is_unbroken: bool,
        sweep_rows: int | None,
    ) -> None:
        self.shape: Shape = stream.shape("fake", request.fields)
        self.identity = identity
        self.is_resumable = is_resumable
        self.is_unbroken = is_unbroken
        self.sweep_rows = sweep_rows
        self.oldest: datetime | None = None
        self._stream = stream
        self._request = request
        self._script = script
        self._progress = progress
        self._page_size = page_size
        self._ignores_filters = ignores_filters

    @property
    def query(self) -> Mapping[str, object]:
        """Return what decides which rows and columns are asked for."""
        fields = [column.field for column in self.shape.columns]
        return {"fields": fields, "domain": [list(term) for term in self._terms], "companies": None}

    async def clock(self) -> datetime:
        """Return the source's clock, in whole seconds."""
        self._progress.count_request()
        return await self._script.play("clock", lambda: self._stream.now().replace(microsecond=0))

    async def pages(
        self, *, since: datetime | None, until: datetime | None, after: str | None, limit: int | None = None
    ) -> AsyncGenerator[Page, None]:
        """Yield pages by key; a short one is the last only if nothing follows it."""
        self.is_unbroken = self.is_unbroken and after is None
        last: Key | None = None if after is None else _key(after)
        size = min(limit or self._page_size, self._page_size)
        was_empty = False
        while True:
            found = await self._page(since, until, last, size)
            last = found[-1].key if found else last
            follows = await self._follows(since, until, last) if len(found) < size else True
            if found or not follows:
                position = None if last is None else json.dumps(last)
                yield self._as_page(found, position=position, is_last=not follows)
            elif was_empty:
                message = f"fake {self.shape.stream}: no rows came, twice, but a search finds some"
                raise UnconfirmedEmpty(message)
            if not follows:
                return
            was_empty = not found

    async def count(self, *, since: datetime | None, until: datetime | None) -> int:
        """Return how many records are stamped in ``[since, until)``."""
        self._progress.count_request()
        return await self._script.play("count", lambda: len(self._within(since, until)))

    async def listing(
        self, *, since: datetime | None, until: datetime | None
    ) -> AsyncIterator[Sequence[tuple[Key, str | None]]]:
        """Yield key and stamp of every record stamped in ``[since, until)``, by key."""
        last: Key | None = None
        while True:
            self._progress.count_request()
            part = await self._script.play("listing", partial(self._part, since, until, last))
            if not part:
                return
            last = part[-1].key
            yield [(record.key, record.stamp if self._stream.is_stamped else None) for record in part]

    async def fetch(self, keys: Sequence[Key]) -> Page:
        """Return those of the records that exist and the domain admits."""
        self._progress.count_request()
        wanted = set(keys)
        said = {key: error for key, error in self._said().items() if key in wanted}
        found = await self._script.play(
            "fetch", lambda: [each for each in self._admitted() if each.key in wanted - said.keys()]
        )
        unseen = [Rejected.untold(key, said[key]("not yours")) for key in sorted(said, key=str) if said[key].is_of_one]
        failure = next((error("not now") for error in said.values() if not error.is_of_one), None)
        return replace(self._as_page(found, is_last=True), unseen=unseen, failure=failure)

    async def fetch_children(self, parents: Sequence[Key]) -> Page:
        """Return every record whose parent is one of ``parents``."""
        self._progress.count_request()
        column = self.shape.parent
        wanted = set(parents) if column is not None else set()
        found = await self._script.play(
            "children", lambda: [each for each in self._admitted() if each.values.get(column or "") in wanted]
        )
        return self._as_page(found, is_last=True)

    async def existing(self, keys: Sequence[Key]) -> frozenset[Key]:
        """Return which of the keys live at the source, whatever the domain."""
        self._progress.count_request()
        return await self._script.play("existing", lambda: frozenset(self._stream.records.keys() & set(keys)))

    async def buckets(self, *, until: datetime) -> Sequence[Bucket]:
        """Return count and sum of keys for every hour that ends at or before ``until``."""
        self._progress.count_request()
        return await self._script.play("buckets", lambda: self._buckets(until))

    async def lookups(self) -> Sequence[Lookup]:
        """Return the small tables that the test gave the stream."""
        self._progress.count_request()
        return await self._script.play("lookups", lambda: self._stream.lookups)

    @property
    def _terms(self) -> Sequence[tuple[str, str, object]]:
        return [(str(term[0]), str(term[1]), term[2]) for term in self._request.domain if isinstance(term, tuple)]

    async def _page(
        self, since: datetime | None, until: datetime | None, last: Key | None, size: int
    ) -> Sequence[FakeRecord]:
        self._progress.count_request()
        found = await self._script.play("page", lambda: self._after(since, until, last)[:size])
        low, high = _bounds(since, until)
        for record in found if low or high else ():
            stamp = record.stamp or ""
            if stamp < low or (high and stamp >= high):
                message = f"fake {self.shape.stream}: key {record.key} came with {stamp!r}, outside [{low}, {high})"
                raise FilterIgnored(message)
        return found

    async def _follows(self, since: datetime | None, until: datetime | None, last: Key | None) -> bool:
        self._progress.count_request()
        return await self._script.play("follower", lambda: bool(self._after(since, until, last)))

    def _said(self) -> Mapping[Key, type[ComportaError]]:
        """Return what is said instead of records, by key."""
        return {**dict.fromkeys(self._stream.refused, AccessRefused), **self._stream.odd}

    def _admitted(self) -> Sequence[FakeRecord]:
        """Return the records the domain admits, in order of their keys."""
        records = sorted(self._stream.records.values(), key=lambda record: record.key)
        return [record for record in records if all(_holds(record, *term) for term in self._terms)]

    def _within(self, since: datetime | None, until: datetime | None) -> Sequence[FakeRecord]:
        low, high = ("", "") if self._ignores_filters or not self._stream.is_stamped else _bounds(since, until)
        if not low and not high:
            return self._admitted()
        return [each for each in self._admitted() if each.stamp and low <= each.stamp and (each.stamp < (high or "~"))]

    def _after(self, since: datetime | None, until: datetime | None, last: Key | None) -> Sequence[FakeRecord]:
        within = self._within(since, until)
        return within if last is None else [each for each in within if each.key > last]  # type: ignore[operator]  # keys of one kind

    def _part(self, since: datetime | None, until: datetime | None, last: Key | None) -> Sequence[FakeRecord]:
        return self._after(since, until, last)[:LISTING_SIZE]

    def _buckets(self, until: datetime) -> Sequence[Bucket]:
        end = instant_text(until.astimezone(UTC).replace(minute=0, second=0, microsecond=0))
        hours: dict[str, list[int]] = {}
        for record in self._admitted():
            if record.stamp is not None and record.stamp < end and isinstance(record.key, int):
                hours.setdefault(record.stamp[:13], []).append(record.key)
        return [Bucket(hour, len(keys), sum(keys)) for hour, keys in sorted(hours.items())]

    def _as_page(self, found: Sequence[FakeRecord], *, position: str | None = None, is_last: bool) -> Page:
        sound = [record for record in found if record.spoilt is None]
        untold = {record.key: self._stream.untold[record.key] for record in sound if record.key in self._stream.untold}
        rows = [row_of(_without(record, untold.get(record.key, frozenset())), self.shape) for record in sound]
        spoilt = [
            Rejected(str(record.key), RecordRejected.code, record.spoilt, json.dumps(dict(record.values)))
            for record in found
            if record.spoilt is not None
        ]
        lists = self._stream.nested(self.shape, sound)
        return Page(rows, spoilt, position=position, is_last=is_last, nested=lists, untold=untold)


def _without(record: FakeRecord, names: frozenset[str]) -> FakeRecord:
    return replace(record, values={name: value for name, value in record.values.items() if name not in names})


def _bounds(since: datetime | None, until: datetime | None) -> tuple[str, str]:
    return instant_text(since) if since else "", instant_text(until) if until else ""


def _holds(record: FakeRecord, name: str, operator: str, wanted: object) -> bool:
    value = record.key if name == "id" else record.values.get(name)
    if operator == "in":
        return value in wanted  # type: ignore[operator]  # a test writes a list there
    return (value == wanted) if operator == "=" else (value != wanted)


def _key(position: str) -> Key:
    key: Key = json.loads(position)
    return key
