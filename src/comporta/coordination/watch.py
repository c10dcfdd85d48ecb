"""The watch: every half minute it looks, lets there be the alerts that there should be, and tells people.

It must work when other things do not. Each look is bounded in time; so is each channel. When the database does not
answer or takes no writes, the book of alerts is not there either: then this process keeps in memory that the database
fails (and what it knows of disk and channels), tells it once, and tells when it is over; the notebook keeps that over
a restart. What it knows of streams waits: whatever is wrong with them, the database is the cause. Several processes on
one database each tell that it fails, for there is nowhere to agree; everything else is told by one of them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from comporta.coordination.telling import Teller
from comporta.core.alert import Alert, Kind, Wanted
from comporta.core.alert_facts import AlertBounds, AlertFacts, StreamFact, Trouble
from comporta.core.alert_history import History
from comporta.core.alert_letter import letter_of
from comporta.core.alert_settling import QuietHours, claimed, confirmed, given_back, settle, to_tell
from comporta.core.alerts import JUMP_TOLD, keeps, wanted
from comporta.core.coverage import Coverage
from comporta.core.instant import BEGINNING
from comporta.core.language import Language
from comporta.errors import ComportaError, Retryable
from comporta.observability.log import Log
from comporta.ports.alerts import AlertBook, Notebook, Settlement, Sight
from comporta.ports.clock import Clock

EVERY = timedelta(seconds=30)
LOOK_S = 20.0
"""For one look at the database, and for one settlement: what takes longer counts as no answer."""
LETTER = timedelta(seconds=2)
"""How much longer a look may take when the process is to end: for a letter that a channel is taking."""
HISTORY = 20
"""Runs of a stream that are looked at, beyond those that must have brought nothing."""
NO_ANSWER = "CMP-DB-001"
Pauses = Callable[[], Awaitable[Mapping[str, tuple[float, str]]]]
Disk = Callable[[], Awaitable[tuple[str, int]]]


@dataclass(frozen=True, slots=True)
class Promised:
    """A stream that is synced by a schedule."""

    account: str
    stream: str
    interval: timedelta
    origin: datetime = BEGINNING
    is_guarded: bool = False


@dataclass(frozen=True, slots=True)
class Ways:
    """How people want to be told; ``database_silent`` is how long a database may fail to answer before they are."""

    language: Language = Language.PT
    zone: tzinfo = UTC
    quiet: QuietHours | None = None
    bounds: AlertBounds = field(default_factory=AlertBounds)
    margin: timedelta = timedelta()
    database_silent: timedelta = timedelta(minutes=1)


@dataclass(slots=True)
class _Jump:
    """How this machine's clock moved against its own run: what it showed at the last look, and the last jump."""

    instant: datetime
    monotonic_s: float
    jump_s: float = 0.0
    at: datetime | None = None


