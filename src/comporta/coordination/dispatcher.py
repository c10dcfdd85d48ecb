"""The dispatcher: takes runs out of the queue and has them executed, as many at once as there are workers.

Any number of them may run on one database: whoever takes the lease first executes a run, and the others find it gone.
A place is waited for by an account, not by a run: when it is given, the most urgent run of the account takes it, so
that what a person asks for does not stand behind what was due before. Nor does it wait for what runs: it has places of
its own besides, a few. What follows a run is put into the queue.

When the process ends, what runs is handed over; what is queued waits for the next process.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta

from comporta.coordination.execute import Executor
from comporta.coordination.following import Following
from comporta.coordination.legacy_locks import Denied
from comporta.coordination.plans import AccountPlan
from comporta.coordination.workers import Workers
from comporta.core.run import Run, Trigger
from comporta.core.window import Kind, parse_request
from comporta.errors import ComportaError, LeaseLost, UnknownAccount
from comporta.observability.log import Log
from comporta.ports.clock import Clock
from comporta.ports.events import Observer
from comporta.ports.progress import LogLine
from comporta.ports.store import Occupied, Store

POLL = timedelta(seconds=1)
"""How often it is looked whether another process queued a run, or one has waited for long enough."""
HELD_S = 2.0
"""How long a stream that another process holds is left alone."""
DENIED_S = 15.0
"""And one whose older program holds its key."""
DUE_MAX = 1_000
"""Queued runs that are looked at together."""
STRANDED = timedelta(days=1)
"""A run that nobody asked for waits in vain when it waits so long for an account that no process here knows."""
STRANDED_MAX = 100
STRANDED_EVERY_S = 3_600.0
HELD = "held"
"""What was told of a run whose stream another run holds; no error has this code."""


class Dispatcher:
    """Executes queued runs of the accounts it was given, until told to stop."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        observer: Observer,
        executor: Executor,
        workers: Workers,
        following: Following,
        accounts: Mapping[str, AccountPlan],
        resting: Callable[[], Collection[str]],
        log: Log,
        poll: timedelta = POLL,
    ) -> None:
        self._store = store
        self._clock = clock
        self._observer = observer
        self._executor = executor
        self._workers = {False: workers, True: workers.for_people()}
        """By whether they are for what people ask for alone."""
        self._following = following
        self._accounts = accounts
        self._resting = resting
        """The accounts that the settings pause; those that a command paused the store leaves out."""
        self._log = log
        self._poll = poll
        self._active: set[str] = set()
        self._held: dict[str, float] = {}
        self._told: dict[str, str] = {}
        """Why each run that waits does so, as it was last told: who holds its stream, or the code of a refusal."""
        self._waiting: Counter[tuple[str, bool]] = Counter()
        self._seen: Sequence[Run] = ()
        """What was due at the last look; not kept by those who wait for a place, of whom there may be thousands."""
        self._stranded_at = 0.0
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look now: a run was queued."""
        self._woken.set()

    async def run(self) -> None:
        """Work until told to stop, then wait for what is being handed over."""
        stopping = self._executor.stopping
        async with asyncio.TaskGroup() as group:
            while not stopping.is_set():
                await self._end_stranded()
                self._seen = await self._due()
                due = self._free(self._seen)
                # The most urgent first, and in ordinary places before those for people alone, which are few.
                scopes = dict.fromkeys((run.scope, run.account, False) for run in due)
                scopes |= dict.fromkeys((run.scope, run.account, True) for run in due if _is_asked(run))
                for (account, is_asked), wanted in Counter((name, asked) for _, name, asked in scopes).items():
                    for _ in range(wanted - self._waiting[account, is_asked]):
                        self._waiting[account, is_asked] += 1
                        group.create_task(self._serve(account, is_asked=is_asked))
                await self._until_woken()

    async def _end_stranded(self) -> None:
        """End what was queued by itself for an account that left the settings: nobody would ever begin it."""
        now = self._clock.monotonic()
        if now < self._stranded_at:
            return
        try:
            before = self._store.now() - STRANDED
            runs = await self._store.stranded(STRANDED_MAX, accounts=self._accounts, before=before)
            for run in runs:
                message = f"{run.account}/{run.stream}: there is no such account any more"
                await self._store.skip(run, UnknownAccount(message).as_json())
        except ComportaError as error:
            self._log.write("error", "dispatching_failed", {"code": error.code, "message": error.message})
            return
        if len(runs) < STRANDED_MAX:
            self._stranded_at = now + STRANDED_EVERY_S

    async def _due(self) -> Sequence[Run]:
        """Return the runs that could begin now."""
        try:
            runs = await self._store.due(DUE_MAX, self._accounts)
        except ComportaError as error:
            self._log.write("error", "dispatching_failed", {"code": error.code, "message": error.message})
            return []
        now = self._clock.monotonic()
        self._held = {scope: until for scope, until in self._held.items() if until > now}
        queued = {run.id for run in runs}
        self._told = {run_id: why for run_id, why in self._told.items() if run_id in queued}
        return runs

    def _free(self, due: Sequence[Run]) -> list[Run]:
        """Return those of the runs that this process may begin: it lets some be, and works on others already."""
        taken, resting = self._active | self._held.keys(), self._resting()
        return [run for run in due if run.scope not in taken and (_is_asked(run) or run.account not in resting)]

    async def _serve(self, account: str, *, is_asked: bool) -> None:
        """Wait for a place, and execute the most urgent run that the account has by then."""
        is_counted, workers = True, self._workers[is_asked]
        try:
            with workers.at_work(account):
                async with workers.place(account) as is_late:
                    self._waiting[account, is_asked] -= 1
                    is_counted = False
                    if self._executor.stopping.is_set():
                        return  # thousands may wait, and each would look into the queue
                    free = self._free(await self._due() if is_late else self._seen)
                    own = (run for run in free if run.account == account and (_is_asked(run) or not is_asked))
                    most_urgent = next(own, None)
                    if most_urgent is not None and not self._executor.stopping.is_set():
                        await self._execute(most_urgent)
        finally:
            self._waiting[account, is_asked] -= is_counted
            self.wake()

    async def _execute(self, run: Run) -> None:
        """Execute a run and queue what follows; a run of a stream that there is no more is ended."""
        account = self._accounts.get(run.account)
        stream = account.streams.get(run.stream) if account is not None else None
        self._active.add(run.scope)
        try:
            if account is None or stream is None:
                message = f"{run.account}/{run.stream}: there is no such stream any more"
                await self._store.skip(run, UnknownAccount(message).as_json())
                return
            is_confirmed = parse_request(run.request).kind is Kind.CLEAR_FIRST
            ended = await self._executor.execute(run, account, stream, deletions_confirmed=is_confirmed)
            if isinstance(ended, Occupied):
                self._tell_busy(run, ended)
                self._held[run.scope] = self._clock.monotonic() + HELD_S
                return
            if isinstance(ended, Denied):
                self._held[run.scope] = self._clock.monotonic() + DENIED_S
                await self._tell_denied(run, ended)
                return
            for ticket in await self._following.tickets(account, stream, ended):
                await self._store.enqueue(ticket)
        except LeaseLost:
            return  # another process took this very run out of the queue between our look and our claim
        except ComportaError as error:
            self._held[run.scope] = self._clock.monotonic() + HELD_S
            fields = {"run": run.id, "account": run.account, "stream": run.stream}
            self._log.write("error", "dispatching_failed", {**fields, "code": error.code, "message": error.message})
        finally:
            self._active.discard(run.scope)

    def _tell_busy(self, run: Run, occupied: Occupied) -> None:
        """Tell once for each run who holds its stream, however often it is looked at; not that it holds it itself."""
        if self._told.get(run.id) != HELD and occupied.holder != run.id:
            self._told[run.id] = HELD
            self._observer.busy(run, occupied, waiting=True)

    async def _tell_denied(self, run: Run, denied: Denied) -> None:
        """Tell once for each reason why a run may not begin, in its log too: nothing else says why it waits."""
        if self._told.get(run.id) != denied.error.code:
            why = LogLine("warning", "legacy_lock_awaited", denied.error.message, denied.error.as_json())
            await self._store.note(run.id, [why])
            self._told[run.id] = denied.error.code
            self._observer.stepped(run, why)

    async def _until_woken(self) -> None:
        waits: Collection[asyncio.Future[object]] = {
            asyncio.ensure_future(self._woken.wait()),
            asyncio.ensure_future(self._clock.sleep(self._poll)),
            asyncio.ensure_future(self._executor.stopping.wait()),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        self._woken.clear()


def _is_asked(run: Run) -> bool:
    """Say whether a person asked for a run."""
    return run.trigger is Trigger.MANUAL
