"""Records that came without all of them: what is known stays, and the rest is asked for again, for a week."""

from typing import Any

from tests.engine.shipping import SCOPE, SHIPMENTS, ship, shipments, shipped
from tests.engine.workshop import Workshop, counted, hints

from comporta.core.hint import DELAYS, UNTOLD_TRIES
from comporta.core.window import Kind


async def untold(workshop: Workshop, *keys: int) -> None:
    """Let the names of shipments not be told from now on, only those."""
    workshop.source.stream(SHIPMENTS).untold = {key: frozenset({"name"}) for key in keys}


async def test_what_is_not_told_this_time_leaves_what_is_known(workshop: Workshop) -> None:
    """The rest of the record is written all the same, and what was not told is asked for again."""
    await shipped(workshop, 1, 2)
    await untold(workshop, 101, 102)
    workshop.source.stream(SHIPMENTS).put(101, name="to 1", state="there")
    run = await workshop.run(Kind.RECONCILE, stream=SHIPMENTS)
    kept = workshop.query("SELECT id, name, state FROM fake_shipment ORDER BY id")
    waiting = hints(workshop, SCOPE)
    await untold(workshop)
    workshop.source.stream(SHIPMENTS).put(102, name="elsewhere", state="sent")
    workshop.passes(hours=1)
    soon = await workshop.run(stream=SHIPMENTS)
    workshop.passes(hours=5)
    again = await workshop.run(stream=SHIPMENTS)

    assert counted(run) == (2, 0, 1, 1, 0, 0)
    assert kept == [(101, "to 1", "there"), (102, "to 2", "sent")]
    assert waiting == {"101": (1, 1), "102": (1, 1)}
    assert "records_untold" in await workshop.steps(run)
    assert (soon.counts.read, counted(again)) == (0, (2, 0, 1, 1, 0, 0))
    assert (workshop.rows(SHIPMENTS)[102], hints(workshop, SCOPE)) == ("elsewhere", {})


async def test_what_was_never_told_comes_with_a_reconciliation(workshop: Workshop) -> None:
    """Also of a record that is settled, which it would not look at otherwise."""
    shipments(workshop)
    ship(workshop, 1, state="done")
    await untold(workshop, 101)
    workshop.passes(minutes=5)
    await workshop.run()
    await workshop.run(stream=SHIPMENTS)
    before = workshop.rows(SHIPMENTS)
    await untold(workshop)

    await workshop.run(Kind.RECONCILE, stream=SHIPMENTS)

    assert (before, workshop.rows(SHIPMENTS)) == ({101: None}, {101: "to 1"})


async def test_a_run_looks_at_each_record_once_however_long_it_takes(workshop: Workshop, monkeypatch: Any) -> None:  # noqa: ANN401  anything may be given
    """What was not there, or came in part, is for another run, and for after those that were not looked at yet."""
    monkeypatch.setattr("comporta.engine.hinted.PORTION", 2)
    shipments(workshop)
    ship(workshop, *range(1, 7))
    workshop.source.stream(SHIPMENTS).remove(101)
    await untold(workshop, 102, 103)
    workshop.passes(minutes=5)
    await workshop.run()
    workshop.source.script.asked.clear()
    workshop.source.script.on("fetch", times=None, does=lambda: workshop.passes(minutes=1))

    run = await workshop.run(stream=SHIPMENTS)

    assert (counted(run), workshop.source.script.asked.count("fetch")) == ((6, 5, 0, 0, 1, 0), 3)
    assert hints(workshop, SCOPE) == {"101": (1, 1), "102": (1, 1), "103": (1, 1)}


async def test_what_is_not_told_for_a_week_is_left(workshop: Workshop) -> None:
    """There may be nothing to tell: then the log has said so, as a warning."""
    shipments(workshop)
    ship(workshop, 1)
    await untold(workshop, 101)
    workshop.passes(minutes=5)
    await workshop.run()
    runs = []
    for _ in range(UNTOLD_TRIES + 1):
        runs.append(await workshop.run(stream=SHIPMENTS))
        workshop.passes(days=7)
    levels = [
        line.level for run in runs for _, _, line in await workshop.store.log(run.id) if line.step == "records_untold"
    ]

    assert hints(workshop, SCOPE) == {}
    assert levels == ["info"] * len(DELAYS) + ["warning"] * (UNTOLD_TRIES + 1 - len(DELAYS))
