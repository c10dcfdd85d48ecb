"""A server that takes so many requests in any second and no more, in a thread of its own; it keeps account.

``others`` is how many of them another integration uses, evenly; it is let in as everybody is. When the machine is so
busy that the server itself wakes late, it takes that much off the second: it cannot say when something came.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import mean, median
from typing import Self

SECOND = 1.0
TICK_S = 0.001
LATE_MAX_S = 0.05


def shares_used(arrived: Sequence[float], limit: int) -> tuple[float, float]:
    """Return how much of the limit was used usually, and over all: the second after the first burst, and later.

    From one request to the ``limit``-th after it a second passes at least, whether they come in bursts or evenly. What
    passes usually is what a budget costs by its design; over all, what a machine costs too that lets nobody work for
    some tenths of a second. The first burst is left out: it is spread over as long as processes take to connect.
    """
    came = arrived[limit:]
    apart = [later - first for first, later in zip(came, came[limit:], strict=False)]
    return SECOND / median(apart), SECOND / mean(apart)


@dataclass
class StrictServer:
    """``arrived`` are the instants of the requests that were let in.

    ``too_early`` says of each other how long after the request in its way it came, and how long after the first.
    """

    limit: int
    latency_s: float = 0.0
    others: int = 0
    retry_after: str | None = None
    arrived: list[float] = field(default_factory=list)
    too_early: list[tuple[float, float]] = field(default_factory=list)
    url: str = ""

    def __enter__(self) -> Self:
        self._recent: deque[float] = deque()
        self._late: deque[tuple[float, float]] = deque()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.url = asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._ticking = asyncio.ensure_future(self._tick())
        self._other = asyncio.ensure_future(self._use()) if self.others else None
        host, port = self._server.sockets[0].getsockname()
        return f"http://{host}:{port}/"

    async def _shut(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _tick(self) -> None:
        """Note how late this thread wakes."""
        while True:
            due = time.monotonic() + TICK_S
            await asyncio.sleep(TICK_S)
            late = time.monotonic() - due
            self._late.append((due, min(LATE_MAX_S, late)))
            while self._late[0][0] < due - 1.1 * SECOND:
                self._late.popleft()

    def _let_in(self, now: float) -> bool:
        unsure_s = max((late for _, late in self._late), default=0.0)
        while self._recent and now - self._recent[0] >= SECOND - unsure_s:
            self._recent.popleft()
        if len(self._recent) >= self.limit:
            return False
        self._recent.append(now)
        return True

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                now = time.monotonic()
                is_in = self._let_in(now)
                if is_in:
                    self.arrived.append(now)
                else:
                    self.too_early.append((now - self._recent[0], now - (self.arrived or [now])[0]))
                await asyncio.sleep(self.latency_s)
                writer.write(self._answer(is_in=is_in))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self, *, is_in: bool) -> bytes:
        wish = f"Retry-After: {self.retry_after}\r\n" if self.retry_after and not is_in else ""
        status = "200 OK" if is_in else "429 Too Many Requests"
        return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n{wish}\r\n{{}}".encode()

    async def _use(self) -> None:
        due = time.monotonic()
        while True:
            self._let_in(time.monotonic())
            due += SECOND / self.others
            await asyncio.sleep(max(0.0, due - time.monotonic()))
