"""One run at work: its lease as it advances, its counts, and the way it tells what it does.

Everything a run writes goes through ``write`` and ``close``. A dry run takes the same path and is only
previewed, so what it shows is what a real run would do. A commit is never cut in two: when the run is
told to stand down while one is under way, the commit ends first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from comporta.core.counts import Counts
from comporta.core.lease import Lease, Settlement, settle
from comporta.core.record import Key, Page, Rejected, Row, Shape, Value
from comporta.core.run import Run, RunState
from comporta.core.window import Request
from comporta.engine.run_log import RunLog, to_the_end
from comporta.errors import CommitOutcomeUnknown, LeaseLost
from comporta.ports.clock import Clock
from comporta.ports.events import Observer
from comporta.ports.guard import UNGUARDED, Guard
from comporta.ports.progress import LogLine, Progress
from comporta.ports.rows import Among
from comporta.ports.source import Reader
from comporta.ports.store import Batch, Committed, Ending, Store

COMMIT_TRIES = 5
"""How often a commit of unknown outcome is settled before the attempt ends."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the user set for a stream, as far as a run needs it."""

    overlap: timedelta
    margin: timedelta
    origin_text: str | None
    rejected_share: float
    deleted_share: float
    exact_rows_max: int
    batch_rows_max: int
    deletions_confirmed: bool = False
    hints: Mapping[str, str | None] = field(default_factory=dict)


