"""One record that answers oddly whenever it is asked for stops no other; that all of many do is said, once."""

from datetime import timedelta

import pytest
from tests.engine.shipping import SCOPE, SETTLED, SHIPMENTS, ship, shipments, shipped, waiting
from tests.engine.workshop import ORDER_SCOPE, Workshop, at, code, counted, hint, hints

from comporta.core.hint import DELAYS, SLOW
from comporta.core.run import Run, RunState
from comporta.core.window import Kind
from comporta.errors import ComportaError, SourceBadGateway, SourceChangedShape, SourceRefused, SourceUnavailable

ODD = [SourceRefused, SourceChangedShape, SourceBadGateway]


async def forty_orders(workshop: Workshop) -> None:
    """Load forty orders of nine o'clock; it is an hour later then."""
    workshop.source.stream().put_many(range(1, 41), stamp=at(9))
    await workshop.run()
    workshop.passes(hours=1)
    await workshop.run()


def changed(workshop: Workshop, *keys: int) -> None:
    """Let records change under a stamp of long ago, which no window meets."""
    for key in keys:
        workshop.source.stream().put(key, stamp=at(9, 30), name="changed")


async def quarantined(workshop: Workshop) -> list[tuple[str, str]]:
    """Return key and code of the orders in quarantine."""
    return [(each.key, each.code) for each in await workshop.store.quarantine(ORDER_SCOPE)]


@pytest.mark.parametrize("said", ODD[:2])
async def test_one_of_a_comparison_waits_and_the_others_are_repaired(
    workshop: Workshop, said: type[ComportaError]
) -> None:
    """It is not identical, nor gone; once it answers it leaves quarantine."""
    await forty_orders(workshop)
    changed(workshop, 3, 5)
    workshop.source.stream().remove(7)
    workshop.source.stream().odd = {3: said}

    run = await workshop.run(Kind.RECONCILE, exact=True)
    shown, result = await quarantined(workshop), (await workshop.store.facts(ORDER_SCOPE)).reconcile_result or {}
    workshop.source.stream().odd = {}
    again = await workshop.run(Kind.RECONCILE, exact=True)

    assert (run.state, counted(run)) == (RunState.SUCCEEDED, (2, 0, 1, 0, 1, 1))
    assert (shown, workshop.deleted()) == ([("3", said.code)], [7])
    assert result["identical_percent"] == 92.5
    assert counted(again) == (1, 0, 1, 0, 0, 0)
    assert (await quarantined(workshop), workshop.rows()) == ([], workshop.truth())


@pytest.mark.parametrize("odd", [range(3, 4), range(1, 7)])
async def test_no_comparison_passes_over_what_a_passing_failure_hid(workshop: Workshop, odd: range) -> None:
    """Else it would stay as it is until the next day's; the next attempt reads it, and it never was in quarantine."""
    await forty_orders(workshop)
    changed(workshop, *range(1, 7))
    workshop.source.stream().odd = dict.fromkeys(odd, SourceBadGateway)

    runs = [await workshop.run(Kind.RECONCILE, exact=True) for _ in range(2)]
    shown = await quarantined(workshop)
    workshop.source.stream().odd = {}
    last = await workshop.run(Kind.RECONCILE, exact=True)

    assert [code(each) for each in (*runs, last)] == [SourceBadGateway.code, SourceBadGateway.code, None]
    assert (shown, workshop.rows()) == ([], workshop.truth())


async def test_a_comparison_ends_although_one_fails_at_every_attempt(workshop: Workshop) -> None:
    """It waits in quarantine from the last one on, and holds up no other comparison, which marks what is gone."""
    await forty_orders(workshop)
    changed(workshop, 3, 5)
    workshop.source.stream().odd = {3: SourceBadGateway}

    runs = [await workshop.run(Kind.RECONCILE, exact=True) for _ in range(4)]
    workshop.source.stream().remove(9)
    later = await workshop.run(Kind.RECONCILE, exact=True)

    assert [code(each) for each in (*runs, later)] == [*[SourceBadGateway.code] * 3, None, None]
    assert (await quarantined(workshop), workshop.deleted()) == ([("3", SourceBadGateway.code)], [9])


