"""The end of a process that was told to end: in a bounded time, whatever it still waits for.

A database that another program keeps locked, or that answers no more, would hold up the end of every run and then the
closing, one after another. After the deadline the process ends as it would by a kill, which nothing here minds: what
was not committed is rolled back, and what still runs is taken up by another process when its lease has run out.
One thing is waited for: a pair of tokens that was just bought, or is being bought, exists once and must get onto the
disk. A renewal that has sent nothing yet is not.
"""

import threading
from collections.abc import Callable

DEADLINE_S = 8.0
"""Whoever stops a process (systemd, Docker, a person) is promised ten seconds."""
LOOK_S = 0.5
MOST_S = 180.0
"""Longer than a new pair of tokens is tried to be stored."""


class Deadline:
    """Ends this process if it has not ended by itself some time after it was told to."""

    def __init__(
        self,
        *,
        is_needed: Callable[[], bool],
        end: Callable[[], None],
        after_s: float = DEADLINE_S,
        most_s: float = MOST_S,
    ) -> None:
        """Put the end off, once it is due, while the process ``is_needed``."""
        self._is_needed = is_needed
        self._end = end
        self._after_s = after_s
        self._most_s = most_s
        self._is_over = threading.Event()

    def begin(self) -> None:
        """Count from now on."""
        threading.Thread(target=self._wait, name="comporta-deadline", daemon=True).start()

    def call_off(self) -> None:
        """Let the process end by itself: nothing is left that it may wait for."""
        self._is_over.set()

    def _wait(self) -> None:
        waited_s, next_s = 0.0, self._after_s
        while not self._is_over.wait(next_s):
            waited_s, next_s = waited_s + next_s, LOOK_S
            if waited_s >= self._most_s or not self._is_needed():
                self._end()
                return
