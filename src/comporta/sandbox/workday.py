"""The hours of the people in a simulated company: a thread that makes so many changes a second.

A rate is kept over time: whoever was held up catches up.
"""

from collections.abc import Callable
from threading import Event, Thread

from comporta.sandbox.reality import Reality

STOP_PATIENCE_S = 5.0


class Workday:
    """Calls ``step`` at a rate, from ``start`` to ``stop``."""

    def __init__(self, step: Callable[[], None], reality: Reality) -> None:
        self._step = step
        self._reality = reality
        self._stopping = Event()
        self._thread: Thread | None = None

    @property
    def is_on(self) -> bool:
        """Tell whether the thread is at work."""
        return self._thread is not None

    def start(self, rate: float) -> None:
        """Begin, on a thread of its own; whoever is at work already is relieved first."""
        self.stop()
        self._stopping = Event()
        self._thread = Thread(target=self._work, args=(rate, self._stopping), name="sandbox-people", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, and wait until the change in hand is made."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(STOP_PATIENCE_S)
            self._thread = None

    def _work(self, rate: float, stopping: Event) -> None:
        began = self._reality.monotonic()
        done = 0
        while not stopping.is_set():
            ahead = began + done / rate - self._reality.monotonic()
            if ahead > 0 and self._reality.wait(stopping, ahead):
                return
            self._step()
            done += 1
