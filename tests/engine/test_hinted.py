"""Single records that were told of: read by key, once, and never forgotten before they were read."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from tests.engine.workshop import ORDER_SCOPE, Workshop, at, code, counted, hint, hints

from comporta.core.hint import DELAYS
from comporta.core.record import ColumnType
from comporta.core.run import Run, RunState
from comporta.core.window import Kind
from comporta.errors import SourceUnavailable, TooManyDeleted

SETTLED = ("state", frozenset({"done"}))


async def told(workshop: Workshop, **request: Any) -> Run:  # noqa: ANN401  a request's own
    """Look at what is hinted at."""
    return await workshop.run(Kind.NOTIFICATION, **request)


async def ten_orders(workshop: Workshop, **stream: Any) -> None:  # noqa: ANN401  a stream's own
    """Load ten orders of nine o'clock; it is half past twelve then."""
    workshop.source.stream(**stream).put_many(range(1, 11), stamp=at(9))
    await workshop.run()
    workshop.passes(minutes=30)


async def test_what_was_told_of_is_read_by_key_and_written(workshop: Workshop) -> None:
    """A changed and a new record come at once; the window does not move."""
    await ten_orders(workshop)
    before = await workshop.covered()
    workshop.source.stream().put(3, name="changed")
    workshop.source.stream().put(11, name="new")
    hint(workshop, 3, 11, told_at=workshop.source.now())

    run = await told(workshop)

    assert run.state is RunState.SUCCEEDED
    assert counted(run) == (2, 1, 1, 0, 0, 0)
    assert workshop.rows() == workshop.truth()
    assert hints(workshop) == {}
    assert await workshop.covered() == before


async def test_what_a_window_has_read_is_not_read_again(workshop: Workshop) -> None:
    """A day of missed notifications costs no request but for what the window did not see."""
    await ten_orders(workshop)
    workshop.source.stream().put(3, name="changed")
    hint(workshop, 3, told_at=workshop.source.now())
    workshop.passes(minutes=10)
    await workshop.run()
    workshop.source.script.asked.clear()

    run = await told(workshop)

    assert (run.state, run.counts.read) == (RunState.SUCCEEDED, 0)
    assert "fetch" not in workshop.source.script.asked
    assert hints(workshop) == {}


async def test_what_the_window_did_not_show_is_read(workshop: Workshop) -> None:
    """A search hides cancelled orders: its instant is covered, but our version is older than what was told."""
    await ten_orders(workshop)
    hint(workshop, 3, told_at=workshop.source.now())
    workshop.passes(minutes=10)
    await workshop.run()
    workshop.source.stream().write(3, {"name": "cancelled"}, stamp=at(12, 29))

    run = await told(workshop)

    assert counted(run) == (1, 0, 1, 0, 0, 0)
    assert workshop.rows()[3] == "cancelled"


async def test_what_followed_what_was_read_is_not_known_where_records_are_hidden(workshop: Workshop) -> None:
    """An order is paid, read, and cancelled seconds later: its version is near, and a sync covers the instant."""
    await ten_orders(workshop, settled=SETTLED)
    workshop.source.stream().put(3, name="paid", state="paid")
    workshop.passes(minutes=2)
    workshop.source.stream().put(3, name="paid", state="paid")
    workshop.passes(seconds=2)
    await workshop.run(since=at(12, 20), until=at(12, 33))
    workshop.passes(seconds=2)
    hint(workshop, 3, told_at=workshop.source.now())
    workshop.passes(minutes=10)
    await workshop.run()
    workshop.source.stream().write(3, {"name": "cancelled", "state": "done"}, stamp=at(12, 33))

    run = await told(workshop)

    assert (run.counts.read, workshop.rows()[3]) == (1, "cancelled")


async def test_what_was_read_after_it_was_told_is_known_where_records_are_hidden(workshop: Workshop) -> None:
    """A day of missed notifications is no day of requests there either."""
    await ten_orders(workshop, settled=SETTLED)
    workshop.source.stream().put(3, name="changed", state="paid")
    hint(workshop, 3, told_at=workshop.source.now())
    workshop.passes(minutes=10)
    await workshop.run()

    assert (await told(workshop)).counts.read == 0


