"""What the product needs from an API that records come from.

A ``Source`` is one account: it logs in once and opens ``Reader``s. A ``Reader`` is one stream for
one run. Both raise only classes of ``comporta.errors``; a method that was cancelled leaves nothing
behind but a closed connection.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from comporta.core.record import Bucket, Key, Lookup, Page, Shape
from comporta.ports.progress import Progress


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """Which stream to read and how the user wants it, as written in comporta.toml.

    ``concurrency`` is how many pages may be in flight, ``None`` for as many as are of use. It decides nothing about
    what is read, so it is no part of ``Reader.query``.
    """

    stream: str
    fields: tuple[str, ...] | None = None
    domain: tuple[object, ...] = ()
    concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """Which database is behind the URL. ``unique`` is the source's own id of it, if it gives one."""

    url: str
    database: str
    unique: str | None
    version: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of ``comporta check``: what was tried, whether it works, what to do if not."""

    subject: str
    ok: bool
    message: str
    next_step: str = ""
    details: Mapping[str, object] = field(default_factory=dict)


class Reader(Protocol):
    """One stream of one account, ready to be read. Instants are source time, aware, in UTC."""

    @property
    def shape(self) -> Shape:
        """Return the stream as the source describes it."""

    @property
    def identity(self) -> Identity:
        """Return which database is read."""

    @property
    def query(self) -> Mapping[str, object]:
        """Return what decides which rows and columns are asked for; it goes into the query fingerprint."""

    @property
    def is_resumable(self) -> bool:
        """Say whether ``position`` of a page means the same to a later run."""

    @property
    def is_unbroken(self) -> bool:
        """Say whether the pages of the last traversal were shown to follow one another without a gap.

        Offset pages are when each was seen to overlap with the one before; then a count that is absent or wrong does
        not matter, unless it is higher than what was read. A traversal that goes on ``after`` a position speaks for the
        pages before it, too: only where the position says that they were. ``False`` leaves all of the proof to counts
        and listings.
        """

    @property
    def sweep_rows(self) -> int | None:
        """Return how many records a request of a whole pass brings, where children cost a request for each parent.

        ``None`` where many parents are asked for at once, or the stream has none.
        """

    @property
    def oldest(self) -> datetime | None:
        """Return the stamp before which the source keeps nothing, ``None`` where it keeps everything."""

    async def clock(self) -> datetime:
        """Return the source's clock now."""

    def pages(
        self, *, since: datetime | None, until: datetime | None, after: str | None, limit: int | None = None
    ) -> AsyncGenerator[Page, None]:
        """Yield the pages of records stamped in ``[since, until)`` that follow position ``after``.

        Whoever stops early closes it, and with it what is asked for ahead.

        ``None`` means no bound: then rows without a stamp come too. ``limit`` bounds the page size.
        The last page has ``is_last``, also when it is empty. Every row is checked against the bounds
        asked; a source that ignored them raises ``SourceChangedShape``.
        """

    async def count(self, *, since: datetime | None, until: datetime | None) -> int | None:
        """Return how many records the source says are stamped in ``[since, until)``; ``None`` where it says nothing."""

    def listing(
        self, *, since: datetime | None, until: datetime | None
    ) -> AsyncIterator[Sequence[tuple[Key, str | None]]]:
        """Yield (key, stamp as canonical text) of every record stamped in ``[since, until)``, by key."""

    async def fetch(self, keys: Sequence[Key]) -> Page:
        """Return those of the records that exist and the stream's domain admits, as one page."""

    async def fetch_children(self, parents: Sequence[Key]) -> Page:
        """Return every record whose ``shape.parent`` is one of ``parents``, as one page."""

    async def existing(self, keys: Sequence[Key]) -> frozenset[Key]:
        """Return which of the keys live at the source, archived ones too, whatever the domain."""

    async def buckets(self, *, until: datetime) -> Sequence[Bucket]:
        """Return count and sum of keys for every hour before ``until``, in order of the hour."""

    async def lookups(self) -> Sequence[Lookup]:
        """Return the small tables that name what this stream's ids mean."""


class Source(Protocol):
    """One account of an API."""

    async def read(self, request: StreamRequest, progress: Progress) -> Reader:
        """Log in if needed, describe the stream and return its reader.

        Every request made for the reader is counted in ``progress``.
        """

    async def check(self, requests: Sequence[StreamRequest]) -> Sequence[Finding]:
        """Try credentials, permissions, clock and each stream; never raise for what it finds."""

    async def aclose(self) -> None:
        """Close the connections."""
