"""An open database with its accounts, ready to run: what the command line, Python and later the web work with.

It names no concrete adapter: ``bootstrap.open_workspace`` makes one from the settings and plugs in store
and sources.
"""

import asyncio
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from comporta.coordination.dispatcher import Dispatcher
from comporta.coordination.execute import Executor
from comporta.coordination.following import Following
from comporta.coordination.legacy_locks import LegacyLocks
from comporta.coordination.mailbox import Mailbox
from comporta.coordination.newcomers import LOOK, watch_for_newcomers
from comporta.coordination.notifications import Deliveries
from comporta.coordination.plans import AccountPlan, Accounts, Conduct, StreamPlan
from comporta.coordination.pulse import SEEN_WITHIN, beat_until_stopped
from comporta.coordination.scheduler import Scheduler
from comporta.coordination.sync import Syncer, Wish
from comporta.coordination.trials import Comparison, compared
from comporta.core.login import LOGIN_SCOPE, LoginState
from comporta.core.run import Run, RunState, Trigger
from comporta.core.ticket import Ticket, joining
from comporta.core.window import Kind, Request
from comporta.errors import WrongUse
from comporta.errors_guard import LegacyLockUnreachable
from comporta.observability.log import Log
from comporta.ports.alerts import Reach
from comporta.ports.budget import BudgetState
from comporta.ports.clock import Clock
from comporta.ports.events import Observer
from comporta.ports.login_store import LoginStore
from comporta.ports.notifications import Inbox
from comporta.ports.source import Finding
from comporta.ports.store import Instance, Store
from comporta.settings.tree import Settings
from comporta.workspace.named import account_named, stream_named
from comporta.workspace.stream_status import Sight, StreamStatus, living, origin_of


class Known(Protocol):
    """The accounts that there are, for whoever looks again."""

    settings: Settings
    plans: Mapping[str, AccountPlan]

    async def look(self) -> bool:
        """Look again, and say whether there is anything else."""


