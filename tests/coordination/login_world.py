"""A server whose refresh tokens are used once, and processes that share a login on one database file.

The server keeps the truth: which token is the newest, which uses it answered, and which answers nobody heard. A
process dies where a test says: at a named checkpoint, or while its request is at the server.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from comporta.coordination.logins import SharedLogin
from comporta.errors import AnswerLost, LoginNeeded, SourceBadGateway
from comporta.ledger.logins import LedgerLogins
from comporta.ledger.sqlite import Pragmas, SqliteDatabase
from comporta.ports.clock import Clock
from comporta.ports.login import BeforeSending, Tokens
from comporta.ports.login_store import LoginStore
from comporta.ports.progress import Progress
from comporta.testing import FakeClock

ACCOUNT = "loja1"
LIFE = timedelta(hours=6)
KEY = bytes(range(32))
FIRST = "TG-0"


class Killed(BaseException):
    """The process was killed here: no code of it runs any more."""


@dataclass
class TokenServer:
    """The source's side. ``script`` says what happens to the next requests; afterwards all goes well."""

    clock: Clock
    script: list[str] = field(default_factory=list)
    newest: str = FIRST
    number: int = 0
    uses: list[str] = field(default_factory=list)
    answered: set[str] = field(default_factory=set)
    used_again: list[str] = field(default_factory=list)
    lost_answers: int = 0
    is_revoked: bool = False
    user: str = "1001"
    asleep: asyncio.Event = field(default_factory=asyncio.Event)
    awake: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: Callable[[], object] = lambda: None

    async def renew(self, refresh: str, progress: Progress, before: BeforeSending) -> Tokens:
        """Implement ``ports.login.Renew``."""
        fault = self.script.pop(0) if self.script else ""
        if fault == "sleeps before":
            await self._sleep()
        await before()
        progress.count_request()
        if fault == "killed before":
            raise Killed
        if fault == "cut before":
            raise AnswerLost("the line was cut")
        if refresh in self.answered:
            self.used_again.append(refresh)
        self.uses.append(refresh)
        self.arrived()
        if fault == "500":
            raise SourceBadGateway("the server says 500")
        return await self._answer(refresh, fault)

    async def _answer(self, refresh: str, fault: str) -> Tokens:
        if self.is_revoked or refresh != self.newest:
            if fault == "killed":
                raise Killed
            self.answered.add(refresh)
            raise LoginNeeded("the server says invalid_grant")
        pair = self.rotate()
        if fault in {"cut", "killed"}:
            self.lost_answers += 1
            raise AnswerLost("the line was cut") if fault == "cut" else Killed
        self.answered.add(refresh)
        if fault == "sleeps after":
            await self._sleep()
        return pair

    async def _sleep(self) -> None:
        """Be stopped until the test lets the process go on."""
        self.asleep.set()
        await self.awake.wait()

    def rotate(self) -> Tokens:
        """Return the next pair; what was the newest token buys nothing any more."""
        self.number += 1
        self.newest = f"TG-{self.number}"
        now = self.clock.now()
        return Tokens(f"APP_USR-{self.number}", self.newest, self.user, now, now + LIFE)


@dataclass
class LoginWorld:
    """The database file, the server, and the processes of a test."""

    path: Path
    clock: FakeClock = field(default_factory=FakeClock)
    kind: type[SharedLogin] = SharedLogin
    store_kind: type[LedgerLogins] = LedgerLogins
    databases: list[SqliteDatabase] = field(default_factory=list)
    reached: list[str] = field(default_factory=list)
    first: str | None = FIRST

    def __post_init__(self) -> None:
        self.server = TokenServer(self.clock)
        self.store = self.open_store()

    def open_store(self) -> LedgerLogins:
        """Open the database once more."""
        self.databases.append(SqliteDatabase(self.path, Pragmas(), self.clock))
        return self.store_kind(self.databases[-1], lambda _: KEY)

    def process(self, *, dies_at: str = "", store: LoginStore | None = None, name: str = "host:1") -> SharedLogin:
        """Start a process that dies at a checkpoint, if one is named."""

        def checkpoint(point: str) -> None:
            self.reached.append(point)
            if point == dies_at:
                raise Killed

        return self.kind(
            ACCOUNT,
            store=store or self.store,
            renew=self.server.renew,
            clock=self.clock,
            first=lambda: self.first,
            instance=name,
            command=f"comporta connect mercadolivre {ACCOUNT}",
            checkpoint=checkpoint,
        )

    @property
    def progress(self) -> Progress:
        """Return the sign of life of some run."""
        return Progress(self.clock)

    def passes(self, share: float = 0.6) -> datetime:
        """Let a share of a pair's life pass."""
        self.clock.advance(LIFE * share)
        return self.clock.now()

    def row(self, columns: str = "state") -> Sequence[object]:
        """Return columns of the login's row."""
        found = self.databases[0].read(lambda s: s.connection.execute(f"SELECT {columns} FROM cmp_login").fetchone())
        return tuple(found) if found is not None else ()

    def close(self) -> None:
        """Close every database."""
        for database in self.databases:
            database.close()
