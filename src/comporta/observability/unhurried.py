"""Standard error for a server: whoever writes a line never waits for whoever reads it.

A pipe that nobody reads is full after 64 KiB, and a terminal after Ctrl+S at once; a write into it waits for ever, and
with it everything else that thread does. So lines are queued here and written by a thread that has nothing else to do.
What finds the queue full is dropped and counted; as soon as half of the queue is free again, it is told how much.

The thread writes to the descriptor, past Python's own buffer: that has a lock, and a process whose thread never gives
it back cannot end.
"""

import atexit
import io
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

QUEUED_MAX = 1 << 20
"""In characters: some thousand lines."""
PATIENCE_S = 1.0
"""How long the end of the process waits for what is still queued."""
AGAIN_S = 0.05
"""When to try again where the descriptor says that it takes nothing now, as only one set not to wait does."""


class Unhurried(io.TextIOBase):
    """A text stream whose ``write`` and ``flush`` return at once."""

    def __init__(self, descriptor: int, dropped: Callable[[int], None], told: Callable[[int], None]) -> None:
        """Tell ``dropped`` of each line that is lost, and ``told`` how many were as soon as that can be written."""
        self._descriptor = descriptor
        self._on_dropped = dropped
        self._on_room = told
        self._begun = ""
        self._queue: deque[str] = deque()
        self._queued = 0
        self._lost = 0
        self._is_ending = False
        self._changed = threading.Condition(threading.RLock())
        self._thread = threading.Thread(target=self._write_until_ended, name="comporta-stderr", daemon=True)
        self._thread.start()

    def writable(self) -> bool:
        """Say that it can be written."""
        return True

    def isatty(self) -> bool:
        """Say whether a person watches."""
        return os.isatty(self._descriptor)

    def write(self, text: str) -> int:
        """Queue what are whole lines; the rest waits for its end. Return the number of characters."""
        with self._changed:
            lines = (self._begun + text).splitlines(keepends=True)
            rest = lines.pop() if lines and not lines[-1].endswith("\n") else ""
            self._begun = ""  # what is told of a loss is written in between
            for line in lines:
                self._put(line)
            self._begun = rest
        return len(text)

    def end(self, patience_s: float = PATIENCE_S) -> None:
        """Write what is queued, for as long as that may take at most."""
        with self._changed:
            if self._begun:
                self.write("\n")
            self._is_ending = True
            self._changed.notify()
        self._thread.join(patience_s)

    def _put(self, line: str) -> None:
        room = QUEUED_MAX // 2 if self._lost else QUEUED_MAX
        if self._queued and self._queued + len(line) > room:
            self._drop()
            return
        if self._lost:
            lost, self._lost = self._lost, 0
            self._on_room(lost)
        self._queue.append(line)
        self._queued += len(line)
        self._changed.notify()

    def _drop(self) -> None:
        self._lost += 1
        self._on_dropped(1)

    def _write_until_ended(self) -> None:
        while (line := self._next()) is not None:
            is_written = self._is_written(line.encode(errors="replace"))
            with self._changed:
                self._queued -= len(line)
                if not is_written:
                    self._drop()

    def _next(self) -> str | None:
        """Wait for the next line; ``None`` is the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._is_ending)
            return self._queue.popleft() if self._queue else None

    def _is_written(self, line: bytes) -> bool:
        """Write a line, and say whether the descriptor took it."""
        while line:
            try:
                line = line[os.write(self._descriptor, line) :]
            except BlockingIOError:
                threading.Event().wait(AGAIN_S)
            except OSError:
                return False
        return True


def write_the_last() -> None:
    """Write what is queued before the process ends without Python's own end."""
    if isinstance(sys.stderr, Unhurried):
        sys.stderr.end()


def hurry_nobody(dropped: Callable[[int], None], told: Callable[[int], None]) -> None:
    """Make this process's standard error unhurried until it ends; one that is closed or no file stays as it is."""
    if sys.stderr is None:
        return
    with suppress(io.UnsupportedOperation):
        unhurried = Unhurried(sys.stderr.fileno(), dropped, told)
        sys.stderr = unhurried
        atexit.register(unhurried.end)