class Workspace:
    """An open database with its accounts, ready to run."""

    reach: Reach  # given by who opens it; only alerts need it
    is_renewing: Callable[[], bool]  # and this: whether a login has begun what must not be cut off

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        inbox: Inbox,
        clock: Clock,
        observer: Observer,
        conduct: Conduct,
        plans: Mapping[str, AccountPlan],
        logins: LoginStore,
        locks: LegacyLocks | None = None,
        known: Known | None = None,
    ) -> None:
        self._known = known
        self._logins = logins
        self._locks = locks
        self.settings = settings
        self.store = store
        self.clock = clock
        self._inbox = inbox
        self.plans = Accounts(plans)
        self._executor = Executor(
            store=store,
            clock=clock,
            observer=observer,
            conduct=conduct,
            chance=random.Random(),  # noqa: S311  jitter
            locks=locks,
        )
        self._syncer = Syncer(
            store=store, clock=clock, observer=observer, conduct=conduct, executor=self._executor, accounts=self.plans
        )
        self._conduct = conduct
        self.observer = observer
        self._loop = asyncio.get_running_loop()
        self._wakeable: list[Callable[[], None]] = []

    async def targets(self, names: Sequence[str]) -> list[tuple[str, str]]:
        """Return what the names mean, as (account, stream), each once; no name means all that is not paused."""
        paused = {} if names else await self.paused()
        meant = names or [name for name in self.plans if name not in paused]
        return list(dict.fromkeys(target for name in meant for target in self._target(name)))

    async def pause(self, account: str) -> bool:
        """Let no run of an account be started that nobody asks for by name; say whether it was not paused before."""
        return await self.store.pause(account_named(self.plans, account))

    async def resume(self, account: str) -> bool:
        """End the pause of an account; say whether there was one."""
        if self.settings.accounts[account_named(self.plans, account)].paused:
            step = f"Take `paused` out of the account in {self.settings.path or 'comporta.toml'}."
            raise WrongUse(f"account {account} is paused by the settings, not by a command", next_step=step)
        return await self.store.resume(account)

    async def paused(self) -> dict[str, datetime | None]:
        """Return since when each paused account is paused; ``None`` for one that the settings pause."""
        told = dict.fromkeys(self._resting())
        return {name: at for name, at in (await self.store.pauses()).items() if name in self.plans} | told

    def _resting(self) -> list[str]:
        """Return the accounts that the settings pause."""
        return [name for name in self.plans if self.settings.accounts[name].paused]

    async def sync(
        self,
        names: Sequence[str] = (),
        *,
        request: Request | None = None,
        dry_run: bool = False,
        wait: bool = False,
        confirmed: bool = False,
        concurrency: int | None = None,
    ) -> list[Run]:
        """Bring the named accounts and streams up to date and return every run, failed attempts too."""
        wish = Wish(
            request or Request(), dry_run=dry_run, wait=wait, deletions_confirmed=confirmed, concurrency=concurrency
        )
        return await self._syncer.sync(await self.targets(names), wish)

    async def ask(
        self,
        targets: Sequence[tuple[str, str]],
        request: Request | None = None,
        *,
        dry_run: bool = False,
        trigger: Trigger = Trigger.MANUAL,
    ) -> list[Run]:
        """Queue a run for every target (account, stream) and return at once, or join what waits and reads as much.

        Whoever does what is queued is woken, also when a part of it could not be queued.
        """
        asked = request or Request()
        tickets = [Ticket(*target, asked, trigger, dry_run=dry_run) for target in targets]
        try:
            return await asyncio.gather(*(self._enqueue(ticket) for ticket in tickets))
        finally:
            self.wake()

    async def ask_again(self, account: str) -> None:
        """Queue the streams of an account whose last run failed, if somebody is at work to do what is queued.

        By then who is at work has taken up what changed of the account.
        """
        plan = self.plans[account_named(self.plans, account)]
        if account in await self.paused() or not await self._alive("workers"):
            return
        states = await self.store.states([f"{account}/{name}" for name in plan.streams])
        for name in plan.streams:
            last = states[f"{account}/{name}"].last
            if last is not None and last.state is RunState.FAILED:
                soon = self.store.now() + 2 * LOOK
                await self.store.enqueue(Ticket(account, name, Request(), Trigger.MANUAL, not_before=soon))

    async def _enqueue(self, ticket: Ticket) -> Run:
        waiting = await self.store.queued(ticket.scope) if ticket.request.kind is Kind.MANUAL else ()
        return await self.store.enqueue(joining(ticket, waiting))

    def wake(self) -> None:
        """Tell whoever does what is queued to look now; without one it waits for who comes."""
        for look in self._wakeable:
            look()

    def on_wake(self, look: Callable[[], None]) -> None:
        """Call ``look`` whenever something was queued here; it returns at once."""
        self._wakeable.append(look)

    async def reconcile(
        self, name: str, *, repair: bool, exact: bool = False, confirmed: bool = False, wait: bool = False
    ) -> list[Run]:
        """Compare a stream with its source; without ``repair`` nothing is written."""
        account, stream = stream_named(self.plans, name)
        request = Request(Kind.RECONCILE, exact=exact)
        wish = Wish(request, dry_run=not repair, wait=wait, deletions_confirmed=confirmed)
        return await self._syncer.run_one(account, stream, wish, Trigger.RECONCILE)

    async def retry_quarantine(self, name: str) -> list[Run]:
        """Read the records of a stream that wait in quarantine again, and write those that can be."""
        account, stream = stream_named(self.plans, name)
        return await self._syncer.run_one(account, stream, Wish(Request(Kind.QUARANTINE)), Trigger.MANUAL)

    async def compare(self, name: str, sizes: Sequence[int], *, in_flight: int | None = None) -> list[Comparison]:
        """Read the first records of a stream dry, one page after another and then several at once, at each size."""
        account, stream = stream_named(self.plans, name)
        return await compared(self._syncer, self.plans[account], stream, sizes, in_flight=in_flight, clock=self.clock)

    async def limits(self) -> list[tuple[str, BudgetState]]:
        """Return how the budget of each account stands, in the order of the accounts."""
        budgets = {name: plan.budget for name, plan in self.plans.items() if plan.budget is not None}
        states = await asyncio.gather(*(budget.state() for budget in budgets.values()))  # in a round or two of the log
        return list(zip(budgets, states, strict=True))

    async def check(self, accounts: Sequence[str] = ()) -> dict[str, Sequence[Finding]]:
        """Try every named account, or all, as many at once as there are workers: credentials, clock, streams."""
        names = [account_named(self.plans, name) for name in accounts] or list(self.plans)
        places = asyncio.Semaphore(self.settings.workers)

        async def look(plan: AccountPlan) -> Sequence[Finding]:
            async with places:
                # A stream may be paused because it may not be read; of an account that rests all of them are.
                awake = [each for each in plan.streams.values() if not each.is_paused] or plan.streams.values()
                found = await plan.source.check([each.request for each in awake])
                keys = [stream.legacy_key for stream in plan.streams.values() if stream.legacy_key is not None]
                return [*found, *(await self._locks.findings(keys) if self._locks else ())]

        found = await asyncio.gather(*(look(self.plans[name]) for name in names))
        return dict(zip(names, found, strict=True))

    async def legacy_silence(self) -> LegacyLockUnreachable | None:
        """Return why streams that an older program reads too cannot be read, if so: its Redis does not answer."""
        streams = [stream for plan in self.plans.values() for stream in plan.streams.values()]
        keys = [stream.legacy_key for stream in streams if stream.legacy_key is not None]
        return await self._locks.silence(keys) if self._locks else None

    def known(self) -> list[tuple[str, str]]:
        """Return every stream there is, as (account, stream), paused or not."""
        return [(plan.name, stream) for plan in self.plans.values() for stream in plan.streams]

    async def status(self, account: str | None = None) -> list[StreamStatus]:
        """Return where every stream stands, or those of an account."""
        plans = self.plans.values() if account is None else [self.plans[account_named(self.plans, account)]]
        return await self._status([(plan, stream) for plan in plans for stream in plan.streams.values()])

    async def status_of(self, name: str) -> StreamStatus:
        """Return where one stream stands."""
        account, stream = stream_named(self.plans, name)
        plan = self.plans[account]
        (found,) = await self._status([(plan, plan.streams[stream])])
        return found

    async def _status(self, streams: Sequence[tuple[AccountPlan, StreamPlan]]) -> list[StreamStatus]:
        states = await self.store.states([f"{plan.name}/{stream.name}" for plan, stream in streams])
        alive, has_workers = await living(self.store, self.clock), bool(await self._alive("workers"))
        sight = Sight(self.clock.now(), alive, has_workers)
        return [sight.status(plan, stream, states[f"{plan.name}/{stream.name}"]) for plan, stream in streams]

    def dispatcher(self, log: Log) -> Dispatcher:
        """Return what executes queued runs, until ``stop``; it shares its workers with all that is synced here."""
        dispatcher = Dispatcher(
            store=self.store,
            clock=self.clock,
            observer=self.observer,
            executor=self._executor,
            workers=self._syncer.workers,
            following=Following(self.store, self.clock, self._conduct),
            accounts=self.plans,
            resting=self._resting,
            log=log,
        )
        self.on_wake(dispatcher.wake)
        return dispatcher

    def scheduler(self, log: Log) -> Scheduler:
        """Return what puts runs into the queue when they are due, until ``stop``."""
        return Scheduler(
            store=self.store,
            clock=self.clock,
            accounts=self.plans,
            paused=self.paused,
            stopping=self._executor.stopping,
            wake=self.wake,
            log=log,
        )

    async def newcomers(self, log: Log) -> None:
        """Take up the accounts that come, change or go, until ``stop``."""
        await watch_for_newcomers(self._take_up, clock=self.clock, stopping=self._executor.stopping, log=log)

    async def _take_up(self) -> Sequence[str]:
        """Go by the accounts that there are by now, in everything at once; return the names of those that differ."""
        if self._known is None or not await self._known.look():
            return ()
        self.settings = self._known.settings
        names = self.plans.replace(self._known.plans)
        self.wake()
        return names

    async def pulse(self, roles: Collection[str], log: Log) -> None:
        """Say to others that this process is alive, until ``stop``."""
        await beat_until_stopped(
            self.store,
            clock=self.clock,
            instance=self._conduct.instance,
            roles=" ".join(sorted(roles)),
            stopping=self._executor.stopping,
            log=log,
        )

    def deliveries(self, log: Log) -> Deliveries:
        """Return what looks at what the sources of these accounts notify of, until ``stop``."""
        return Deliveries(
            inbox=self._inbox,
            syncer=self._syncer,
            clock=self.clock,
            stopping=self._executor.stopping,
            accounts=self.plans,
            log=log,
        )

    def mailbox(self, deliveries: Deliveries) -> Mailbox:
        """Return the way in for notifications, which wakes what looks at them."""
        return Mailbox(self._inbox.keep, on_kept=deliveries.wake)

    @property
    def stopping(self) -> asyncio.Event:
        """Return what is set by ``stop``."""
        return self._executor.stopping

    async def schedulers(self) -> list[Instance]:
        """Return the servers that schedule and are alive."""
        return await self._alive("scheduler")

    async def is_watched(self) -> bool:
        """Say whether a process that is always on looks for what people should be told of."""
        return bool(await self._alive())

    async def _alive(self, role: str | None = None) -> list[Instance]:
        now = self.clock.now()
        seen = [each for each in await self.store.instances() if role is None or role in each.roles.split()]
        return [each for each in seen if each.ended_at is None and now - each.seen_at < SEEN_WITHIN]

    async def look(self) -> None:
        """Return when the database has answered."""
        await self.store.run("")

    async def logins(self) -> dict[str, LoginState]:
        """Return how the logins stand of the accounts that have one."""
        known = await self._logins.states()
        return {name: state for name, state in known.items() if name in self.plans}

    def origin(self, name: str) -> datetime:
        """Return where a stream begins."""
        account, stream = stream_named(self.plans, name)
        return origin_of(self.plans[account].streams[stream])

    def expect_scope(self, name: str) -> None:
        """Raise unless there is such a stream, or such an account, of a scope that is its login's."""
        account, slash, part = name.partition("/")
        if slash and f"/{part}" == LOGIN_SCOPE:
            account_named(self.plans, account)
        else:
            stream_named(self.plans, name)

    def stop(self) -> None:
        """Hand over what runs, after its current batch. Safe from signal handlers and threads."""
        self._loop.call_soon_threadsafe(self._executor.stop)

    def _target(self, name: str) -> list[tuple[str, str]]:
        account, slash, _ = name.partition("/")
        if slash:
            return [stream_named(self.plans, name)]
        account = account_named(self.plans, account)
        told = self.settings.accounts[account]
        return [(account, stream) for stream in self.plans[account].streams if not told.stream(stream).paused]