class Work:
    """A run that holds its lease, with everything it needs."""

    def __init__(
        self, *, run: Run, request: Request, lease: Lease, reader: Reader, store: Store,
        clock: Clock, progress: Progress, observer: Observer, rules: Rules, log: RunLog,
        guard: Guard = UNGUARDED,
    ) -> None:  # fmt: skip
        self.run = run
        self.request = request
        self.lease = lease
        self.reader = reader
        self.store = store
        self.clock = clock
        self.progress = progress
        self.observer = observer
        self.rules = rules
        self._log = log
        self._guard = guard
        self.counts = Counts()
        self.beside: Mapping[str, object] = {}
        """What the last batch wrote beside what is counted, for its log line."""
        self.seen: set[Key] | None = None
        """The keys that this pass wrote, for a stream without stamps: that a row is here does not say how old it is."""

    @property
    def shape(self) -> Shape:
        """Return the shape of the stream."""
        return self.reader.shape

    @property
    def account(self) -> str:
        """Return the account whose rows are written."""
        return self.run.account

    @property
    def scope(self) -> str:
        """Return account/stream, also for a dry run, whose lease is for a scope of its own."""
        return f"{self.run.account}/{self.run.stream}"

    def tell(self, step: str, message: str, fields: Mapping[str, object] | None = None, *, level: str = "info") -> None:
        """Tell people one step; it is kept with the next transaction of the run."""
        self._log.tell(step, message, fields, level=level)

    def tell_line(self, line: LogLine) -> None:
        """Tell people one step that somebody below put into words."""
        self._log.tell_line(line)

    def tell_rejected(self, each: Rejected, *, level: str = "warning") -> None:
        """Tell which record cannot be written, or was not shown, and why."""
        fields = {"key": each.key, "reason": each.reason}
        self.tell("records_rejected", f"{each.key}: {each.reason}", fields, level=level)

    def tell_deleted(self, gone: Sequence[Key]) -> None:
        """Tell that rows are marked deleted."""
        fields = {"rows": len(gone), "keys": gone[:50]}
        self.tell("records_deleted", f"{len(gone)} rows are gone at the source", fields)

    def came_in(self, page: Page) -> set[str]:
        """Return the keys of the records of a page, of those that cannot be written too."""
        place = self.shape.index(self.shape.key)
        return {str(row[place]) for row in page.rows} | {each.key for each in page.rejected}

    async def here(self, keys: Sequence[Key]) -> Mapping[Key, str | None]:
        """Return the stamps of those of some records that are here."""
        return await self.store.stamps(self.account, self.shape, Among(keys=keys)) if keys else {}

    def batch(self, page: Page, *, overwrite: bool = False, **more: object) -> Batch:
        """Return the batch that writes a page."""
        rows = (page.rows, page.extras, page.rejected, page.limited, page.lookups, page.nested)
        batch = Batch(self.shape, *rows, overwrite=overwrite, untold=page.untold)
        return replace(batch, hints=self.rules.hints, **more)  # type: ignore[arg-type]  # Batch's own fields

    async def write(self, batch: Batch) -> Counts:
        """Commit a batch under the fence, or preview it; return what it counted."""
        batch = await self._filled(batch)
        if self.run.dry_run:
            counts, changes = await self.store.preview(self.account, batch)
            self.observer.changed(self.run, changes)
        else:
            await self._ask_guard()
            with self.progress.trace.span("batch", {"comporta.rows": len(batch.rows)}):
                async with self._log.kept() as lines:
                    batch = replace(batch, log=lines, requests=self.progress.requests)
                    committed = await self._commit(batch, None)
            counts = committed.counts
            self.beside = {"nested": dict(committed.nested)} if committed.nested else {}
        if self.seen is not None:
            place = batch.shape.index(batch.shape.key)
            self.seen.update(row[place] for row in batch.rows)  # type: ignore[misc]  # a key
        self.counts += counts
        self.progress.touch()
        return counts

    async def close(self, batch: Batch, ending: Ending) -> None:
        """End the run well: the last batch, the claim and the release are one transaction.

        A dry run claims nothing.
        """
        await self._ask_guard()
        async with self._log.kept() as before:
            self._tell_success()
            log = (*before, *await self._log.drain())  # that it succeeded is for this transaction or none
            ending = replace(ending, log=log, requests=self.progress.requests)
            if self.run.dry_run:
                await self.write(batch)
                told = Ending(ending.state, counts=self.counts, requests=ending.requests, log=ending.log)
                await self.store.finish(self.lease, told)
                return
            committed = await self._commit(replace(batch, requests=self.progress.requests), ending)
            self.counts += committed.counts

    def _tell_success(self) -> None:
        counts = self.counts
        said = f"{counts.read} read: {counts.inserted} new, {counts.updated} changed, {counts.unchanged} unchanged"
        self.tell("run_succeeded", f"{said}, {counts.rejected} rejected", counts.as_json())
        self._log.tell_line(released(self.lease))

    async def _filled(self, batch: Batch) -> Batch:
        """Return the batch with what the table has in place of what was not told: nobody else writes it meanwhile."""
        if not batch.untold:
            return batch
        names = sorted({name for each in batch.untold.values() for name in each})
        ours = await self.store.cells(self.account, self.shape, list(batch.untold), names)
        key = self.shape.index(self.shape.key)
        return replace(batch, rows=[_completed(self.shape, row, names, ours.get(row[key])) for row in batch.rows])  # type: ignore[arg-type]  # a key

    async def _ask_guard(self) -> None:
        """Stop here if somebody else's lock, which this run honours, is no longer ours."""
        if (line := await self._guard.check()) is not None:
            self.tell(line.step, line.message, line.fields, level=line.level)

    async def _commit(self, batch: Batch, ending: Ending | None) -> Committed:
        """Commit once, whatever happens to the answer; the fence makes the repetition safe."""
        for attempt in range(COMMIT_TRIES):
            try:
                committed = await to_the_end(self.store.commit(self.lease, batch, ending))
            except (CommitOutcomeUnknown, LeaseLost) as error:
                if attempt == 0 and isinstance(error, LeaseLost):
                    raise
                # Also when a repetition was refused: the first may have landed between our look and it.
                settlement = settle(self.lease, await self.store.scope_state(self.lease.scope))
                if settlement is Settlement.NOT_YET:
                    continue
                if settlement is Settlement.LOST:
                    message = f"{self.lease.scope}: epoch {self.lease.epoch} ended while a commit was under way"
                    raise LeaseLost(message) from error
                committed = await self._recovered()
            self.lease = committed.lease
            for line in committed.log:
                self.observer.stepped(self.run, line)
            return committed
        message = f"{self.lease.scope}: the outcome of a commit stayed unknown after {COMMIT_TRIES} tries"
        raise CommitOutcomeUnknown(message)

    async def _recovered(self) -> Committed:
        """Return what a commit did whose answer was lost: the run's row has counted it."""
        row = await self.store.run(self.run.id)
        counts = row.counts - self.counts if row is not None else Counts()
        return Committed(self.lease.advanced(), counts)


def _completed(shape: Shape, row: Row, names: Sequence[str], known: Sequence[Value] | None) -> Row:
    """Return a row with what is known where it says nothing."""
    if known is None:
        return row
    values = dict(zip((shape.index(name) for name in names), known, strict=True))
    return tuple(values.get(place) if value is None else value for place, value in enumerate(row))


def well(**claims: object) -> Ending:
    """Return the ending of a run that succeeded."""
    return Ending(RunState.SUCCEEDED, **claims)  # type: ignore[arg-type]  # Ending's own fields


def released(lease: Lease) -> LogLine:
    """Return the line that is written in the transaction that frees a lease."""
    return LogLine("info", "lease_released", f"epoch {lease.epoch}", {"epoch": lease.epoch})
