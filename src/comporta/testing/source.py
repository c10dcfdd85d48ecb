"""A source for tests: one account whose streams hold what the test put there and fail as it says.

``source.stream("sale.order").put(1, name="S1")`` makes a record; ``source.script.on("page", skip=2,
raises=SourceUnavailable("gone"))`` lets the third page fail. The database behind the URL, the fields and
the size of a page are attributes: set them and the source is another.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from comporta.core.record import ColumnType
from comporta.errors import UnknownStream
from comporta.ports.clock import Clock
from comporta.ports.progress import Progress
from comporta.ports.source import Finding, Identity, StreamRequest
from comporta.testing.reader import FakeReader
from comporta.testing.script import Script
from comporta.testing.stream import FakeStream


class FakeSource:
    """Implements ``ports.source.Source``; its clock is the given one, ``offset`` ahead."""

    def __init__(self, clock: Clock, *, page_size: int = 10) -> None:
        self.script = Script()
        self.identity = Identity("https://fake.example", "fake", "uuid-1", "1.0")
        self.page_size = page_size
        self.offset = timedelta()
        self.ignores_filters = False
        self.is_resumable = True
        self.is_unbroken = False
        self.sweep_rows: int | None = None
        self.is_closed = False
        self.requests: list[StreamRequest] = []
        self._clock = clock
        self._streams: dict[str, FakeStream] = {}

    def now(self) -> datetime:
        """Return the source's own time."""
        return self._clock.now() + self.offset

    def stream(self, name: str = "sale.order", **how: object) -> FakeStream:
        """Return a stream, made at the first call; ``how`` are attributes of ``FakeStream``."""
        if name not in self._streams:
            self._streams[name] = FakeStream(name, self.now, **how)  # type: ignore[arg-type]  # as the caller says
        return self._streams[name]

    def lines(self, name: str = "sale.order.line") -> FakeStream:
        """Return a stream of children: each record's ``order_id`` is the key of its parent."""
        fields = {"name": ColumnType.TEXT, "order_id": ColumnType.INTEGER}
        return self.stream(name, fields=fields, parent="order_id", parent_stream="sale.order")

    def becomes(self, **identity: str | None) -> None:
        """Put another database behind the URL, or the same one elsewhere."""
        self.identity = replace(self.identity, **identity)  # type: ignore[arg-type]  # as the caller says

    async def read(self, request: StreamRequest, progress: Progress) -> FakeReader:
        """Log in and return the reader of a stream; remember what was asked for."""
        self.requests.append(request)
        progress.count_request()
        await self.script.play("login", lambda: None)
        if request.stream not in self._streams:
            message = f"fake: there is no stream {request.stream!r}"
            raise UnknownStream(message)
        return FakeReader(
            self._streams[request.stream],
            request,
            self.script,
            progress,
            identity=self.identity,
            page_size=self.page_size,
            ignores_filters=self.ignores_filters,
            is_resumable=self.is_resumable,
            is_unbroken=self.is_unbroken,
            sweep_rows=self.sweep_rows,
        )

    async def check(self, requests: Sequence[StreamRequest]) -> Sequence[Finding]:
        """Say for each stream whether there is one."""
        return [
            Finding(each.stream, ok=each.stream in self._streams, message="read by nobody but tests")
            for each in requests
        ]

    async def aclose(self) -> None:
        """Remember that it was closed."""
        self.is_closed = True
