"""Records that cannot be written wait with their reason; the rest goes on, up to a share."""

import pytest
from tests.engine.workshop import Workshop, at, code, counted

from comporta.core.run import RunState
from comporta.core.window import Kind
from comporta.errors import SourceUnavailable

REASON = "a date of the year 0"


def spoil(workshop: Workshop, *keys: int) -> None:
    """Let the source have records that nobody can write."""
    for key in keys:
        workshop.source.stream().put(key, stamp=at(9), spoilt=REASON)


def mend(workshop: Workshop, *keys: int) -> None:
    """Mend records at the source, as a person would, who thereby stamps them."""
    for key in keys:
        workshop.source.stream().put(key, name="mended")


async def test_a_rejected_record_waits_with_its_reason(workshop: Workshop) -> None:
    """It is counted and kept with what was wrong; all others are written and the window closes."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(9))
    spoil(workshop, 7)

    run = await workshop.run()

    (waiting,) = await workshop.store.quarantine("matriz/sale.order")
    assert counted(run) == (30, 29, 0, 0, 1, 0)
    assert (waiting.key, waiting.reason, waiting.run, waiting.times) == ("7", REASON, run.id, 1)
    assert "records_rejected" in await workshop.steps(run)
    assert (await workshop.covered()).end == at(11, 58)


async def test_a_mended_record_leaves_quarantine(workshop: Workshop) -> None:
    """The next run brings it, and nothing waits any more."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(9))
    spoil(workshop, 7)
    await workshop.run()
    workshop.passes(minutes=30)
    mend(workshop, 7)
    workshop.passes(minutes=30)

    run = await workshop.run()

    assert counted(run) == (1, 1, 0, 0, 0, 0)
    assert await workshop.store.quarantine() == []
    assert workshop.rows() == workshop.truth()


async def test_waiting_records_can_be_tried_again(workshop: Workshop) -> None:
    """A run of their own reads each by key: the mended is written, the deleted is let go, the rest waits on."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(9))
    spoil(workshop, 7, 8, 9)
    await workshop.run()
    mend(workshop, 7)
    workshop.source.stream().remove(8)

    run = await workshop.run(Kind.QUARANTINE)

    (waiting,) = await workshop.store.quarantine()
    assert counted(run) == (2, 1, 0, 0, 1, 0)
    assert (waiting.key, waiting.times) == ("9", 2)


async def test_one_look_in_vain_lets_nothing_go(workshop: Workshop) -> None:
    """A source may fail to find for a moment what it has; nobody would look for it again."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(9))
    spoil(workshop, 8)
    await workshop.run()
    workshop.source.script.on("fetch", answers=lambda _: [])

    run = await workshop.run(Kind.QUARANTINE)

    assert (run.state, counted(run)) == (RunState.SUCCEEDED, (0, 0, 0, 0, 0, 0))
    assert [(each.key, each.reason) for each in await workshop.store.quarantine()] == [("8", REASON)]


async def test_what_the_source_does_not_have_any_more_waits_no_longer(workshop: Workshop) -> None:
    """A complete pass that did not meet it again, and a direct look, let it go; what is still there waits on."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(9))
    spoil(workshop, 7, 8)
    await workshop.run()
    workshop.source.stream().remove(7)
    workshop.passes(minutes=30)

    run = await workshop.run(Kind.FULL)

    assert run.state is RunState.SUCCEEDED, run.error
    assert [each.key for each in await workshop.store.quarantine()] == ["8"]


async def test_too_many_rejections_leave_the_window_open(workshop: Workshop) -> None:
    """Above the share the run fails and nobody tries it unchanged; what could be written is kept."""
    workshop.source.stream().put_many(range(1, 101), stamp=at(9))
    spoil(workshop, *range(1, 26))

    run = await workshop.run()

    assert (run.state, code(run)) == (RunState.FAILED, "CMP-ROW-002")
    assert len(workshop.rows()) == 75
    assert (await workshop.covered()).intervals == ()
    assert await workshop.queued() == []


async def test_a_few_rejections_fail_no_run(workshop: Workshop) -> None:
    """Twenty are let through whatever their share."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(9))
    spoil(workshop, *range(1, 21))

    run = await workshop.run()

    assert (run.state, run.counts.rejected) == (RunState.SUCCEEDED, 20)


async def test_running_again_does_not_let_rejections_through(workshop: Workshop) -> None:
    """The next run reads the whole window again and fails again, however often."""
    workshop.source.stream().put_many(range(1, 101), stamp=at(9))
    spoil(workshop, *range(1, 26))
    await workshop.run()

    runs = [await workshop.run(), await workshop.run()]

    assert [(run.state, run.counts.rejected) for run in runs] == [(RunState.FAILED, 25)] * 2
    assert (await workshop.covered()).intervals == ()


async def test_mending_lets_the_window_close(workshop: Workshop) -> None:
    """Once the records are mended at the source, the same window is read again and closes."""
    workshop.source.stream().put_many(range(1, 101), stamp=at(9))
    spoil(workshop, *range(1, 26))
    await workshop.run()
    mend(workshop, *range(1, 26))

    run = await workshop.run()

    assert run.state is RunState.SUCCEEDED
    assert workshop.rows() == workshop.truth()
    assert await workshop.store.quarantine() == []


@pytest.mark.parametrize("page", [3, 5, 9])
async def test_rejections_before_an_interruption_count_too(workshop: Workshop, page: int) -> None:
    """A pass in two runs is judged as a whole, not by what its second run saw."""
    workshop.source.stream().put_many(range(1, 101), stamp=at(9))
    spoil(workshop, *range(1, 31))
    workshop.source.script.on("page", skip=page, raises=SourceUnavailable("gone"))
    await workshop.run()

    run = await workshop.run()

    assert (run.state, code(run)) == (RunState.FAILED, "CMP-ROW-002")
    assert run.error is not None
    assert "30 of 100" in run.error["message"]


async def test_a_row_of_ours_stays_while_its_new_version_waits(workshop: Workshop) -> None:
    """A record that was written once and is spoilt now keeps its last good version."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(9))
    await workshop.run()
    workshop.source.stream().put(7, name="worse", spoilt=REASON)
    workshop.passes(minutes=30)

    run = await workshop.run()

    assert counted(run) == (1, 0, 0, 0, 1, 0)
    assert workshop.rows()[7] == "S00007"


@pytest.mark.parametrize("kind", [Kind.FULL, Kind.CLEAR_FIRST])
async def test_a_waiting_record_is_not_gone(workshop: Workshop, kind: Kind) -> None:
    """A whole pass rejects it, and leaves the good version that is here."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(9))
    await workshop.run()
    spoil(workshop, 7)

    run = await workshop.run(kind)

    assert counted(run) == (30, 0, 0, 29, 1, 0)
    assert 7 in workshop.rows()
