"""A running server over a real database and a fake source, with a stand-in that does what is queued.

Time is real here: what is tested is what happens between processes and sockets.
"""

import asyncio
import http.client
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from tests.engine.workshop import CONDUCT, LINES, ORDERS, Workshop

from comporta.coordination.watchers import Watchers
from comporta.core.run import RunState
from comporta.destinations.sqlite import SqliteDestination
from comporta.errors import LeaseLost
from comporta.ledger.logins import LedgerLogins
from comporta.ledger.notifications import LedgerInbox
from comporta.ledger.sqlite import Pragmas, SqliteDatabase
from comporta.ledger.store import LedgerStore
from comporta.ports.system_clock import SystemClock
from comporta.settings.tree import AccountSettings, Settings, StreamSettings
from comporta.testing import FakeClock, FakeSource
from comporta.web.app import make_app
from comporta.web.broadcast import Broadcast
from comporta.web.doors import Doors
from comporta.web.server import Server
from comporta.workspace.reception import WorkspaceReception
from comporta.workspace.workspace import Workspace

JSON = {"Content-Type": "application/json"}
WAIT_S = 5.0
Anything = Any


@dataclass(frozen=True)
class Event:
    """One server-sent event."""

    id: str
    kind: str
    data: Anything


@dataclass
class Answer:
    """What came back."""

    status: int
    body: Anything
    headers: Mapping[str, str]