async def test_where_all_of_a_comparison_are_refused_it_is_said_once(workshop: Workshop) -> None:
    """They wait first: the next comparison is not held up, and marks what is gone."""
    await forty_orders(workshop)
    changed(workshop, *range(1, 6))
    workshop.source.stream().odd = dict.fromkeys(range(1, 6), SourceRefused)

    first = await workshop.run(Kind.RECONCILE, exact=True)
    workshop.source.stream().remove(9)
    second = await workshop.run(Kind.RECONCILE, exact=True)

    assert (first.state, code(first)) == (RunState.FAILED, SourceRefused.code)
    assert (second.state, workshop.deleted()) == (RunState.SUCCEEDED, [9])
    assert [key for key, _ in await quarantined(workshop)] == ["1", "2", "3", "4", "5"]


async def test_a_second_look_at_quarantine_is_not_stopped_by_one_that_fails(workshop: Workshop) -> None:
    """It is still there, for all we know: it waits on, with what it says today."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(9))
    for key in (7, 8):
        workshop.source.stream().put(key, stamp=at(9), spoilt="a date of the year 0")
    await workshop.run()
    workshop.source.stream().put(8, name="mended")
    workshop.source.stream().odd = {7: SourceBadGateway}

    run = await workshop.run(Kind.QUARANTINE)

    assert (run.state, counted(run)) == (RunState.SUCCEEDED, (2, 1, 0, 0, 1, 0))
    assert await quarantined(workshop) == [("7", SourceBadGateway.code)]


async def test_a_window_closes_although_one_that_a_page_left_out_fails(workshop: Workshop) -> None:
    """It is listed, and fails by key: it is here or in quarantine, as is claimed."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(9))
    workshop.source.script.on("page", skip=1, answers=lambda page: [*page[:4], *page[6:]])
    workshop.source.stream().odd = {15: SourceChangedShape}

    run = await workshop.run()

    assert (run.state, counted(run)) == (RunState.SUCCEEDED, (30, 29, 0, 0, 1, 0))
    assert await quarantined(workshop) == [("15", SourceChangedShape.code)]


async def one_left_out(workshop: Workshop, *odd: int) -> Run:
    """Let a page leave records out that fail by key, as a server in trouble does; return how the first run ends."""
    workshop.source.stream().put_many(range(1, 31), stamp=at(9))
    workshop.source.script.on("page", times=None, answers=lambda page: [each for each in page if each.key not in odd])
    workshop.source.stream().odd = dict.fromkeys(odd, SourceBadGateway)
    return await workshop.run()


@pytest.mark.parametrize("odd", [range(15, 16), range(13, 19)])
async def test_no_window_closes_over_what_a_passing_failure_hid(workshop: Workshop, odd: range) -> None:
    """What is claimed would stay away until somebody compared: the next attempt reads it."""
    first = await one_left_out(workshop, *odd)
    shown, covered = await quarantined(workshop), await workshop.covered()
    workshop.source.stream().odd = {}
    second = await workshop.run()

    assert (first.state, code(first)) == (RunState.FAILED, SourceBadGateway.code)
    assert (shown, covered.intervals, first.counts.inserted) == ([], (), 30 - len(odd))
    assert (second.state, workshop.rows()) == (RunState.SUCCEEDED, workshop.truth())


