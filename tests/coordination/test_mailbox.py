"""The way in for notifications: answered after they are kept, together where they come so, in time or not at all."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from comporta.coordination import mailbox
from comporta.coordination.mailbox import TOGETHER_MAX, Mailbox
from comporta.core.notification import Notification
from comporta.errors import DestinationBusy, DestinationRefused

SOON = timedelta(milliseconds=20)


def told(number: int) -> Notification:
    """Return a notification."""
    return Notification("market", "7", "things", f"/things/{number}")


class Database:
    """Keeps when it is let, or fails."""

    def __init__(self) -> None:
        self.groups: list[Sequence[Notification]] = []
        self.kept: list[Notification] = []
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.problem: DestinationRefused | None = None

    async def keep(self, told: Sequence[Notification]) -> None:
        self.groups.append(told)
        self.begun.set()
        await self.gate.wait()
        if self.problem is not None:
            raise self.problem
        self.kept += told


async def test_nobody_is_answered_before_his_is_kept() -> None:
    """What is answered is committed, and what wakes the rest comes after it."""
    database, woken = Database(), asyncio.Event()
    box = Mailbox(database.keep, on_kept=woken.set)
    answer = asyncio.ensure_future(box.post(told(1)))
    await database.begun.wait()
    for _ in range(10):
        await asyncio.sleep(0)
    was_answered, was_woken = answer.done(), woken.is_set()
    database.gate.set()
    await answer

    assert (was_answered, was_woken) == (False, False)
    assert woken.is_set()
    assert database.kept == [told(1)]


async def test_what_comes_while_one_is_kept_is_kept_together() -> None:
    """A flood costs as many transactions as it takes time, not as it has notifications."""
    database = Database()
    box = Mailbox(database.keep)
    answers = [asyncio.ensure_future(box.post(told(0)))]
    await database.begun.wait()
    answers += [asyncio.ensure_future(box.post(told(number))) for number in range(1, TOGETHER_MAX + 2)]
    await asyncio.sleep(0)
    database.gate.set()
    await asyncio.gather(*answers)
    await box.aclose()

    assert [len(group) for group in database.groups] == [1, TOGETHER_MAX, 1]
    assert database.kept == [told(number) for number in range(TOGETHER_MAX + 2)]


async def test_who_waits_too_long_is_told_to_come_again() -> None:
    """What is not under way yet is not kept either; what is, may be."""
    database = Database()
    box = Mailbox(database.keep, patience=SOON)
    answers = await asyncio.gather(*(box.post(told(number)) for number in range(3)), return_exceptions=True)
    database.gate.set()
    await box.aclose()
    await box.post(told(9))

    assert [type(answer) for answer in answers] == [DestinationBusy] * 3
    assert told(9) in database.kept
    assert len(database.groups) == 2


async def test_no_more_wait_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are told at once, so that the sender comes again."""
    monkeypatch.setattr(mailbox, "WAITING_MAX", 2)
    database = Database()
    box = Mailbox(database.keep)
    answers = [asyncio.ensure_future(box.post(told(0)))]
    await database.begun.wait()
    answers += [asyncio.ensure_future(box.post(told(number))) for number in (1, 2, 3)]
    done, _ = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
    database.gate.set()
    await asyncio.gather(*answers[:3])

    assert done == {answers[3]}
    with pytest.raises(DestinationBusy, match="2 notifications wait"):
        await answers[3]


async def test_what_the_database_refuses_is_told_to_everybody_in_it() -> None:
    """And the next ones are tried again."""
    database = Database()
    database.problem = DestinationRefused("the disk is full")
    database.gate.set()
    box = Mailbox(database.keep)
    with pytest.raises(DestinationRefused, match="full"):
        await box.post(told(1))
    database.problem = None
    await box.post(told(2))

    assert database.kept == [told(2)]


async def test_a_mailbox_that_was_never_used_closes() -> None:
    """There is nothing to wait for."""
    await Mailbox(Database().keep).aclose()


async def test_what_still_waits_when_its_sender_is_sent_away_is_not_kept() -> None:
    """It comes again, and would be there twice for it."""
    database = Database()
    box = Mailbox(database.keep, patience=SOON)
    first = asyncio.ensure_future(box.post(told(1)))
    await database.begun.wait()
    with pytest.raises(DestinationBusy):
        await box.post(told(2))
    database.gate.set()
    (answer,) = await asyncio.gather(first, return_exceptions=True)
    await box.aclose()

    assert isinstance(answer, DestinationBusy)
    assert database.groups == [[told(1)]]
