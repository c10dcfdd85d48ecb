"""What keeps us from a pair of tokens is said of no record, which would wait in quarantine for it."""

import pytest
from tests.sources.mercadolivre_desk import Desk, Spoken, StandIn
from tests.sources.scripted import ScriptedServer, SteppingClock, http

from comporta.errors import ComportaError, SourceBadGateway, SourceRefused
from comporta.ports.login import Tokens
from comporta.ports.progress import Progress


class Failing(StandIn):
    """A login that begins to fail when its pair is refused, or has to be renewed."""

    def __init__(self, clock: SteppingClock, error: ComportaError, *, good_for: int) -> None:
        super().__init__(lambda: "APP_USR-token", clock)
        self._error = error
        self._good_for = good_for

    async def tokens(self, progress: Progress) -> Tokens:
        self._good_for -= 1
        if self._good_for < 0:
            raise self._error
        return await super().tokens(progress)

    async def refused(self, tokens: Tokens, progress: Progress) -> Tokens:
        raise self._error


@pytest.mark.parametrize("good_for", [1, 9])
async def test_a_login_that_is_refused_ends_the_look(
    server: ScriptedServer, clock: SteppingClock, good_for: int
) -> None:
    """A wrong secret, say: before the first record, or when a token is refused."""
    server.overrides = Spoken(lambda path, query: http({"message": "invalid"}, status=401))
    desk = Desk(server.url, clock, Failing(clock, SourceRefused("invalid_client"), good_for=good_for))
    reader = await desk.read("packs")

    with pytest.raises(SourceRefused, match="invalid_client"):
        await reader.fetch([5, 6])
    await desk.source.aclose()


async def test_a_login_that_cannot_be_renewed_now_says_nothing_of_the_records(
    server: ScriptedServer, clock: SteppingClock
) -> None:
    """The next attempt asks for them again."""
    server.overrides = Spoken(lambda path, query: http({"message": "invalid"}, status=401))
    desk = Desk(server.url, clock, Failing(clock, SourceBadGateway("oauth answered 500"), good_for=9))

    page = await (await desk.read("packs")).fetch([5, 6])

    assert (page.rows, page.unseen) == ([], [])
    assert isinstance(page.failure, SourceBadGateway)
    await desk.source.aclose()
