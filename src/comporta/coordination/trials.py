"""Trials: the same records read one page after another and several at once, dry, to compare time and data.

What is compared is what the source gave: each record's key and a hash over all of its fields, taken as the pages
pass by. The database is not asked, so a trial says nothing of rows that differ from it.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import blake2b
from typing import Any, cast

from comporta.coordination.plans import AccountPlan
from comporta.coordination.sync import Syncer, Wish
from comporta.core.record import Key, Page
from comporta.core.run import Run, RunState, Trigger
from comporta.core.window import Kind, Request
from comporta.errors import ComportaError
from comporta.ports.clock import Clock
from comporta.ports.progress import Progress
from comporta.ports.source import Finding, Reader, Source, StreamRequest

REST = 1.1
"""Spans of the limit that pass before each trial, so that none waits for the requests of the one before."""
REST_MAX = timedelta(seconds=10)
"""Nobody waits an hour for a limit of so many in an hour to be free."""
Seen = dict[Key, bytes]


@dataclass(frozen=True, slots=True)
class Trial:
    """One way of reading: how it ended, and a hash for each record it saw. ``None`` in flight is automatic."""

    in_flight: int | None
    run: Run
    seen: Seen = field(repr=False)

    def as_json(self) -> dict[str, object]:
        """Return the object ``sequential`` or ``parallel`` of docs/reference/commands.md."""
        run = self.run
        rates = cast("dict[str, object]", run.as_json()["rates"])
        return {
            "concurrency": self.in_flight,
            "state": run.state.value,
            "records": run.counts.read,
            "duration_s": run.duration_s,
            "records_per_s": rates["records_per_s"],
            "requests": run.requests_sent,
            "throttled": run.requests_throttled,
            "limit": run.limit,
            "limit_used": run.limit_used,
            "run": run.id,
            "error": run.error,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both ways at one size."""

    size: int
    sequential: Trial
    parallel: Trial

    @property
    def has_ended_well(self) -> bool:
        """Say whether both ways came to their end."""
        return all(each.run.state is RunState.SUCCEEDED for each in (self.sequential, self.parallel))

    @property
    def different(self) -> int:
        """Return how many records one way saw and the other did not, or saw otherwise."""
        one, other = self.sequential.seen, self.parallel.seen
        return sum(one.get(key) != other.get(key) for key in one.keys() | other.keys())

    @property
    def is_identical(self) -> bool:
        """Say whether both ways saw the same records, field by field."""
        return self.has_ended_well and not self.different

    @property
    def speedup(self) -> float | None:
        """Return how many times as fast the parallel way was."""
        slow, fast = self.sequential.run.duration_s, self.parallel.run.duration_s
        return round(slow / fast, 2) if slow and fast else None

    def as_json(self) -> dict[str, object]:
        """Return one of ``comparisons`` of docs/reference/commands.md."""
        return {
            "size": self.size,
            "sequential": self.sequential.as_json(),
            "parallel": self.parallel.as_json(),
            "identical": self.is_identical,
            "different": self.different,
            "speedup": self.speedup,
        }


async def compared(
    syncer: Syncer, account: AccountPlan, stream: str, sizes: Sequence[int], *, in_flight: int | None, clock: Clock
) -> list[Comparison]:
    """Read the first records of a stream dry, one page after another and then several at once, at each size."""
    with suppress(ComportaError):  # the first trial tells of it
        reader = await account.source.read(account.streams[stream].request, Progress(clock, scope=account.name))
        await reader.clock()  # connects and logs in, which only the first way would pay for

    async def trial(size: int, concurrency: int | None) -> Trial:
        rate = account.budget.rate if account.budget is not None else None
        if rate is not None:
            await clock.sleep(min(rate[1] * REST, REST_MAX))
        plan, seen = watched(account, size)
        wish = Wish(Request(Kind.FULL, max_records=size), dry_run=True, concurrency=concurrency)
        runs = await syncer.run_one(account.name, stream, wish, Trigger.MANUAL, instead=plan)
        return Trial(concurrency, runs[-1], seen)

    return [Comparison(size, await trial(size, 1), await trial(size, in_flight)) for size in sizes]


def watched(account: AccountPlan, size: int) -> tuple[AccountPlan, Seen]:
    """Return the account with a source that keeps a hash of the first ``size`` records, and where it keeps them."""
    seen: Seen = {}
    return replace(account, source=_WatchedSource(account.source, seen, size)), seen


class _WatchedSource:
    """A source whose readers are watched."""

    def __init__(self, source: Source, seen: Seen, size: int) -> None:
        self._source = source
        self._seen = seen
        self._size = size

    async def read(self, request: StreamRequest, progress: Progress) -> Reader:
        self._seen.clear()  # another attempt begins anew
        return cast("Reader", _WatchedReader(await self._source.read(request, progress), self._seen, self._size))

    async def check(self, requests: Sequence[StreamRequest]) -> Sequence[Finding]:
        return await self._source.check(requests)

    async def aclose(self) -> None:
        """Leave it open: the source is the account's."""


class _WatchedReader:
    """A reader whose pages are looked at as they pass; in everything else the reader itself."""

    def __init__(self, reader: Reader, seen: Seen, size: int) -> None:
        self._reader = reader
        self._seen = seen
        self._size = size

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  whatever the reader has
        return getattr(self._reader, name)

    async def pages(self, **bounds: Any) -> AsyncGenerator[Page, None]:  # noqa: ANN401  the reader's own
        place = self._reader.shape.index(self._reader.shape.key)
        async with aclosing(self._reader.pages(**bounds)) as pages:
            async for page in pages:
                for number, row in enumerate(page.rows[: self._size - len(self._seen)]):
                    told = repr((row, page.extras.get(number))).encode()
                    self._seen[cast("Key", row[place])] = blake2b(told, digest_size=16).digest()
                yield page
