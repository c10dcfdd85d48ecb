"""Whether what was said instead of a record is about that record, or about the source.

One record that answers oddly, however often it is asked for, must not stop the others: it is handed on with what was
said. A login that is lost, a right that the application lacks, a throttle, a filter that is ignored and a server that
cannot be reached concern every record, and end the run. Where that may pass, what was told before is kept: else one
that throttles after so many requests would be asked for the same ones for ever. That all of many answered oddly,
whoever asked can tell.

A server in trouble fails for every record, each time that it is tried: so after some that failed, one after the other,
the rest is not asked for, and counts as failed. Records that fail for ever must not make others look so: they are asked
for in no order, another one each time, so that any of them may come first; and where others were told, more must fail.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from random import Random
from typing import TypeVar

from comporta.core.record import REFUSED_LEAST, Key, Rejected
from comporta.errors import ComportaError, RecordAbsent, Retryable, SourceTimedOut

K = TypeVar("K", bound=object)
T = TypeVar("T")
OUTAGE_LEAST = 2 * REFUSED_LEAST
"""So many records that a server failed to tell, and none that it answered for, are an outage."""
OUTAGE_AMIDST = 5 * OUTAGE_LEAST
"""So many in a row are one that began after it answered: of a thousand records four in five may fail for ever."""
SLOW_WEIGHT = OUTAGE_LEAST
"""One that did not answer in time counts for so many: it was waited for for minutes, as long as ten that failed."""


class Look:
    """One look at many records, each asked for by itself."""

    def __init__(self) -> None:
        self._failed = 0
        self._weight = 0
        self._has_answered = False
        self._last: ComportaError | None = None
        self._end: ComportaError | None = None

    async def told_or_why(self, asking: Callable[[], Awaitable[T]], *, is_one: bool = True) -> T | ComportaError:
        """Return what is told of one record, or why nothing is; raise what is not about this one and does not pass.

        That many records asked for at once failed (not ``is_one``) may be any one's doing, and speaks of no outage.
        """
        if self._end is not None:
            return self._end
        if self._last is not None and self._weight >= (OUTAGE_AMIDST if self._has_answered else OUTAGE_LEAST):
            message = f"not asked for: the server failed for the {self._failed} before it (last: {self._last.message})"
            return type(self._last)(message)
        try:
            told = await asking()
        except ComportaError as error:
            if not error.is_of_one and not isinstance(error, Retryable):
                raise
            if not error.is_of_one:
                self._end = error
            elif not isinstance(error, Retryable):
                self._answered()
            elif is_one:
                self._failed, self._last = self._failed + 1, error
                self._weight += SLOW_WEIGHT if isinstance(error, SourceTimedOut) else 1
            return error
        self._answered()
        return told

    def _answered(self) -> None:
        self._failed = self._weight = 0
        self._has_answered = True


async def each_told(
    ask: Callable[[K], Awaitable[T]], keys: Sequence[K], *, width: int, dice: Random
) -> list[T | ComportaError]:
    """Return what is told of each record, or why nothing is, in the order of the keys, each of which is there once."""
    look = Look()
    return await in_no_order(lambda key: look.told_or_why(partial(ask, key)), keys, width=width, dice=dice)


async def in_no_order(look: Callable[[K], Awaitable[T]], keys: Sequence[K], *, width: int, dice: Random) -> list[T]:
    """Return what ``look`` says of each key, in their order; in which they are asked for is chance."""
    places = list(range(len(keys)))
    dice.shuffle(places)
    told = dict(zip(places, await _side_by_side(lambda place: look(keys[place]), places, width=width), strict=True))
    return [told[place] for place in range(len(keys))]


async def _side_by_side(look: Callable[[K], Awaitable[T]], keys: Sequence[K], *, width: int) -> list[T]:
    """Return what ``look`` says of each key, ``width`` of them asked at once; the first that fails ends the rest."""
    gate = asyncio.Semaphore(width)

    async def one(key: K) -> T:
        async with gate:
            return await look(key)

    looks = [asyncio.ensure_future(one(key)) for key in keys]
    try:
        return list(await asyncio.gather(*looks))
    finally:
        for each in looks:
            each.cancel()
        await asyncio.gather(*looks, return_exceptions=True)


def end_of(told: Iterable[object]) -> ComportaError | None:
    """Return what ended a look before all was asked for."""
    return next((each for each in told if isinstance(each, ComportaError) and not each.is_of_one), None)


def failure_of_all(told: Sequence[object]) -> ComportaError | None:
    """Return the first error where each of many records was refused or answered oddly."""
    failures = [each for each in told if isinstance(each, ComportaError) and not isinstance(each, RecordAbsent)]
    return failures[0] if len(failures) == len(told) >= REFUSED_LEAST else None


def unseen(answers: Iterable[tuple[Key, object]]) -> list[Rejected]:
    """Return what was said instead of records, of pairs of key and answer."""
    return [Rejected.untold(key, each) for key, each in answers if isinstance(each, ComportaError) and each.is_of_one]
