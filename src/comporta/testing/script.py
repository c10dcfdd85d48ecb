"""What goes wrong at a fake source, and when: the n-th request of a kind fails, hangs, lies or is late.

Every request that a fake reader makes is announced here by its kind: ``login``, ``clock``, ``count``,
``page``, ``follower``, ``listing``, ``fetch``, ``children``, ``existing``, ``buckets``, ``lookups``.
Requests are counted from the moment the turn is written, so a test says "the third page from now".
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from comporta.errors import ComportaError

CALLS = (
    "login", "clock", "count", "page", "follower", "listing", "fetch", "children", "existing", "buckets", "lookups",
)  # fmt: skip
"""The kinds of requests, for tests that fail each of them in turn."""
T = TypeVar("T")


@dataclass(slots=True)
class Turn:
    """One scripted deviation; ``reached`` is set when a request came to it first."""

    call: str
    skip: int
    times: int | None
    does: Callable[[], object] | None
    raises: ComportaError | Exception | None
    answers: Callable[[Any], Any] | None
    waits: bool
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        """Let those go on who wait here."""
        self.released.set()

    def takes(self) -> bool:
        """Count a request and say whether this turn is its."""
        if self.skip:
            self.skip -= 1
            return False
        if self.times == 0:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Script:
    """The turns of one source; ``watch`` is called before and after each request, and may end it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.watch: Callable[[], object] | None = None
        self._turns: list[Turn] = []

    def on(
        self,
        call: str,
        *,
        skip: int = 0,
        times: int | None = 1,
        does: Callable[[], object] | None = None,
        raises: Exception | None = None,
        answers: Callable[[Any], Any] | None = None,
        waits: bool = False,
    ) -> Turn:
        """Write a turn: after ``skip`` requests of that kind, ``times`` of them go another way.

        ``does`` acts before the request is answered, ``answers`` changes the answer, ``waits`` holds the
        request until ``release``, which may never come: then the request hangs.
        """
        assert call in CALLS, f"there is no request called {call!r}; there are: {', '.join(CALLS)}"
        turn = Turn(call, skip, times, does, raises, answers, waits)
        self._turns.append(turn)
        return turn

    def clear(self) -> None:
        """Forget every turn: the source is well again."""
        self._turns = []

    async def play(self, call: str, answer: Callable[[], T]) -> T:
        """Answer one request, as the script says."""
        self.asked.append(call)
        if self.watch is not None:
            self.watch()
        taken = [turn for turn in self._turns if turn.call == call and turn.takes()]
        for turn in taken:
            turn.reached.set()
            if turn.waits:
                await turn.released.wait()
            if turn.does is not None:
                turn.does()
            if turn.raises is not None:
                raise turn.raises
        said = answer()
        for turn in taken:
            said = said if turn.answers is None else turn.answers(said)
        if self.watch is not None:
            self.watch()
        return said
