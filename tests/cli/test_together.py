"""The parts of a server: they end together, and what broke is not kept quiet."""

import asyncio

import pytest

from comporta.cli.serve import together

pytestmark = pytest.mark.anyio


async def test_when_one_part_breaks_all_are_told_to_end_and_the_reason_is_raised() -> None:
    """Else a server would go on that does nothing."""
    stopping = asyncio.Event()
    ended: list[str] = []

    async def lasting() -> None:
        await stopping.wait()
        ended.append("as told")

    async def breaking() -> None:
        message = "broken"
        raise RuntimeError(message)

    with pytest.raises(RuntimeError, match="broken"):
        await together([lasting(), breaking(), lasting()], stop=stopping.set)

    assert ended == ["as told", "as told"]


async def test_parts_that_end_well_end_well() -> None:
    """Each in its own time."""
    done: list[int] = []

    async def part(number: int) -> None:
        done.append(number)

    await together([part(1), part(2)], stop=lambda: done.append(0))

    assert sorted(done) == [1, 2]
