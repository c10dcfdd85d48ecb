"""Bringing streams up to date: accounts side by side, the streams of one account too where none needs another.

For each stream: the run that was asked, tried again with backoff; then the holes, as runs of their own,
so that a hole that keeps failing never starves fresh data; then what earlier runs left in the queue, the
children of changed parents, and a reconciliation when one is due. Every step is a run with its own
lease, counts and line in the history. One account that hangs delays no other: they share nothing but
the workers, and those fairly (core.fairness).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from secrets import token_hex

from comporta.coordination.execute import Executor
from comporta.coordination.following import Following
from comporta.coordination.legacy_locks import Denied
from comporta.coordination.plans import AccountPlan, Child, Conduct, StreamPlan
from comporta.coordination.sleeping import slept
from comporta.coordination.workers import Workers
from comporta.core.instant import instant_text
from comporta.core.retry import FOREGROUND_WAIT_MAX
from comporta.core.run import TERMINAL, Run, RunState, Trigger, run_name
from comporta.core.ticket import Ticket
from comporta.core.window import GIVEN, Kind, Request
from comporta.errors import Busy, ComportaError, LeaseLost, Retryable, TooManyDeleted, UnknownAccount
from comporta.ports.clock import Clock
from comporta.ports.events import Observer
from comporta.ports.progress import LogLine
from comporta.ports.store import Occupied, Store

POLL = timedelta(seconds=1)
"""How often a waiting run looks whether the scope is free."""
OURS = timedelta(seconds=15)
"""For so long a run that this process queues, to begin it itself, is due for no other; it is said again in time."""
FOLLOWED = frozenset({RunState.FAILED, RunState.TIMED_OUT, RunState.LOST})
"""Ends after which a successor may be queued that this very sync goes on with. A process that was starved of time
finds its run lost, and is the one that can take it up again."""
LOOKS_MAX = 3
"""Runs in a row for what is told of while another looks; a sync ends, and where more comes a server goes on."""
Queued = Callable[[], Awaitable[tuple[Run, bool]]]
"""Gives a queued run, and says whether it is of this sync's own making and nobody else waits for it."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a sync was asked for, the same for every stream of it; ``concurrency`` is stronger than the settings'."""

    request: Request
    dry_run: bool = False
    wait: bool = False
    deletions_confirmed: bool = False
    concurrency: int | None = None
    trigger: Trigger = Trigger.MANUAL


class Syncer:
    """Runs syncs in this process."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        observer: Observer,
        conduct: Conduct,
        executor: Executor,
        accounts: Mapping[str, AccountPlan],
    ) -> None:
        self._store = store
        self._clock = clock
        self._observer = observer
        self._executor = executor
        self._accounts = accounts
        self._following = Following(store, clock, conduct)
        self.workers = Workers(conduct.workers, clock, known=accounts)

    async def sync(self, targets: Sequence[tuple[str, str]], wish: Wish) -> list[Run]:
        """Bring every target (account, stream) up to date and return the runs, in order of account."""
        by_account: dict[str, list[str]] = {}
        for account, stream in targets:
            by_account.setdefault(account, []).append(stream)
        plans = {account: self._plan(account) for account in by_account}
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._account(plans[account], streams, wish))
                for account, streams in by_account.items()
            ]
        return [run for task in tasks for run in task.result()]

    async def run_one(
        self, account: str, stream: str, wish: Wish, trigger: Trigger, *, instead: AccountPlan | None = None
    ) -> list[Run]:
        """Run one request on one stream, with its retries, and nothing that follows; ``instead`` of the plan known."""
        plan = instead or self._plan(account)
        ticket = Ticket(account, stream, wish.request, trigger, dry_run=wish.dry_run)
        with self.workers.at_work(account):
            return await self._attempts(plan, plan.streams[stream], ticket, wish)

    def _plan(self, account: str) -> AccountPlan:
        """Return an account's plan; one may be removed between somebody's look and this."""
        plan = self._accounts.get(account)
        if plan is None:
            raise UnknownAccount(f"there is no account {account!r} any more")
        return plan

    async def _account(self, account: AccountPlan, streams: Sequence[str], wish: Wish) -> list[Run]:
        with self.workers.at_work(account.name):
            lanes: dict[str, list[str]] = {}
            for name in streams:
                lanes.setdefault(account.lanes.get(name, ""), []).append(name)
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._in_order(account, lane, wish)) for lane in lanes.values()]
        return [run for task in tasks for run in task.result()]

    async def _in_order(self, account: AccountPlan, streams: Sequence[str], wish: Wish) -> list[Run]:
        runs: list[Run] = []
        for place, name in enumerate(streams):
            if self._executor.stopping.is_set():
                break
            stream = account.streams[name]
            try:
                await self._stream(account, stream, wish, runs)
                for child in () if wish.dry_run else stream.children:
                    if child.stream in account.streams and child.stream not in streams[place:]:
                        runs += await self._told_of(account, child, wish)
            except ComportaError as error:
                # The ledger itself failed: this stream ends, the others and the other accounts go on.
                runs.append(self._unrecorded(account, stream, wish, error))
        return runs

    async def _stream(self, account: AccountPlan, stream: StreamPlan, wish: Wish, runs: list[Run]) -> None:
        """Do all that a sync of one stream asks for, appending each run as it ends."""
        ticket = Ticket(account.name, stream.name, wish.request, wish.trigger, dry_run=wish.dry_run)
        runs += await self._attempts(account, stream, ticket, wish)
        if wish.dry_run or wish.request.max_records is not None or runs[-1].state is not RunState.SUCCEEDED:
            return
        again = replace(wish, request=Request())
        if wish.request.kind not in GIVEN and await self._following.is_behind(account, stream, runs[-1]):
            ticket = Ticket(account.name, stream.name, Request(), Trigger.CATCH_UP)
            runs += await self._attempts(account, stream, ticket, again)
        filled = await self._holes(account, stream, again) if wish.request.kind is Kind.INCREMENTAL else []
        runs += filled
        runs += await self._adopted(account, stream, again)
        runs += await self._hinted(account, stream, again)
        is_filled = any(run.state is RunState.SUCCEEDED for run in filled)
        if await self._following.is_reconcile_due(account, stream, filled=is_filled):
            ticket = Ticket(account.name, stream.name, Request(Kind.RECONCILE), Trigger.RECONCILE)
            runs += await self._attempts(account, stream, ticket, replace(again, deletions_confirmed=False))

    def _unrecorded(self, account: AccountPlan, stream: StreamPlan, wish: Wish, error: ComportaError) -> Run:
        """Return the failed run of a stream whose run could not be recorded."""
        run = Run(
            id=self._new_id(),
            scope=f"{account.name}/{stream.name}",
            account=account.name,
            stream=stream.name,
            state=RunState.FAILED,
            trigger=wish.trigger,
            request=wish.request.text,
            dry_run=wish.dry_run,
            queued_at=self._clock.now(),
            finished_at=self._clock.now(),
            error=error.as_json(),
        )
        self._observer.ended(run)
        return run

    def _new_id(self) -> str:
        return run_name(self._clock.now(), token_hex(4))

    async def _holes(self, account: AccountPlan, stream: StreamPlan, wish: Wish) -> list[Run]:
        runs: list[Run] = []
        for request in await self._following.holes(account, stream):
            ticket = Ticket(account.name, stream.name, request, Trigger.CATCH_UP)
            runs += await self._attempts(account, stream, ticket, wish)
        return runs

    async def _adopted(self, account: AccountPlan, stream: StreamPlan, wish: Wish) -> list[Run]:
        """Adopt what earlier processes left in the queue of this stream."""
        runs: list[Run] = []
        for run in await self._store.queued(f"{account.name}/{stream.name}"):
            if run.not_before is None or run.not_before <= self._clock.now():
                runs += await self._attempts_of(account, stream, _known(run), wish)
        return runs

    async def _hinted(self, account: AccountPlan, stream: StreamPlan, wish: Wish) -> list[Run]:
        """Look at what hints tell of, children of changed parents among it; what tells of a paused stream waits.

        What is told while a run looks is for the next one, at once; but no sync goes on for ever.
        """
        runs: list[Run] = []
        ticket = Ticket(account.name, stream.name, Request(Kind.NOTIFICATION), Trigger.NOTIFICATION)
        for _ in range(LOOKS_MAX):
            has_failed = bool(runs) and runs[-1].state is not RunState.SUCCEEDED
            if has_failed or not await self._following.has_hints(account, stream):
                break
            runs += await self._attempts(account, stream, ticket, wish)
        return runs

    async def _told_of(self, account: AccountPlan, child: Child, wish: Wish) -> list[Run]:
        """Look at what the rows of a stream tell of in another.

        Where they name all that it has, and it was never loaded, it is: else that would read everything once more.
        """
        stream = account.streams[child.stream]
        if not await self._following.is_to_be_loaded(account, child):
            return await self._hinted(account, stream, wish)
        ticket = Ticket(account.name, child.stream, Request(), Trigger.NOTIFICATION)
        return await self._attempts(account, stream, ticket, wish)

    async def _attempts(self, account: AccountPlan, stream: StreamPlan, ticket: Ticket, wish: Wish) -> list[Run]:
        async def queued() -> tuple[Run, bool]:
            run_id = self._new_id()
            run = await self._store.enqueue(replace(ticket, not_before=self._store.now() + OURS), run_id=run_id)
            return run, run.id == run_id

        runs = await self._attempts_of(account, stream, queued, wish)
        if wish.deletions_confirmed and _wants_confirmation(runs[-1]):  # somebody else did what was joined
            runs += await self._attempts_of(account, stream, queued, wish)
        return runs

    async def _attempts_of(self, account: AccountPlan, stream: StreamPlan, queued: Queued, wish: Wish) -> list[Run]:
        """Execute a queued run, and its successors after their backoff."""
        runs: list[Run] = []
        following: Queued | None = queued
        while following is not None:
            ended = await self._execute(account, stream, following, wish)
            runs.append(ended)
            successor = await self._next_attempt(ended)
            following = _known(successor) if successor is not None else None
        return runs

    async def _next_attempt(self, ended: Run) -> Run | None:
        """Wait for the successor's time and return it; ``None`` if there is none, it is far off or we are stopping."""
        if ended.state not in FOLLOWED or self._executor.stopping.is_set():
            return None
        waiting = await self._store.queued(ended.scope)
        successor = next((run for run in waiting if run.request == ended.request), None)
        if successor is None:
            return None
        delay = max((successor.not_before or self._clock.now()) - self._clock.now(), timedelta())
        if ended.state is RunState.LOST:  # of the others the executor has told
            self._observer.retrying(ended, delay, successor.attempt)
        return successor if delay <= FOREGROUND_WAIT_MAX and await self._waited(delay) else None

    async def _waited(self, delay: timedelta) -> bool:
        return await slept(self._clock, delay, self._executor.stopping)

    async def _execute(self, account: AccountPlan, stream: StreamPlan, queued: Queued, wish: Wish) -> Run:
        """Execute a run; wait for a held scope if that was asked, else end it as skipped.

        It is queued when there is a place for it, and not before: a server on this database would take it, and what
        was asked for this sync alone (a preview, pages in flight, a confirmation) would be lost.
        """
        if wish.concurrency is not None:
            stream = replace(stream, request=replace(stream.request, concurrency=wish.concurrency))
        asked: tuple[Run, bool] | None = None
        told, ours_since = False, self._clock.monotonic()
        while True:
            async with self.workers.place(account.name):
                run, is_ours = asked = asked or await queued()
                answer = await self._answer(run, account, stream, wish)
            if isinstance(answer, Run):
                return answer
            if answer is None or (isinstance(answer, Occupied) and answer.holder == run.id):
                return await self._followed(run)
            if not told:
                await self._tell_busy(run, answer, waiting=wish.wait)
                told = True
            if not wish.wait or not await self._waited(POLL):
                return await self._skip(run, answer, is_ours=is_ours)
            if is_ours and self._clock.monotonic() - ours_since > OURS.total_seconds() / 3:
                ours_since = self._clock.monotonic()
                with suppress(Retryable):  # the next time, then
                    await self._store.put_off(run.id, self._store.now() + OURS)

    async def _answer(
        self, run: Run, account: AccountPlan, stream: StreamPlan, wish: Wish
    ) -> Run | Occupied | Denied | None:
        """Execute a queued run; ``None`` when somebody else took this very run out of the queue before."""
        try:
            return await self._executor.execute(run, account, stream, deletions_confirmed=wish.deletions_confirmed)
        except LeaseLost:
            return None

    async def _followed(self, run: Run) -> Run:
        """Return how a run ended that another process executes, or how it stands when we are told to stop."""
        while True:
            now = await self._store.run(run.id)
            if now is None:  # whoever removes an account removes what waits for it
                gone = UnknownAccount(f"{run.scope}: run {run.id} was removed while it waited, with its account")
                return replace(run, state=RunState.SKIPPED, error=gone.as_json())
            if now.state in TERMINAL or not await self._waited(POLL):
                return now

    async def _tell_busy(self, run: Run, answer: Occupied | Denied, *, waiting: bool) -> None:
        if isinstance(answer, Occupied):
            self._observer.busy(run, answer, waiting=waiting)
            line = LogLine("info", "run_queued", f"waits for run {answer.holder}", {"holder": answer.holder})
        else:
            line = LogLine("warning", "legacy_lock_awaited", answer.error.message, answer.error.as_json())
            if waiting:
                self._observer.stepped(run, line)
        if waiting:  # else the end of the run says it
            with suppress(Retryable):  # the run is what counts, and may yet be done
                await self._store.note(run.id, [line])

    async def _skip(self, run: Run, answer: Occupied | Denied, *, is_ours: bool) -> Run:
        """Return the run as skipped; in the ledger too, unless somebody else waits for it or executes it."""
        error = (answer.error if isinstance(answer, Denied) else _busy(answer)).as_json()
        skipped = await self._store.skip(run, error) if is_ours else run
        if skipped.state in {RunState.QUEUED, RunState.RUNNING}:
            skipped = replace(skipped, state=RunState.SKIPPED, error=error)
        self._observer.ended(skipped)
        return skipped


def _wants_confirmation(run: Run) -> bool:
    return run.error is not None and run.error["code"] == TooManyDeleted.code


def _known(run: Run) -> Queued:
    """Return the way to a run that somebody queued before."""

    async def queued() -> tuple[Run, bool]:
        return run, False

    return queued


def _busy(occupied: Occupied) -> Busy:
    since = f" since {instant_text(occupied.since)}" if occupied.since else ""
    return Busy(
        f"{occupied.scope} is held by run {occupied.holder}{since} on {occupied.instance or 'an unknown instance'};"
        f" its lease runs until {instant_text(occupied.expires_at)} unless it is renewed"
    )
