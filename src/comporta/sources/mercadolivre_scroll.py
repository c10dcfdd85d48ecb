"""Reading a list by scroll, where a step that was taken is gone although its answer may never have arrived.

Whoever asks again gets the step after it, and a page is missing without a word. So what came is counted against the
total that the scroll itself told; where it is less, or the scroll ended before its time, all is scanned again. Two
scans that bring the very same prove that the total is wrong and not the scan; unless a full step names no next one,
which is what a source answers that does not know scans.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from comporta.core.record import Key
from comporta.errors import SourceIncomplete, SourceRefused

SCANS_MAX = 4
"""How often a list is scanned before the run fails with the numbers."""
VAIN_MAX = 3
"""Steps in a row that bring nothing new; then the scroll goes round in circles."""


class Step(Protocol):
    """One answer of a scroll; without ``scroll`` nothing follows it."""

    @property
    def keys(self) -> Sequence[Key]:
        """Return the keys of what came."""

    @property
    def total(self) -> int | None:
        """Return how many there are in all, if it was told."""

    @property
    def scroll(self) -> str | None:
        """Return what to ask for the next step with."""


S = TypeVar("S", bound=Step)


async def scanned(ask: Callable[[str | None], Awaitable[S]], subject: str, *, size: int) -> AsyncGenerator[S, None]:
    """Yield the steps of a scan, and of further ones until one was whole: what came before comes again.

    ``size`` is how many records a step may bring.
    """
    before: set[Key] | None = None
    numbers = []
    for _ in range(SCANS_MAX):
        found, total, is_ended = set[Key](), 0, False
        vain, scroll = 0, None
        while not is_ended:
            step = await _next(ask, scroll)
            if step is None:
                break
            vain = vain + 1 if found.issuperset(step.keys) else 0
            found.update(step.keys)
            total = step.total or total
            is_no_scan = scroll is step.scroll is None and size <= len(step.keys) < total
            scroll = step.scroll
            is_ended = not step.keys or (scroll is None and not is_no_scan) or vain >= VAIN_MAX
            yield step
            if scroll is None:
                break
        numbers.append(f"{len(found)} of {total}")
        if is_ended and (len(found) >= total or found == before):
            return
        before = found if is_ended else before
    message = f"{subject}: {SCANS_MAX} scans brought {', '.join(numbers)}; expected one that is whole, or two alike"
    raise SourceIncomplete(message)


async def _next(ask: Callable[[str | None], Awaitable[S]], scroll: str | None) -> S | None:
    """Return the next step, ``None`` where the scroll is not known any more: it is good for five minutes."""
    try:
        return await ask(scroll)
    except SourceRefused as error:
        if scroll is None or type(error) is not SourceRefused:  # a login or a right that is missing is no scroll
            raise
        return None
