"""What one run tells people, from its first line on: heard at once by who watches, kept with its next transaction.

Nobody knows when that will be. So what comes up below the run, as that a request is sent again while a login is made,
is kept when it comes up, and what still waits when the heartbeat looks, by then. The order is that of the telling.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from comporta.core.lease import Lease
from comporta.core.run import Run
from comporta.errors import CommitOutcomeUnknown, ComportaError, LeaseLost
from comporta.ports.events import Observer
from comporta.ports.progress import LogLine, Progress
from comporta.ports.store import Store

T = TypeVar("T")


class RunLog:
    """The lines of one run that no transaction has kept yet."""

    def __init__(self, run: Run, lease: Lease, *, store: Store, progress: Progress, observer: Observer) -> None:
        self._run = run
        self._lease = lease
        self._store = store
        self._progress = progress
        self._observer = observer
        self._lines: list[LogLine] = []
        self._keeping = asyncio.Lock()

    def tell(self, step: str, message: str, fields: Mapping[str, object] | None = None, *, level: str = "info") -> None:
        """Tell one step."""
        self.tell_line(LogLine(level, step, message, fields or {}))

    def tell_line(self, line: LogLine) -> None:
        """Tell one step in a line that is made already."""
        self._lines.append(line)
        self._observer.stepped(self._run, line)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[Sequence[LogLine]]:
        """Yield the lines that the caller's transaction keeps; where that was refused, they wait for the next one."""
        lines = await self.drain()
        try:
            yield lines
        except (CommitOutcomeUnknown, LeaseLost):
            raise  # they may be kept, or are for nobody
        except ComportaError:
            self._put_back(lines)
            raise

    async def drain(self) -> Sequence[LogLine]:
        """Return what is to be kept, and forget it."""
        async with self._keeping:
            return self._taken()

    def _put_back(self, lines: Sequence[LogLine]) -> None:
        self._lines = [*lines, *self._lines]

    def keep_soon(self) -> None:
        """Keep what waits, if anything does, beside the work."""
        if self._lines:
            self._progress.has_news.set()

    @asynccontextmanager
    async def telling(self) -> AsyncIterator[None]:
        """Tell meanwhile what comes up below the run, and keep what waits."""
        telling = asyncio.ensure_future(self._tell_news())
        try:
            yield
        finally:
            telling.cancel()
            await asyncio.wait([telling])

    async def _tell_news(self) -> None:
        while True:
            await self._progress.has_news.wait()
            self._progress.has_news.clear()
            await self._keep()

    async def _keep(self) -> None:
        async with self._keeping:
            if lines := self._taken():
                try:
                    await to_the_end(self._store.tell(self._lease, lines))
                except ComportaError:
                    self._put_back(lines)

    def _taken(self) -> Sequence[LogLine]:
        while self._progress.told:
            self.tell_line(self._progress.told.popleft())
        lines, self._lines = tuple(self._lines), []
        return lines


async def to_the_end(write: Awaitable[T]) -> T:
    """Wait for a write even when cancelled meanwhile; the cancellation follows it."""
    task = asyncio.ensure_future(write)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        task.exception()  # whoever ends the run finds out by the fence
        raise