async def test_what_was_told_of_outlives_a_change_of_the_fields(workshop: Workshop) -> None:
    """Everything is read again then, but not what is hidden: a cancellation that waited would be lost."""
    await ten_orders(workshop, settled=SETTLED)
    hint(workshop, 3, told_at=workshop.source.now())
    workshop.source.stream().fields = {**workshop.source.stream().fields, "note": ColumnType.TEXT}
    workshop.passes(minutes=10)
    full = await workshop.run()
    workshop.source.stream().write(3, {"name": "cancelled", "state": "done"}, stamp=at(12, 29))

    run = await told(workshop)

    assert (full.window_kind, run.counts.read, workshop.rows()[3]) == ("full", 1, "cancelled")


async def test_without_an_instant_it_is_read_whatever_is_known(workshop: Workshop) -> None:
    """Another stream says that a record changed, and not when."""
    await ten_orders(workshop)
    hint(workshop, 3)

    run = await told(workshop)

    assert counted(run) == (1, 0, 0, 1, 0, 0)


async def test_a_stream_without_stamps_goes_by_coverage(workshop: Workshop) -> None:
    """It bears no version: read whole after it was told is all there is to go by."""
    await ten_orders(workshop, is_stamped=False)
    hint(workshop, 3, told_at=at(9))
    hint(workshop, 4, told_at=workshop.source.now())

    run = await told(workshop)

    assert run.counts.read == 1


async def test_what_is_told_again_while_it_is_fetched_is_looked_at_again(workshop: Workshop) -> None:
    """By the next run: the record may have been read before the change that the second one tells of."""
    await ten_orders(workshop)
    hint(workshop, 3)
    stream = workshop.source.stream()

    def overtaken(page: Sequence[Any]) -> Sequence[Any]:
        stream.put(3, name="later")
        hint(workshop, 3)
        return page

    workshop.source.script.on("fetch", answers=overtaken)
    await told(workshop)
    left = hints(workshop)
    run = await told(workshop)

    assert left == {"3": (2, 0)}
    assert workshop.rows()[3] == "later"
    assert (run.counts.read, hints(workshop)) == (1, {})


