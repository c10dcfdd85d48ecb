"""The accounts of settings and database as plans, made when a process begins and again when the database has others.

One place looks. Whoever runs, schedules or shows accounts has them from the workspace, which goes by what was found
last. comporta.toml and the environment are read once, when a process begins.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from zoneinfo import ZoneInfo

from comporta.bootstrap.databases import ledger_key
from comporta.bootstrap.source_kinds import HOOKS, Outside, budget_of, kind_of, make_source
from comporta.coordination.plans import AccountPlan, Feed, StreamPlan
from comporta.core.guard import LegacyKey
from comporta.core.instant import instant_text
from comporta.core.notification import Notification
from comporta.core.schedule import Every, Schedule
from comporta.errors import SettingsError
from comporta.ledger.accounts import Kept, kept_accounts
from comporta.ledger.secrets import get_secret
from comporta.ledger.session import Database
from comporta.ports.notifications import Notifying
from comporta.ports.progress import Progress
from comporta.ports.source import Finding, Reader, Source, StreamRequest
from comporta.settings.reading import reveal
from comporta.settings.stored import with_stored
from comporta.settings.tree import AccountSettings, Settings, StreamSettings


class KnownAccounts:
    """The accounts that settings and database name, as far as they were looked at; ``settings`` hold them all."""

    def __init__(self, database: Database, settings: Settings, outside: Outside) -> None:
        self._database = database
        self._outside = outside
        self._sources: list[Source] = []
        self._kept: Mapping[str, Kept] = {}
        self._refused: Mapping[str, Kept] = {}
        self.settings = settings
        self.plans: Mapping[str, AccountPlan] = {}

    def begin(self) -> Settings:
        """Look for the first time and return the settings with all accounts; one that is not whole is an error."""
        self._kept = self._refused = self._database.read(kept_accounts)
        self.settings = self._with(self._kept, self.settings)
        self.plans = {name: self._plan(told, self.settings) for name, told in self.settings.accounts.items()}
        return self.settings

    async def look(self) -> bool:
        """Look what the database keeps by now; say whether that is something else, and then go by it.

        What is not whole is refused once, and all stays as it was until it is something else again.
        """
        kept = await asyncio.to_thread(self._database.read, kept_accounts)
        if kept in (self._kept, self._refused):
            return False
        self._refused = kept
        settings = self._with(kept, self.settings)
        self.plans = {name: self._again(told, kept, settings) for name, told in settings.accounts.items()}
        self.settings, self._kept = settings, kept
        return True

    async def aclose(self) -> None:
        """Close the sources, of those accounts too that changed or went: a run may have gone on with them."""
        for source in self._sources:
            await source.aclose()

    def _with(self, kept: Mapping[str, Kept], settings: Settings) -> Settings:
        tables = {name: each.table for name, each in kept.items()}
        return with_stored(settings, tables, origin=f"the database {self._database.where}")

    def _again(self, told: AccountSettings, kept: Mapping[str, Kept], settings: Settings) -> AccountPlan:
        """Return the plan there was, unless somebody has put the account anew, be it with another key alone."""
        plan = self.plans.get(told.name)
        if plan is not None and kept.get(told.name) == self._kept.get(told.name):
            return plan
        self._outside.late.forget(told.name)
        return self._plan(told, settings)

    def _plan(self, told: AccountSettings, settings: Settings) -> AccountPlan:
        plan = _account_plan(told, self._database, settings, self._outside)
        self._sources.append(plan.source)
        return plan


def secret_of(told: AccountSettings, name: str, database: Database, settings: Settings) -> str:
    """Return one of an account's secrets, from where its reference says."""
    reference = told.secrets[name]
    if reference.kind != "stored":
        return reveal(reference, what=f"account {told.name}: {name}")
    key = ledger_key(settings, create=False)
    return database.read(lambda session: get_secret(session, key, secret_id=reference.name))


def legacy_key(stream: StreamSettings) -> LegacyKey | None:
    """Return the key of an older program that a stream's settings name, ``None`` where they name none."""
    if stream.legacy_lock is None:
        return None
    return LegacyKey(stream.legacy_lock, stream.legacy_last_run or f"{stream.legacy_lock}:last_run")


def _account_plan(told: AccountSettings, database: Database, settings: Settings, outside: Outside) -> AccountPlan:
    kind = kind_of(told)

    def made() -> Source:
        return make_source(
            told, settings, reveal=lambda name: secret_of(told, name, database, settings), outside=outside
        )

    source = _SourceWhenNeeded(made)
    hook = HOOKS.get(told.source)
    return AccountPlan(
        name=told.name,
        source=source,
        streams={
            name: _stream_plan(told, name, settings.zone) for name in dict.fromkeys([*kind.streams, *told.streams])
        },
        limit=kind.terms(told).rate,
        budget=budget_of(told, outside),
        lanes=kind.lanes,
        stall_timeout=told.stall_timeout,
        feed=Feed(told.source, hook.point, source.missed) if hook and not told.paused else None,
    )


def _schedule(stream: StreamSettings, zone: ZoneInfo) -> Schedule:
    if stream.cron is None:
        return Every(stream.every)
    from comporta.coordination.cron import Cron

    return Cron(stream.cron, zone)


def _stream_plan(told: AccountSettings, name: str, zone: ZoneInfo) -> StreamPlan:
    stream = told.stream(name)
    return StreamPlan(
        request=StreamRequest(name, stream.fields, stream.domain, told.concurrency),
        overlap=stream.overlap,
        timeout=stream.timeout,
        origin_text=instant_text(stream.start) if stream.start else None,
        schedule=_schedule(stream, zone),
        children=kind_of(told).children.get(name, ()),
        is_paused=stream.paused,
        legacy_key=legacy_key(stream),
    )


class _SourceWhenNeeded:
    """A source that is made at its first use, so that one account's missing secret stops no other."""

    def __init__(self, make: Callable[[], Source]) -> None:
        self._make = make
        self._source: Source | None = None

    async def read(self, request: StreamRequest, progress: Progress) -> Reader:
        return await self._made().read(request, progress)

    async def check(self, requests: Sequence[StreamRequest]) -> Sequence[Finding]:
        try:
            return await self._made().check(requests)
        except SettingsError as error:
            return [Finding("settings", ok=False, message=error.message, next_step=error.next_step)]

    async def missed(self, progress: Progress) -> AsyncIterator[Sequence[Notification]]:
        source = self._made()
        if isinstance(source, Notifying):
            async for page in source.missed(progress):
                yield page

    async def aclose(self) -> None:
        if self._source is not None:
            await self._source.aclose()

    def _made(self) -> Source:
        if self._source is None:
            self._source = self._make()
        return self._source
