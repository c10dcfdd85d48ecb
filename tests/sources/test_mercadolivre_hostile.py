"""Searches for orders that no decent server would answer so: no page, no total, the same page for ever."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.sources.mercadolivre_desk import SELLER, Desk, Spoken, StandIn, keys_of, pages_of
from tests.sources.scripted import Reply, ScriptedServer, SteppingClock, http

from comporta.core.instant import instant_text
from comporta.errors import FilterIgnored, SourceChangedShape


def search(count: int, offset: int, **paging: object) -> Mapping[str, Any]:
    """Return a page of a search."""
    stamp = "2026-11-22T10:00:00.000-00:00"
    line = {"item": {"id": "MLB1"}, "quantity": 1}
    rows = [
        {"id": 1_000 + each, "date_created": stamp, "last_updated": stamp, "order_items": [line]}
        for each in range(offset, offset + count)
    ]
    return {"results": rows, "paging": paging}


async def told_by(server: ScriptedServer, clock: SteppingClock, answers: list[object]) -> Desk:
    """Return an account at a server that gives these answers to searches, the last for ever."""

    def say(path: str, query: Mapping[str, str]) -> Reply:
        if path.endswith("/search"):
            return http(answers.pop(0) if len(answers) > 1 else answers[0])
        return http({"id": SELLER})

    server.overrides = Spoken(say)
    return Desk(server.url, clock, StandIn(lambda: "APP_USR-token", clock), page_size=10)


@pytest.mark.parametrize(
    "answer",
    [{}, [], None, {"results": None}, {"results": {}}, {"results": [1]}],
)  # fmt: skip
async def test_an_answer_that_is_no_page_stops_the_run(
    server: ScriptedServer, clock: SteppingClock, answer: object
) -> None:
    """It is never taken for an empty one."""
    desk = await told_by(server, clock, [answer])

    with pytest.raises(SourceChangedShape):
        await pages_of(await desk.read())
    await desk.source.aclose()


@pytest.mark.parametrize("odd", [{"status": "paid"}, {"id": None}, {"id": "x"}, {"id": True}, {"id": 2**63}])
async def test_an_order_without_a_sound_id_waits_and_the_others_go_on(
    server: ScriptedServer, clock: SteppingClock, odd: Mapping[str, Any]
) -> None:
    """It is met once, though pages overlap on it, and is no reason to list anything."""
    first, second = search(10, 0, total=15), search(6, 9, total=15)
    first["results"][9] = second["results"][0] = {**first["results"][9], "id": None, **odd}
    desk = await told_by(server, clock, [first, second])
    reader = await desk.read(concurrency=1)

    pages = await pages_of(reader)

    assert keys_of(*pages) == [each for each in range(1_000, 1_015) if each != 1_009]
    assert sum(len(page.rejected) for page in pages) == 1
    assert reader.is_unbroken
    await desk.source.aclose()


@pytest.mark.parametrize("paging", [{}, {"total": None}, {"total": "25"}, {"total": -1}, {"total": True}])
async def test_a_total_that_is_none_is_not_needed(
    server: ScriptedServer, clock: SteppingClock, paging: dict[str, Any]
) -> None:
    """The end is asked for once more instead; the page that overlaps proves the rest."""
    answers: list[object] = [search(10, 0, **paging), search(10, 9, **paging), search(7, 18, **paging)]
    desk = await told_by(server, clock, [*answers, search(0, 25, **paging)])
    reader = await desk.read(concurrency=1)

    assert len(keys_of(*await pages_of(reader))) == 25
    assert reader.is_unbroken
    await desk.source.aclose()


async def test_more_than_was_asked_for_is_no_page(server: ScriptedServer, clock: SteppingClock) -> None:
    """Whoever ignores the limit may ignore anything."""
    desk = await told_by(server, clock, [search(11, 0, total=11)])

    with pytest.raises(FilterIgnored, match="11 orders; expected at most the 10"):
        await pages_of(await desk.read())
    await desk.source.aclose()


async def test_the_same_page_for_ever_ends_the_run(server: ScriptedServer, clock: SteppingClock) -> None:
    """A proxy that drops the offset."""
    desk = await told_by(server, clock, [search(10, 0, total=500)])

    with pytest.raises(FilterIgnored, match="none but the 10 records"):
        await pages_of(await desk.read(concurrency=1))
    await desk.source.aclose()


async def test_an_order_that_changes_between_index_and_answer_is_no_ignored_filter(
    server: ScriptedServer, clock: SteppingClock
) -> None:
    """A search may find it by what it was, and show it as it is; one that changed before we began is another matter."""
    since = datetime(2026, 3, 1, 10, tzinfo=UTC)
    answer = search(3, 0, total=3)
    for row in answer["results"]:
        row["last_updated"] = row["date_last_updated"] = instant_text(since)
    desk = await told_by(server, clock, [answer])
    reader = await desk.read(concurrency=1)
    begun = await reader.clock()

    answer["results"][1]["date_last_updated"] = instant_text(begun + timedelta(seconds=1))
    assert keys_of(*await pages_of(reader, since, since + timedelta(hours=1))) == [1_000, 1_001, 1_002]
    answer["results"][1]["date_last_updated"] = instant_text(begun - timedelta(days=1))
    with pytest.raises(FilterIgnored):
        await pages_of(reader, since, since + timedelta(hours=1))
    await desk.source.aclose()
