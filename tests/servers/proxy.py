"""A TCP proxy before PostgreSQL (or a pooler) that cuts connections where it hurts.

The hardest moment is COMMIT. ``drop_before`` cuts before it reaches the server: nothing was kept.
``swallow`` lets the server do it, drops the answer, then cuts: all was kept, and the client cannot tell the
two apart. Only an explicit COMMIT is seen, and not that of a transaction that began as READ ONLY.

The proxy runs in a thread of its own, so it goes on while the code under test blocks. Plain TCP only: a
client that asks for encryption is told that there is none.
"""

import asyncio
import socket
import struct
import threading
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from types import TracebackType
from typing import Literal, Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

from tests.servers.wire import CANCEL, GSS, SSL, Ending, Message, Talk, read_first, read_message

T = TypeVar("T")
Fault = Literal["drop_before", "swallow", "silence", "delay"]
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
LOOPBACK = "127.0.0.1"
PATIENCE_S = 10.0


@dataclass(frozen=True)
class Odds:
    """How likely each fault is: those of a COMMIT for each COMMIT, ``cut`` for each message either way."""

    drop_before: float = 0.0
    swallow: float = 0.0
    delay: float = 0.0
    cut: float = 0.0
    delay_s: float = 0.05


class Proxy:
    """Stands between clients and the server of a URL while its ``with`` block runs."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.target = (parts.hostname or LOOPBACK, parts.port or 5432)
        self.counts: Counter[str] = Counter()
        self.odds, self.seed = Odds(), 0
        self.planned: deque[tuple[int, Fault, float]] = deque()
        self._parts, self._port = parts, 0
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._listener: asyncio.Server | None = None

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._thread.start()
        self.accept()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Cut every connection and end the thread."""
        self._ask(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    @property
    def url(self) -> str:
        """Return the URL of the same database through the proxy."""
        user, at, _ = self._parts.netloc.rpartition("@")
        return urlunsplit(self._parts._replace(netloc=f"{user}{at}{LOOPBACK}:{self._port}"))

    def on_commit(self, fault: Fault, seconds: float = 0.0, *, skip: int = 0) -> None:
        """Do this once, at the next COMMIT whatever the connection, or after letting some of them pass."""
        self.planned.append((skip, fault, seconds))

    def roll(self, seed: int, odds: Odds) -> None:
        """From now on let dice decide; each connection throws its own, so that they do not disturb each other."""
        self.seed, self.odds = seed, odds
        self._ask(self._for_each(_Link.take_dice))

    def cut(self) -> None:
        """Reset every open connection, to the client and to the server, and return when that is done."""
        self._ask(self._cut())

    def half_close(self) -> None:
        """Send no more to the clients and say so; what they send still goes to the server."""
        self._ask(self._for_each(_Link.half_close))

    def silence(self) -> None:
        """Pass nothing on in either direction and close nothing, as when a cable is pulled."""
        self._ask(self._for_each(_Link.silence))

    def refuse(self) -> None:
        """Let no new connection in until ``accept``; those that are open stay."""
        self._ask(self._close())

    def accept(self) -> None:
        """Let connections in, at the same port as before."""
        self._ask(self._listen())

    def next_fault(self, dice: Random) -> tuple[Fault | None, float]:
        """Return what to do at this COMMIT: what was planned first, then what the dice say."""
        if self.planned:
            skip, fault, seconds = self.planned.popleft()
            if skip == 0:
                return fault, seconds
            self.planned.appendleft((skip - 1, fault, seconds))
            return None, 0.0
        thrown, odds = dice.random(), self.odds
        table: list[tuple[Fault, float]] = [
            ("drop_before", odds.drop_before),
            ("swallow", odds.swallow),
            ("delay", odds.delay),
        ]
        for fault, chance in table:
            if thrown < chance:
                return fault, odds.delay_s
            thrown -= chance
        return None, 0.0

    def _ask(self, work: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(self._serve, LOOPBACK, self._port)
            self._port = self._listener.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _end(self) -> None:
        await self._close()
        await self._for_each(_Link.reset)
        waiting = asyncio.all_tasks() - {asyncio.current_task()}
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    async def _cut(self) -> None:
        tasks = [link.task for link in self._links]
        await self._for_each(_Link.cut)
        if tasks:
            await asyncio.wait(tasks, timeout=PATIENCE_S)

    async def _for_each(self, what: Callable[["_Link"], None]) -> None:
        for link in list(self._links):
            what(link)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counts["connections"] += 1
        try:
            server = await asyncio.open_connection(*self.target)
        except OSError:
            self.counts["unreachable"] += 1
            _reset(writer)
            return
        link = _Link(self, (reader, writer), server)
        self._links.add(link)
        await link.run()
        self._links.discard(link)


class _Link:
    """One connection of a client, and the proxy's own to the server for it."""

    def __init__(self, proxy: Proxy, client: Stream, server: Stream) -> None:
        self.proxy, self.number = proxy, proxy.counts["connections"]
        self.client, self.server = client, server
        self.talk = Talk()
        self.ending: Ending | None = None
        self.is_silent = self.is_half_closed = False
        self.is_cut = asyncio.Event()
        self.take_dice()
        task = asyncio.current_task()
        assert task is not None
        self.task = task

    def take_dice(self) -> None:
        """Begin a row of throws that depends on the seed and on being the n-th connection."""
        self.dice = Random(f"{self.proxy.seed}/{self.number}")

    async def run(self) -> None:
        """Pass messages on until one side ends."""
        ways = [asyncio.ensure_future(self._lasting(way)) for way in (self._upward(), self._downward())]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        for _, writer in (self.client, self.server):
            writer.close()

    def cut(self) -> None:
        """Reset both connections and count it."""
        self.proxy.counts["cut"] += 1
        self.reset()

    def reset(self) -> None:
        """Reset both connections."""
        self.is_cut.set()
        for _, writer in (self.client, self.server):
            _reset(writer)

    def half_close(self) -> None:
        """Tell the client that nothing more comes, which is then kept."""
        self.proxy.counts["half_closed"] += 1
        self.is_half_closed = True
        self.client[1].write_eof()

    def silence(self) -> None:
        """Pass nothing on from now on."""
        self.proxy.counts["silenced"] += 1
        self.is_silent = True

    async def _lasting(self, way: Coroutine[object, object, None]) -> None:
        """Where the line is silent, let neither side see that the other has gone."""
        try:
            await way
        except (asyncio.IncompleteReadError, ConnectionError):
            if self.is_silent:
                await self.is_cut.wait()

    async def _upward(self) -> None:
        if not await self._greet():
            return
        while True:
            message = await read_message(self.client[0])
            if self.talk.is_commit(message) and not await self._commit():
                return
            if not await self._pass_on(message, self.server[1]):
                return

    async def _downward(self) -> None:
        while True:
            message = await read_message(self.server[0])
            if self.ending is not None:
                if self.ending.is_over(message):
                    self.proxy.counts["swallowed"] += 1
                    self.cut()
                    return
            elif not await self._pass_on(message, self.client[1]):
                return

    async def _greet(self) -> bool:
        """Pass the first message on, and tell whether a conversation follows."""
        code, first = await read_first(self.client[0])
        while code in {SSL, GSS}:
            self.client[1].write(b"N")
            code, first = await read_first(self.client[0])
        self.server[1].write(first)
        await self.server[1].drain()
        return code != CANCEL

    async def _commit(self) -> bool:
        """Do what is planned for this COMMIT, and tell whether it is passed on."""
        self.proxy.counts["commits"] += 1
        fault, seconds = self.proxy.next_fault(self.dice)
        if fault == "drop_before":
            self.proxy.counts["dropped_before"] += 1
            self.cut()
        elif fault == "swallow":
            self.ending = Ending()
        elif fault == "silence":
            self.silence()
        elif fault == "delay":
            self.proxy.counts["delayed"] += 1
            await asyncio.sleep(seconds)
        return fault != "drop_before"

    async def _pass_on(self, message: Message, to: asyncio.StreamWriter) -> bool:
        """Pass a message on unless the dice cut it off; tell whether the connection still stands."""
        if self.ending is None and self.dice.random() < self.proxy.odds.cut:
            self.cut()
            return False
        if not self.is_silent and not (self.is_half_closed and to is self.client[1]):
            to.write(message.raw)
            await to.drain()
        return True


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection with RST: what was not read yet is lost, as when a machine dies."""
    connected: socket.socket = writer.get_extra_info("socket")
    with suppress(OSError):  # the other side was quicker
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