async def test_what_is_told_while_a_run_looks_is_for_the_next_one(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would not end while hints keep coming: here one for each request."""
    monkeypatch.setattr("comporta.engine.hinted.PORTION", 2)
    await ten_orders(workshop)
    hint(workshop, 6, 7, 8)
    coming = iter(range(11, 99))
    workshop.source.script.on("fetch", times=10, does=lambda: hint(workshop, next(coming)))
    run = await told(workshop)

    assert (run.state, run.counts.read) == (RunState.SUCCEEDED, 3)
    assert hints(workshop) == {"11": (1, 0), "12": (1, 0)}


@pytest.mark.parametrize("known_max", [1, 2, 3])
async def test_all_that_was_there_is_looked_at_however_much(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, known_max: int
) -> None:
    """In turns, so that memory has a bound; what comes before its turn may take one."""
    monkeypatch.setattr("comporta.engine.hinted.KNOWN_MAX", known_max)
    await ten_orders(workshop)
    hint(workshop, *range(2, 10))
    workshop.source.script.on("fetch", does=lambda: hint(workshop, 1))

    run = await told(workshop)

    assert run.counts.read == 9
    assert hints(workshop) == {}


async def test_the_fence_takes_the_hint_away_and_nothing_else_does(workshop: Workshop) -> None:
    """A run that fails, or dies, leaves what it was told of to the next."""
    await ten_orders(workshop)
    hint(workshop, 3)
    workshop.source.script.on("fetch", raises=SourceUnavailable("gone"))
    failed = await told(workshop)
    left = hints(workshop)

    run = await told(workshop)

    assert (failed.state, left) == (RunState.FAILED, {"3": (1, 0)})
    assert (run.state, hints(workshop)) == (RunState.SUCCEEDED, {})


async def test_a_record_that_is_not_there_yet_is_looked_for_again_and_found(workshop: Workshop) -> None:
    """Just told of, it answers 404 for a moment; others are not kept waiting."""
    await ten_orders(workshop)
    hint(workshop, 3, 99)
    first = await told(workshop)
    waiting = hints(workshop)
    too_soon = await workshop.store.hints(ORDER_SCOPE, 10)
    workshop.source.stream().put(99, name="late")
    workshop.passes(seconds=DELAYS[0].total_seconds())

    second = await told(workshop)

    assert (first.counts.read, waiting, too_soon) == (1, {"99": (1, 1)}, [])
    assert counted(second) == (1, 1, 0, 0, 0, 0)
    assert (workshop.rows()[99], hints(workshop)) == ("late", {})


async def test_a_record_that_never_comes_is_given_up(workshop: Workshop) -> None:
    """After the last of the delays nobody waits for it; if it was never here, nothing is written."""
    await ten_orders(workshop)
    hint(workshop, 99)
    tries = []
    for delay in (*DELAYS, timedelta()):
        run = await told(workshop)
        tries.append(hints(workshop).get("99"))
        workshop.passes(seconds=delay.total_seconds())

    assert tries == [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5), None]
    assert counted(run) == (0, 0, 0, 0, 0, 0)


async def test_told_again_it_is_looked_for_from_the_first_delay_on(workshop: Workshop) -> None:
    """What was looked for in vain before says nothing of now."""
    await ten_orders(workshop)
    hint(workshop, 99)
    await told(workshop)
    hint(workshop, 99)

    assert hints(workshop) == {"99": (2, 0)}
    assert [each.key for each in await workshop.store.hints(ORDER_SCOPE, 10)] == ["99"]


@pytest.mark.parametrize(("settled", "deleted"), [(None, [3]), (SETTLED, [])])
async def test_what_is_given_up_and_was_here_is_gone_unless_its_source_hides_records(
    workshop: Workshop, settled: tuple[str, frozenset[str]] | None, deleted: list[int]
) -> None:
    """A record is marked deleted only after a direct look, and never where settled records leave sight."""
    await ten_orders(workshop, settled=settled)
    hint(workshop, 3)
    workshop.source.stream().remove(3)
    for delay in (*DELAYS, timedelta()):
        run = await told(workshop)
        workshop.passes(seconds=delay.total_seconds())

    assert workshop.deleted() == deleted
    assert run.counts.deleted == len(deleted)
    assert hints(workshop) == {}


async def test_too_many_that_are_given_up_stop_the_run_and_hold_up_nothing(workshop: Workshop) -> None:
    """A person is asked, as in a reconciliation; what else was told of is written, and they are looked at again."""
    workshop.source.stream().put_many(range(1, 61), stamp=at(9))
    await workshop.run()
    hint(workshop, *range(1, 31))
    workshop.source.stream().remove(*range(1, 31))
    for delay in DELAYS:
        await told(workshop)
        workshop.passes(seconds=delay.total_seconds())
    workshop.source.stream().put(50, name="changed")
    hint(workshop, 50)
    stopped = await told(workshop)
    marked, waiting = workshop.deleted(), len(hints(workshop))
    workshop.passes(hours=6)
    confirmed = await workshop.run(Kind.NOTIFICATION, confirmed=True)

    assert (stopped.state, code(stopped)) == (RunState.FAILED, TooManyDeleted.code)
    assert (marked, waiting, workshop.rows()[50]) == ([], 30, "changed")
    assert (confirmed.counts.deleted, hints(workshop)) == (30, {})


async def test_what_is_given_up_and_only_out_of_sight_lives_on(workshop: Workshop) -> None:
    """It is not found among what was asked for, but a direct look says that it lives."""
    await ten_orders(workshop)
    hint(workshop, 3)
    workshop.source.script.on("fetch", times=None, answers=lambda _: [])
    for delay in (*DELAYS, timedelta()):
        await told(workshop)
        workshop.passes(seconds=delay.total_seconds())

    assert workshop.deleted() == []
    assert hints(workshop) == {}


async def test_a_record_that_cannot_be_written_goes_to_quarantine(workshop: Workshop) -> None:
    """It was looked at all the same."""
    await ten_orders(workshop)
    workshop.source.stream().put(11, spoilt="no name")
    hint(workshop, 11)

    run = await told(workshop)

    assert counted(run) == (1, 0, 0, 0, 1, 0)
    assert [each.key for each in await workshop.store.quarantine(ORDER_SCOPE)] == ["11"]
    assert hints(workshop) == {}


async def test_a_dry_run_takes_no_hint_away(workshop: Workshop) -> None:
    """It shows what would come, of one portion, and ends."""
    await ten_orders(workshop)
    workshop.source.stream().put(3, name="changed")
    hint(workshop, 3, 99)
    before = workshop.everything()

    run = await told(workshop, dry_run=True)

    assert counted(run) == (1, 0, 1, 0, 0, 0)
    assert workshop.everything() == before


async def test_no_more_is_looked_at_than_was_asked_for(workshop: Workshop) -> None:
    """The rest stays hinted at."""
    await ten_orders(workshop)
    hint(workshop, *range(1, 10))

    run = await told(workshop, max_records=4)

    assert run.counts.read == 4
    assert len(hints(workshop)) == 5