async def test_a_window_closes_over_what_fails_at_every_attempt(workshop: Workshop) -> None:
    """It waits in quarantine from the last one on, and stops nothing any more."""
    runs = [await one_left_out(workshop, 15)]
    while runs[-1].state is RunState.FAILED:
        runs.append(await workshop.run())
    shown = await quarantined(workshop)
    workshop.source.stream().put(31, stamp=at(9, 30))
    later = await workshop.run(Kind.FULL)

    assert ([each.state for each in runs[3:]], shown) == ([RunState.SUCCEEDED], [("15", SourceBadGateway.code)])
    assert (later.state, 31 in workshop.rows()) == (RunState.SUCCEEDED, True)


async def test_a_pass_closes_although_what_is_gone_fails_at_every_attempt(workshop: Workshop) -> None:
    """It is not said to be gone, and once a direct look answers it is."""
    await forty_orders(workshop)
    workshop.source.stream().remove(7)
    workshop.source.script.on("existing", times=4, raises=SourceBadGateway("500"))

    runs = [await workshop.run(Kind.FULL) for _ in range(4)]
    lived = 7 in workshop.rows()
    await workshop.run(Kind.FULL)

    assert [code(each) for each in runs] == [*[SourceBadGateway.code] * 3, None]
    assert (lived, workshop.deleted()) == (True, [7])


async def test_what_waits_and_fails_fails_no_pass(workshop: Workshop) -> None:
    """It failed before: it waits on."""
    await one_left_out(workshop, 15)
    for _ in range(3):
        await workshop.run()
    workshop.source.script.on("existing", times=None, raises=SourceBadGateway("500"))

    run = await workshop.run(Kind.FULL)

    assert (run.state, await quarantined(workshop)) == (RunState.SUCCEEDED, [("15", SourceBadGateway.code)])


@pytest.mark.parametrize("said", ODD)
async def test_one_that_others_name_waits_and_is_looked_for_again(
    workshop: Workshop, said: type[ComportaError]
) -> None:
    """Its stream claims what it claims of one that is refused."""
    shipments(workshop)
    ship(workshop, 1, 2, 3)
    workshop.source.stream(SHIPMENTS).odd = {102: said}
    workshop.passes(minutes=5)
    await workshop.run()

    run = await workshop.run(stream=SHIPMENTS)
    shown = await waiting(workshop)
    workshop.source.stream(SHIPMENTS).odd = {}
    workshop.passes(seconds=DELAYS[0].total_seconds())
    await workshop.run(stream=SHIPMENTS)

    assert (run.state, counted(run)) == (RunState.SUCCEEDED, (3, 2, 0, 0, 1, 0))
    assert (await workshop.covered(SHIPMENTS), shown) == (await workshop.covered(), [("102", said.code)])
    assert (list(workshop.rows(SHIPMENTS)), await waiting(workshop)) == ([101, 102, 103], [])


@pytest.mark.parametrize(
    ("said", "error"), [(ODD[:1], SourceRefused), (ODD[2:], SourceBadGateway), (ODD, SourceUnavailable)]
)
async def test_where_all_of_many_that_are_named_fail_it_is_said_once(
    workshop: Workshop, said: list[type[ComportaError]], error: type[SourceUnavailable]
) -> None:
    """By what all of them said, or that the source does not answer properly; then nothing new is held up."""
    shipments(workshop)
    ship(workshop, *range(1, 6))
    workshop.source.stream(SHIPMENTS).odd = {101 + place: said[place % len(said)] for place in range(5)}
    workshop.passes(minutes=5)
    await workshop.run()

    first = await workshop.run(stream=SHIPMENTS)
    kept = hints(workshop, SCOPE)
    workshop.passes(seconds=DELAYS[0].total_seconds())
    second = await workshop.run(stream=SHIPMENTS)

    assert (first.state, code(first)) == (RunState.FAILED, error.code)
    assert kept == {str(key): (1, 1) for key in range(101, 106)}
    assert second.state is RunState.SUCCEEDED


