"""What the API of runs may ask of an open workspace, answered as JSON.

It reads what was typed (instants, durations, names) the way the command line does, and knows nothing of HTTP: the
web room knows it as a protocol, and turns its errors into status codes.
"""
# ruff: noqa: D102  web.doors.Reception says what each method promises

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

from comporta.coordination.rescuer import release
from comporta.core.asked import Asked, request_for
from comporta.core.instant import short_text
from comporta.core.run import TERMINAL, Run
from comporta.errors import UnknownAccount, WrongUse
from comporta.errors_web import NotNow, UnknownRun
from comporta.ports.events import line_json
from comporta.settings.values import Place, read_moment, typed
from comporta.web.asked import AskedRelease, AskedRuns, RunsQuery
from comporta.web.doors import Document
from comporta.workspace.gaps import missing_of
from comporta.workspace.reports import (
    is_alive,
    is_paused,
    lease_json,
    login_json,
    status_lines,
)
from comporta.workspace.workspace import Workspace

MINUTE = timedelta(minutes=1)
KNOWN = (
    "An account that `comporta connect` kept is known here within some seconds; what is new in comporta.toml, when"
    " `comporta serve` is restarted."
)
DOCS = "See docs/reference/http.md for the fields and what goes together."


class WorkspaceReception:
    """Implements ``web.doors.Reception``; see there for what each method promises."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    async def ask(self, asked: AskedRuns) -> Sequence[Document]:
        """Queue runs, or join those that wait."""
        try:
            targets = await self._workspace.targets([_scope(asked.account, asked.stream)])
        except UnknownAccount as error:
            raise UnknownAccount(error.message, next_step=KNOWN) from error
        now, zone = self._workspace.clock.now(), Place(Path(), self._workspace.settings.zone)
        # To the minute, so that two clicks at once ask for the same; outwards, so that nothing is left out.
        minute = now.replace(second=0, microsecond=0)
        try:
            since = typed("since", asked.since, partial(read_moment, place=zone, now=minute))
            until = typed("until", asked.until, partial(read_moment, place=zone, now=minute + MINUTE))
            wanted = Asked(since, until, asked.full, asked.clear_first, asked.max_records)
            request = request_for(wanted, now=now)
        except WrongUse as error:
            raise WrongUse(error.message, next_step=DOCS) from error
        if asked.clear_first and not asked.confirm:
            raise WrongUse("clear_first removes rows that the source does not have", next_step='Add "confirm": true.')
        if not targets:
            raise WrongUse(f"every stream of {asked.account} is paused", next_step="Name one by `stream`.")
        runs = await self._workspace.ask(targets, request, dry_run=asked.dry_run)
        return [run.as_json() for run in runs]

    async def runs(self, query: RunsQuery) -> Sequence[Document]:
        found = await self._workspace.store.runs(
            account=query.account, stream=query.stream, state=query.state, limit=query.limit
        )
        return [run.as_json() for run in found]

    async def run(self, run_id: str) -> Document:
        return (await self._found(run_id)).as_json()

    async def log(self, run_id: str, after: int) -> Sequence[Document]:
        """Return the next lines of a run's log."""
        run = await self._found(run_id)
        return [line_json(*each) for each in await self._workspace.store.log(run.id, after)]

    async def cancel(self, run_id: str) -> Document:
        run = await self._found(run_id)
        if run.state not in TERMINAL:
            run = await self._workspace.store.cancel(run.id) or run
            self._workspace.wake()
            return run.as_json()
        raise NotNow(f"run {run.id} has ended already ({run.state.value})", next_step="Nothing to do.")

    async def accounts(self) -> Sequence[Document]:
        """Return the accounts; nothing that is secret is known here."""
        paused, logins = await self._workspace.paused(), await self._workspace.logins()
        settings = self._workspace.settings  # and the streams with it: others may come while it is waited
        streams: dict[str, list[str]] = {name: [] for name in settings.accounts}
        for account, stream in self._workspace.known():
            streams[account].append(stream)
        return [
            {
                "name": name,
                "source": told.source,
                "url": told.url,
                "paused": name in paused,
                "paused_at": short_text(paused.get(name)),
                "streams": streams[name],
                "login": login_json(name, logins[name]) if name in logins else None,
            }
            for name, told in settings.accounts.items()
        ]

    async def streams(self, account: str | None) -> Sequence[Document]:
        found = await self._workspace.status(account)
        resting = await self._workspace.paused()
        logins = {name: login_json(name, state) for name, state in (await self._workspace.logins()).items()}
        is_scheduled = bool(await self._workspace.schedulers())
        paused = [is_paused(self._workspace, each, resting) for each in found]
        return status_lines(found, paused, logins, is_scheduled=is_scheduled)

    async def coverage(self, account: str, stream: str) -> Document:
        each = await self._workspace.status_of(_scope(account, stream))
        return (await missing_of(self._workspace, each)).coverage_json(each)

    async def leases(self) -> Sequence[Document]:
        now = self._workspace.clock.now()
        return [lease_json(row, now) for row in await self._workspace.store.leases()]

    async def release(self, account: str, stream: str, asked: AskedRelease) -> bool:
        """Take a lease away; of a holder who is alive only when that is confirmed."""
        scope = _scope(account, stream)
        self._workspace.expect_scope(scope)
        now = self._workspace.clock.now()
        held = next((row for row in await self._workspace.store.leases() if row.scope == scope), None)
        if held is not None and is_alive(held, now) and not asked.confirm:
            raise NotNow(
                f"{scope} is held by {held.holder}, which is alive on {held.instance}; its work would be lost",
                next_step='Add "confirm": true to take it away all the same.',
            )
        released = await release(self._workspace.store, self._workspace.observer, scope)
        self._workspace.wake()
        return released

    async def limits(self) -> Sequence[Document]:
        return [{"account": account, **state.as_json()} for account, state in await self._workspace.limits()]

    async def _found(self, run_id: str) -> Run:
        run = await self._workspace.store.run(run_id) if run_id.isprintable() else None
        if run is None:
            raise UnknownRun(f"there is no run {run_id[:100]!r}")
        return run


def _scope(account: str, stream: str | None) -> str:
    """Return the name of an account, or of a stream; a slash in an account's name would make it one of a stream."""
    if "/" in account:
        raise UnknownAccount(f"there is no account {account!r}; a stream is named beside it, by `stream`")
    return account if stream is None else f"{account}/{stream}"