class Listener:
    """A client of the event stream that remembers what it heard."""

    def __init__(self, reader: "_Chunks", writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.heard: list[Event] = []
        self.comments: list[str] = []
        self._known = 0

    async def next(self) -> Event | None:
        """Return the next event, ``None`` at the end."""
        fields: dict[str, str] = {}
        while True:
            raw = await asyncio.wait_for(self._reader.readline(), WAIT_S)
            line = raw.decode().rstrip("\r\n")
            if not raw:
                return None
            if line.startswith(":"):
                self.comments.append(line)
            elif not line and "data" in fields:
                event = Event(fields.get("id", ""), fields["event"], json.loads(fields["data"]))
                self.heard.append(event)
                return event
            elif ": " in line:
                name, _, value = line.partition(": ")
                fields[name] = value

    async def until(self, kind: str, **told: object) -> Event:
        """Return the next event of a kind whose run has these fields."""
        while event := await self.next():
            run = event.data.get("run") if isinstance(event.data.get("run"), dict) else {}
            if event.kind == kind and all(run.get(name) == value for name, value in told.items()):
                return event
        raise AssertionError(f"the stream ended before {kind} {told}")

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


@dataclass
class Office:
    """The server and what is behind it."""

    workspace: Workspace
    workshop: Workshop
    server: Server
    broadcast: Broadcast
    drained: list[asyncio.Task[None]] = field(default_factory=list)
    listeners: list[Listener] = field(default_factory=list)
    is_draining: bool = True

    async def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request as curl would."""
        told = {**(JSON if method == "POST" else {}), **(headers or {})}
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()

        def go() -> Answer:
            connection = http.client.HTTPConnection(urlsplit(self.server.url).netloc, timeout=WAIT_S)
            try:
                connection.request(method, path, sent, {name: value for name, value in told.items() if value})
                answer = connection.getresponse()
                found = {name.lower(): value for name, value in answer.getheaders()}
                return Answer(answer.status, json.loads(answer.read()), found)
            finally:
                connection.close()

        return await asyncio.to_thread(go)

    async def get(self, path: str) -> Anything:
        """Return the body of an answer that went well."""
        answer = await self.ask("GET", f"/api/v1{path}")
        assert answer.status == 200, answer
        return answer.body

    async def post(self, path: str, body: object = None, *, status: int = 202) -> Anything:
        """Return the body of an answer with that status."""
        answer = await self.ask("POST", f"/api/v1{path}", body)
        assert answer.status == status, answer
        return answer.body

    async def listen(self, last_id: str | None = None) -> Listener:
        """Return a client of the event stream whose answer has begun."""
        parts = urlsplit(self.server.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        last = f"Last-Event-ID: {last_id}\r\n" if last_id else ""
        writer.write(f"GET /api/v1/events HTTP/1.1\r\nHost: {parts.netloc}\r\n{last}\r\n".encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WAIT_S)
        assert b" 200 " in head.splitlines()[0], head
        listener = Listener(_Chunks(reader), writer)
        self.listeners.append(listener)
        return listener

    def drain(self) -> None:
        """Do what is queued, as a dispatcher would."""
        if self.is_draining:
            self.drained.append(asyncio.ensure_future(self._drain()))

    async def _drain(self) -> None:
        for run in await self.workspace.store.runs(state=RunState.QUEUED):
            plan = self.workshop.plans[run.account]
            with suppress(LeaseLost):
                await self.workspace._executor.execute(run, plan, plan.streams[run.stream])


class _Chunks:
    """Lines out of a chunked body."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._rest = b""

    async def readline(self) -> bytes:
        while b"\n" not in self._rest:
            try:
                size = int((await self._reader.readuntil(b"\r\n")).strip() or b"0", 16)
            except (asyncio.IncompleteReadError, ConnectionError):
                return b""
            part = await self._reader.readexactly(size + 2)
            if not size:
                return b""
            self._rest += part[:-2]
        line, _, self._rest = self._rest.partition(b"\n")
        return line + b"\n"


def settings_of(plans: Mapping[str, object]) -> Settings:
    """Return settings that have these accounts."""
    return Settings(
        accounts={
            name: AccountSettings(
                name, "fake", "https://fake.example", {}, streams={"archive": StreamSettings("archive", paused=True)}
            )
            for name in plans
        }
    )


def sqlite_store(path: Path) -> LedgerStore:
    """Open a migrated file."""
    return LedgerStore(
        SqliteDatabase(path, Pragmas(synchronous="off"), SystemClock()), SqliteDestination(), ttl=CONDUCT.lease
    )


@asynccontextmanager
async def open_office(store: LedgerStore) -> AsyncIterator[Office]:
    """Serve a workshop with the accounts matriz and filial; the stream archive is paused."""
    clock = SystemClock()
    database = store._database
    source = FakeSource(clock, page_size=2)
    workshop = Workshop(Path(), cast("FakeClock", clock), cast("SqliteDatabase", database), store, source)
    source.stream(ORDERS), source.lines(), source.stream("archive")
    for name in ("matriz", "filial"):
        workshop.account(*(workshop.plan(each) for each in (ORDERS, LINES, "archive")), name=name)
    watchers = Watchers(workshop.witness)
    workspace = Workspace(
        settings=settings_of(workshop.plans),
        store=store,
        inbox=LedgerInbox(database),
        clock=clock,
        observer=watchers,
        conduct=CONDUCT,
        plans=workshop.plans,
        logins=LedgerLogins(database, lambda _: b""),
    )
    broadcast = Broadcast(workspace.store, clock)
    watchers.add(broadcast)
    workspace.on_wake(broadcast.prompt)
    doors = Doors(
        {},
        cast("Anything", None),
        workspace.look,
        trouble=lambda: workspace.store.trouble(),  # noqa: PLW0108  as a story changes it
        reception=WorkspaceReception(workspace),
        broadcast=broadcast,
    )
    office = Office(workspace, workshop, Server(make_app(doors), host="127.0.0.1", port=0), broadcast)
    workspace.on_wake(office.drain)
    tasks = [asyncio.ensure_future(office.server.run()), asyncio.ensure_future(broadcast.run())]
    try:
        yield office
    finally:
        office.workspace._executor.stop()
        broadcast.close()
        office.server.stop()
        await asyncio.wait_for(asyncio.gather(*tasks, *office.drained), 2 * WAIT_S)
        await store.aclose()


async def happened(office: Office, run_id: str, *states: str) -> Anything:
    """Return a run once it is in one of these states."""
    async with asyncio.timeout(WAIT_S):
        while (run := (await office.get(f"/runs/{run_id}"))["run"])["state"] not in states:
            await office.workspace.clock.sleep(timedelta(milliseconds=10))
        return run