async def test_one_of_ours_that_fails_when_it_was_told_of_is_not_given_up(workshop: Workshop) -> None:
    """Something of it was told, and nobody may tell it again; what we never had, anybody may have made up."""
    workshop.source.stream(settled=SETTLED).put_many(range(1, 4), stamp=at(9))
    await workshop.run()
    workshop.passes(minutes=30)
    workshop.source.stream().put(3, name="cancelled")
    workshop.source.stream().odd = {3: SourceBadGateway, 900: SourceRefused}
    hint(workshop, 3, 900, told_at=workshop.source.now())

    for delay in (timedelta(), *DELAYS):
        workshop.passes(seconds=delay.total_seconds())
        run = await workshop.run(Kind.NOTIFICATION)
    shown, kept = await quarantined(workshop), hints(workshop)
    workshop.source.stream().odd = {}
    workshop.passes(seconds=SLOW.total_seconds())
    await workshop.run(Kind.NOTIFICATION)

    assert run.state is RunState.SUCCEEDED
    assert (shown, kept) == ([("3", SourceBadGateway.code)], {"3": (1, len(DELAYS) + 1)})
    assert (workshop.rows()[3], hints(workshop), await quarantined(workshop)) == ("cancelled", {}, [])


async def test_one_that_is_told_of_and_fails_stops_no_other(workshop: Workshop) -> None:
    """One forged notification is enough otherwise."""
    await shipped(workshop, 1)
    ship(workshop, 1, state="received")
    workshop.source.stream(SHIPMENTS).odd = {1: SourceRefused}
    hint(workshop, 1, 101, told_at=workshop.source.now(), scope=SCOPE)

    run = await workshop.run(Kind.NOTIFICATION, stream=SHIPMENTS)

    assert (run.state, counted(run)) == (RunState.SUCCEEDED, (1, 0, 1, 0, 0, 0))
    assert hints(workshop, SCOPE) == {"1": (1, 1)}


async def test_what_was_told_of_outlives_an_outage(workshop: Workshop) -> None:
    """An order that was never here, and is hidden once it is cancelled: nobody would tell of it again."""
    workshop.source.stream(settled=SETTLED).put_many(range(1, 4), stamp=at(9))
    await workshop.run()
    workshop.source.stream().odd = {4: SourceBadGateway}
    hint(workshop, 4, told_at=workshop.source.now())

    for delay in (timedelta(), *DELAYS):
        workshop.passes(seconds=delay.total_seconds())
        run = await workshop.run(Kind.NOTIFICATION)
    shown, kept = await quarantined(workshop), hints(workshop)
    workshop.source.stream().odd = {}
    workshop.source.stream().put(4, name="cancelled", state="done")
    workshop.passes(seconds=SLOW.total_seconds())
    await workshop.run(Kind.NOTIFICATION)

    assert (run.state, shown, kept) == (RunState.SUCCEEDED, [], {"4": (1, len(DELAYS) + 1)})
    assert (workshop.rows()[4], hints(workshop)) == ("cancelled", {})


async def test_an_outage_is_said_whoever_told_of_the_records(workshop: Workshop) -> None:
    """Each time that all of many fail, and none of them is lost, or looked for at once; beside them others go on."""
    workshop.source.stream().put_many(range(1, 4), stamp=at(9))
    await workshop.run()
    told = range(901, 906)
    workshop.source.stream().odd = dict.fromkeys(told, SourceBadGateway)
    hint(workshop, *told, told_at=workshop.source.now())

    first = await workshop.run(Kind.NOTIFICATION)
    at_once = await workshop.run(Kind.NOTIFICATION)
    workshop.passes(seconds=DELAYS[0].total_seconds())
    second = await workshop.run(Kind.NOTIFICATION)
    workshop.passes(seconds=DELAYS[1].total_seconds())
    hint(workshop, 3)
    beside = await workshop.run(Kind.NOTIFICATION)

    assert [code(first), code(second)] == [SourceBadGateway.code] * 2
    assert [at_once.state, beside.state] == [RunState.SUCCEEDED] * 2
    assert hints(workshop) == {str(key): (1, 3) for key in told}