class Watch:
    """Looks, settles and tells until told to stop."""

    def __init__(
        self,
        *,
        book: AlertBook,
        notebook: Notebook,
        teller: Teller,
        streams: Callable[[], Sequence[Promised]],
        pauses: Pauses,
        disk: Disk,
        legacy_silence: Callable[[], Awaitable[ComportaError | None]],
        away: Callable[[], ComportaError | None],
        ways: Ways,
        clock: Clock,
        machine: str,
        machine_clock: Clock,
        log: Log,
    ) -> None:
        self._book = book
        self._notebook = notebook
        self._teller = teller
        self._streams = streams
        self._pauses = pauses
        self._disk = disk
        self._legacy_silence = legacy_silence
        self._away = away
        self._ways = ways
        self._clock = clock
        self._machine = machine
        self._machine_clock = machine_clock
        self._log = log
        self._began_s = clock.monotonic()
        self._jump = _Jump(machine_clock.now(), machine_clock.monotonic())
        self._newest: dict[str, str] = {}
        self._histories: dict[str, History] = {}
        self._memory: dict[str, Alert] = {}
        self._kept: dict[str, Alert] | None = None
        self._is_kept = False
        self._failing_since: datetime | None = None
        self._silent_since: datetime | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        """Look every half minute; a fault of the watch is told to the log, and ends nothing else."""
        stopped = asyncio.ensure_future(stopping.wait())
        try:
            while not stopped.done():
                fault = await self._fault_of_a_look(stopped)
                if fault is not None:
                    self._log.write("error", "alerts_not_kept", {"error": f"{type(fault).__name__}: {fault}"})
                await self._wait(EVERY, stopped)
        finally:
            stopped.cancel()

    async def _fault_of_a_look(self, stopped: "asyncio.Future[Any]") -> BaseException | None:
        """Look once, and cut the look short when the process is to end: a channel may take a minute.

        What it had claimed is told by the next process, when the claim has run out.
        """
        looking = asyncio.ensure_future(self.look())
        try:
            await asyncio.wait({looking, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not looking.done():
                await self._wait(LETTER, looking)
        finally:
            looking.cancel()
        await asyncio.wait({looking})
        return None if looking.cancelled() else looking.exception()

    async def _wait(self, duration: timedelta, other: "asyncio.Future[Any]") -> None:
        """Wait, and no longer than for something else."""
        sleeping = asyncio.ensure_future(self._clock.sleep(duration))
        try:
            await asyncio.wait({sleeping, other}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()

    async def look(self) -> None:
        """Look once; whatever fails in it is an alert, or is told to the log, and the next look tries again."""
        if self._kept is None:
            self._memory = self._kept = {each.key: each for each in await self._notebook.read()}
            self._is_kept = bool(self._memory)
        await self._look()
        if self._kept != self._memory:
            await self._keep()

    async def _keep(self) -> None:
        self._kept, self._is_kept = self._memory, await self._notebook.keep(list(self._memory.values()))

    async def _hear_of_others(self) -> None:
        """Go by the notebook where another process of this machine tells, or has told, that something is over.

        What a channel did each process knows for itself.
        """
        if not self._is_kept:
            return
        told = {each.key: each for each in await self._notebook.read()}
        left = {key: each for key, each in self._memory.items() if key in told or each.kind is Kind.CHANNEL}
        self._memory = self._kept = {key: told[key] if _is_ending(told.get(key)) else left[key] for key in left}

    async def _look(self) -> None:
        facts = await self._facts()
        try:
            settlement = await self._settled(await self._with_ledger(facts))
        except (ComportaError, TimeoutError) as error:
            # Who waits for a database that is away hears nothing of it; whoever tried to connect knows why.
            trouble = self._trouble(self._away() or error, facts.now)
            if trouble is not None:  # else the book is back soon, and knows what was told
                await self._without_book(replace(facts, database=trouble))
            return
        self._failing_since = None
        self._say(settlement)
        await self._tell(settlement.claimed)
        await self._forget_memory(facts)

    async def _facts(self) -> AlertFacts:
        """Return what is known without the database."""
        facts = AlertFacts(
            now=self._clock.now(),
            machine=self._machine,
            channels=self._teller.troubles,
            clock_jump_s=self._clock_jump(),
        )
        facts = replace(facts, legacy_lock=await self._legacy_trouble(facts.now))
        try:
            async with asyncio.timeout(LOOK_S):
                where, free_mb = await self._disk()
        except (OSError, TimeoutError):
            return facts
        return replace(facts, disk=where, disk_free_mb=free_mb)

    async def _legacy_trouble(self, now: datetime) -> Trouble | None:
        """Return that what an older program reads too has waited for its Redis for longer than a restart takes."""
        error = await self._legacy_silence()
        if error is None:
            self._silent_since = None
            return None
        self._silent_since = self._silent_since or now
        has_lasted = now - self._silent_since >= self._ways.database_silent
        return Trouble(error.code, error.message, error.next_step, self._silent_since) if has_lasted else None

    async def _with_ledger(self, facts: AlertFacts) -> AlertFacts:
        known = self._away()
        if known is not None:  # to wait for it would only make people hear of it later
            raise known.with_traceback(None)
        async with asyncio.timeout(LOOK_S):
            depth = self._ways.bounds.empty_runs + HISTORY
            promised = self._streams()
            scopes = [f"{each.account}/{each.stream}" for each in promised]
            sight = await self._book.look(self._newest, scopes, depth=depth)
            pauses = await self._pauses()
        if self._failing_since is not None and sight.now - self._failing_since >= self._ways.database_silent:
            self._began_s = self._clock.monotonic()  # others need as long as after a start to catch up, or to be seen
        self._newest = dict(sight.newest)
        self._histories |= sight.histories
        streams = [self._stream(each, sight) for each in promised if each.account not in sight.paused]
        return replace(
            facts,
            now=sight.now,
            up_for=timedelta(seconds=self._clock.monotonic() - self._began_s),
            streams=streams,
            logins=sight.logins,
            granted=sight.granted,
            pauses=pauses,
            scheduler=sight.scheduler,
        )

    def _stream(self, each: Promised, sight: Sight) -> StreamFact:
        scope = f"{each.account}/{each.stream}"
        coverage = sight.coverage.get(scope, Coverage())
        offset_s = sight.clock_offsets.get(scope)
        uncovered = coverage.first_uncovered(each.origin)
        source_now = sight.now + timedelta(seconds=offset_s or 0.0)
        waiting, lately = sight.quarantined.get(scope, (0, 0))
        return StreamFact(
            account=each.account,
            stream=each.stream,
            interval=each.interval,
            margin=self._ways.margin,
            freshness=source_now - uncovered if uncovered > each.origin else None,
            holes=coverage.holes(each.origin),
            running=sight.running.get(scope),
            history=self._histories.get(scope, History()),
            quarantined=waiting,
            quarantined_lately=lately,
            clock_offset_s=offset_s,
            is_guarded=each.is_guarded,
        )

    async def _settled(self, facts: AlertFacts) -> Settlement:
        bounds = self._ways.bounds
        async with asyncio.timeout(LOOK_S):
            return await self._book.settle(
                wanted(facts, bounds, self._ways.language),
                keeps=lambda row: keeps(row, facts, bounds),
                told=[each for each in self._memory.values() if each.told_at is not None],
                quiet=self._ways.quiet,
                is_telling=self._teller.can_tell,
                over_after=bounds.over_after,
            )

    async def _tell(self, claims: Sequence[Alert]) -> None:
        """Tell what this process claimed, and keep that it was told."""
        if not claims:
            return
        is_told = await self._told(claims)
        try:
            async with asyncio.timeout(LOOK_S):
                await self._book.confirm(claims, is_told=is_told)
        except (ComportaError, TimeoutError) as error:
            # The claim stands as it is; it runs out by itself, and then somebody tells again.
            self._log.write("warning", "alerts_not_kept", {"error": str(error) or "no answer"})

    async def _told(self, alerts: Sequence[Alert]) -> bool:
        letter = letter_of(alerts, self._ways.language, self._ways.zone)
        is_told = await self._teller.tell(letter)
        event = "alerts_told" if is_told else "alerts_not_told"
        self._log.write("info" if is_told else "error", event, {"keys": [each.key for each in alerts]})
        return is_told

    async def _without_book(self, facts: AlertFacts) -> None:
        """Do with the memory what the book would do, for what is known without it."""
        house = wanted(facts, self._ways.bounds, self._ways.language)
        await self._settle_memory(house, facts)

    async def _forget_memory(self, facts: AlertFacts) -> None:
        """Forget what is in the book by now; tell of the rest that it is over: the database, and what ended before."""
        if not self._memory:
            return
        try:
            async with asyncio.timeout(LOOK_S):
                rows = {each.key: each for each in await self._book.alerts(is_all=True)}
        except (ComportaError, TimeoutError) as error:
            self._log.write("warning", "alerts_not_kept", {"error": str(error) or "no answer"})
            return
        self._memory = {key: each for key, each in self._memory.items() if not _holds(rows.get(key), each)}
        if self._memory:
            await self._settle_memory([], facts)

    async def _settle_memory(self, house: Sequence[Wanted], facts: AlertFacts) -> None:
        now = facts.now
        await self._hear_of_others()
        known = list(self._memory.values())
        bounds = self._ways.bounds
        settled = settle(known, house, now, keeps=lambda row: keeps(row, facts, bounds), over_after=bounds.over_after)
        self._say(Settlement(settled.opened, settled.updated, settled.closed))
        changed = (*settled.opened, *settled.updated, *settled.closed)
        rows = {**self._memory, **{each.key: each for each in changed}}
        telling = to_tell(list(rows.values()), now, self._ways.quiet) if self._teller.can_tell else []
        claims = [claimed(each, now) for each in telling]
        if any(not each.is_open for each in claims):
            self._memory = rows | {each.key: each for each in claims}
            await self._keep()
        is_told = bool(claims) and await self._told(claims)
        rows |= {each.key: confirmed(each) if is_told else given_back(each) for each in claims}
        self._memory = {key: each for key, each in rows.items() if each.is_open or _is_to_be_ended(each)}

    def _trouble(self, error: ComportaError | TimeoutError, now: datetime) -> Trouble | None:
        """Return what is wrong with the database, ``None`` while it may pass by itself."""
        self._failing_since = self._failing_since or now
        if isinstance(error, ComportaError):
            trouble = Trouble(error.code, error.message, error.next_step, self._failing_since)
        else:
            trouble = Trouble(NO_ANSWER, f"the database gave no answer within {LOOK_S:g} s", "", self._failing_since)
        is_passing = isinstance(error, Retryable | TimeoutError)
        has_lasted = now - self._failing_since >= self._ways.database_silent
        self._log.write("warning", "alerts_not_kept", {"error": trouble.message})
        return trouble if has_lasted or not is_passing else None

    def _clock_jump(self) -> float:
        """Return by how much this machine's clock jumped in the last hour."""
        now, monotonic_s = self._machine_clock.now(), self._machine_clock.monotonic()
        jump_s = (now - self._jump.instant).total_seconds() - (monotonic_s - self._jump.monotonic_s)
        known = self._jump
        if abs(jump_s) > self._ways.bounds.clock_apart.total_seconds():
            known = _Jump(now, monotonic_s, jump_s, now)
        elif known.at is not None and not timedelta() <= now - known.at < JUMP_TOLD:
            known = _Jump(now, monotonic_s)
        self._jump = replace(known, instant=now, monotonic_s=monotonic_s)
        return self._jump.jump_s

    def _say(self, settlement: Settlement) -> None:
        for event, alerts in (("alert_opened", settlement.opened), ("alert_closed", settlement.closed)):
            for each in alerts:
                fields = {"key": each.key, "account": each.account, "stream": each.stream, "message": each.message}
                self._log.write("warning" if event == "alert_opened" else "info", event, fields)


def _is_to_be_ended(row: Alert) -> bool:
    """Say whether people heard of it and not yet, as far as is known, that it is over."""
    return row.told_at is not None and (row.told_closed_at is None or row.is_sending)


def _is_ending(row: Alert | None) -> bool:
    """Say whether somebody is telling that it is over."""
    return row is not None and not row.is_open and row.is_sending


def _holds(row: Alert | None, remembered: Alert) -> bool:
    """Say whether the end of what is remembered is told by the book: its row is open, or closed only since."""
    return row is not None and (row.is_open or row.updated_at >= remembered.opened_at)
