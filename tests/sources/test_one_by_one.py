"""Looks at many records, each asked for by itself: what is one record's own, and what is an outage."""

from collections.abc import Collection
from random import Random

import pytest

from comporta.errors import (
    ComportaError,
    FilterIgnored,
    LoginNeeded,
    LoginRefused,
    RateLimited,
    RecordAbsent,
    SourceAnsweredPage,
    SourceBadGateway,
    SourceChangedShape,
    SourceRefused,
    SourceTimedOut,
    SourceTruncated,
    SourceUnavailable,
)
from comporta.errors_mercadolivre import ItemsUntold, PolicyRefused, TokenRefused
from comporta.sources.one_by_one import each_told, end_of

OF_ONE = [RecordAbsent, SourceRefused, SourceChangedShape, SourceBadGateway, SourceTruncated, SourceAnsweredPage]
OF_ALL = [LoginRefused, LoginNeeded, TokenRefused, PolicyRefused, FilterIgnored]
PASSING = [RateLimited, SourceUnavailable]


class Server:
    """Tells of records until it breaks, and never of some; counts what it was asked."""

    def __init__(self, *, breaks_after: int | None = None, odd: Collection[int] = (), error: ComportaError) -> None:
        self.asked = 0
        self._breaks_after = breaks_after
        self._odd = odd
        self._error = error

    async def ask(self, key: int) -> int:
        self.asked += 1
        is_broken = self._breaks_after is not None and self.asked > self._breaks_after
        if is_broken or key in self._odd:
            raise self._error
        return key

    async def look(self, count: int, *, seed: int = 1) -> list[int | ComportaError]:
        return await each_told(self.ask, range(count), width=2, dice=Random(seed))


@pytest.mark.parametrize("kind", [*OF_ONE, SourceTimedOut, ItemsUntold])
async def test_what_may_be_one_records_own_stops_no_other(kind: type[ComportaError]) -> None:
    """It is handed on, and the others are told."""
    told = await Server(odd={7}, error=kind("odd")).look(20)

    assert [key for key, each in enumerate(told) if isinstance(each, kind)] == [7]


@pytest.mark.parametrize("kind", OF_ALL)
async def test_what_is_about_all_ends_the_look(kind: type[ComportaError]) -> None:
    """Although all others would be told."""
    with pytest.raises(kind):
        await Server(odd={7}, error=kind("odd")).look(20)


@pytest.mark.parametrize("kind", PASSING)
async def test_what_is_about_all_and_may_pass_keeps_what_was_told_before(kind: type[ComportaError]) -> None:
    """Nobody else is asked for; a source that throttles after so many would tell of the same ones for ever."""
    server = Server(breaks_after=12, error=kind("later"))

    told = await server.look(20)

    assert sum(isinstance(each, int) for each in told) == 12
    assert isinstance(end_of(told), kind)
    assert server.asked <= 12 + 2


@pytest.mark.parametrize("breaks_after", [0, 1, 500])
async def test_an_outage_in_the_middle_of_a_look_costs_few_requests(breaks_after: int) -> None:
    """That the server answered before does not say that it answers now."""
    server = Server(breaks_after=breaks_after, error=SourceBadGateway("500"))

    told = await server.look(1_000)

    assert server.asked <= breaks_after + 60
    assert sum(isinstance(each, SourceBadGateway) for each in told) == 1_000 - breaks_after


@pytest.mark.parametrize("breaks_after", [0, 500])
async def test_a_server_that_does_not_answer_in_time_is_asked_less(breaks_after: int) -> None:
    """Each request to it takes minutes."""
    server = Server(breaks_after=breaks_after, error=SourceTimedOut("no answer"))

    told = await server.look(1_000)

    assert server.asked <= breaks_after + 6
    assert sum(isinstance(each, SourceTimedOut) for each in told) == 1_000 - breaks_after


@pytest.mark.parametrize("seed", range(5))
async def test_that_most_records_fail_for_ever_is_no_outage(seed: int) -> None:
    """Four in five, in whatever order: the fifth is told."""
    server = Server(odd={key for key in range(1_000) if key % 5}, error=SourceBadGateway("500"))

    told = await server.look(1_000, seed=seed)

    assert [each for each in told if isinstance(each, int)] == [*range(0, 1_000, 5)]
