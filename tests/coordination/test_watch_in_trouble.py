"""The watch, where the disk or the book does not answer: the rest is looked at and told as ever."""

import asyncio

import pytest
from tests.coordination.watch_scene import HOUR, MINUTE, Scene

from comporta.coordination.watch import EVERY
from comporta.errors import DestinationRefused


@pytest.mark.parametrize("trouble", ["refuses", "hangs"])
async def test_a_disk_that_does_not_say_how_full_it_is_keeps_nothing_else_from_being_told(
    trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a network share that is away."""
    monkeypatch.setattr("comporta.coordination.watch.LOOK_S", 0.01)
    scene = Scene()

    async def disk() -> tuple[str, int]:
        if trouble == "hangs":
            await asyncio.Event().wait()
        raise OSError("stale file handle")

    scene.watch._disk = disk
    await scene.pass_time(2 * HOUR)

    assert scene.phones[0].heard == ["stale/loja opened"]


async def refused(*_: object, **__: object) -> None:
    """Refuse, as a full disk does."""
    raise DestinationRefused("no space left")


async def test_what_could_not_be_kept_as_told_is_told_again_when_its_claim_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rather twice than never."""
    scene = Scene()
    with monkeypatch.context() as once:
        once.setattr(scene.book, "confirm", refused)
        while not scene.phones[0].heard:
            await scene.pass_time(EVERY)
    await scene.pass_time(HOUR)

    assert scene.phones[0].heard == ["stale/loja opened"] * 2


async def test_a_book_that_cannot_be_read_leaves_the_memory_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was told from memory is told to be over when it is known what the book has of it."""
    scene = Scene()
    scene.book.fails_to_write = DestinationRefused("no space left")
    await scene.pass_time(5 * MINUTE)
    scene.book.fails_to_write = None
    with monkeypatch.context() as once:
        once.setattr(scene.book, "alerts", refused)
        await scene.pass_time(MINUTE)
    before = list(scene.phones[0].heard)
    await scene.pass_time(5 * MINUTE)

    assert before == ["database opened"]
    assert scene.phones[0].heard == ["database opened", "database closed"]
