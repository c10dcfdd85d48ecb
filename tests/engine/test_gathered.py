"""Records that cannot be listed: what another stream refers to is read, and never forgotten while it is not there."""

import pytest
from tests.engine.shipping import SCOPE, SHIPMENTS, ship, shipments, shipped, waiting
from tests.engine.workshop import ORDERS, Workshop, at, counted, hint, hints

from comporta.core.coverage import Coverage
from comporta.core.hint import DELAYS
from comporta.core.run import Run, RunState
from comporta.core.window import Kind
from comporta.errors import AccessRefused, RecordAbsent, SourceUnavailable


async def test_the_first_time_everything_that_is_referred_to_is_gathered(workshop: Workshop) -> None:
    """And the claim is what the other stream had covered when it began."""
    shipments(workshop)
    ship(workshop, 1, 2, 3)
    workshop.source.stream().put(4, name="S4")
    workshop.source.stream(SHIPMENTS).put(900, name="nobody's")
    workshop.passes(minutes=5)
    await workshop.run()

    run = await workshop.run(stream=SHIPMENTS)

    assert (run.state, run.window_kind) == (RunState.SUCCEEDED, "full")
    assert list(workshop.rows(SHIPMENTS)) == [101, 102, 103]
    assert await workshop.covered(SHIPMENTS) == await workshop.covered()
    assert hints(workshop, SCOPE) == {}


async def test_afterwards_only_those_of_changed_parents_are_gathered(workshop: Workshop) -> None:
    """Their orders hinted at them in the transaction that wrote them."""
    await shipped(workshop, 1, 2, 3)
    ship(workshop, 2, 5)
    workshop.passes(minutes=5)
    await workshop.run()

    run = await workshop.run(stream=SHIPMENTS)

    assert counted(run) == (2, 1, 1, 0, 0, 0)
    assert await workshop.covered(SHIPMENTS) == await workshop.covered()


async def test_nothing_is_claimed_while_the_other_stream_claims_nothing(workshop: Workshop) -> None:
    """There is no telling what it will refer to."""
    shipments(workshop)
    ship(workshop, 1)

    run = await workshop.run(stream=SHIPMENTS)

    assert run.state is RunState.SUCCEEDED
    assert await workshop.covered(SHIPMENTS) == Coverage()


async def test_what_was_read_before_anything_could_be_claimed_is_not_read_again(workshop: Workshop) -> None:
    """The orders are loaded for hours, and the shipments are run meanwhile, again and again."""
    shipments(workshop)
    ship(workshop, 1, 2, 3)
    workshop.passes(minutes=5)
    first = await workshop.run(max_records=2), await workshop.run(stream=SHIPMENTS)
    again = await workshop.run(stream=SHIPMENTS)
    await workshop.run()
    last = await workshop.run(stream=SHIPMENTS)

    assert [run.counts.read for run in (*first, again, last)] == [2, 2, 0, 1]
    assert workshop.rows(SHIPMENTS) == workshop.truth(SHIPMENTS)
    assert await workshop.covered(SHIPMENTS) == await workshop.covered() != Coverage()


async def test_streams_that_are_synced_one_by_one_are_read_once(workshop: Workshop) -> None:
    """A sync of the orders alone brings their shipments, too."""
    shipments(workshop)
    ship(workshop, 1, 2, 3)
    workshop.passes(minutes=5)

    runs = [*await workshop.sync(ORDERS), *await workshop.sync(SHIPMENTS)]

    assert sum(run.counts.read for run in runs if run.stream == SHIPMENTS) == 3
    assert await workshop.covered(SHIPMENTS) == await workshop.covered() != Coverage()


async def cut_off(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Begin to load six shipments, two at a time, and lose the source after four; return that run."""
    monkeypatch.setattr("comporta.engine.hinted.PORTION", 2)
    shipments(workshop)
    ship(workshop, *range(1, 7))
    workshop.passes(minutes=5)
    await workshop.run()
    workshop.source.script.on("fetch", skip=2, raises=SourceUnavailable("gone"))
    return await workshop.run(stream=SHIPMENTS)


async def test_a_first_load_that_was_cut_off_is_not_compared_at_once(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that may change was read by it a moment ago."""
    await cut_off(workshop, monkeypatch)

    runs = await workshop.sync(SHIPMENTS)

    assert [(run.request, run.counts.read) for run in runs] == [("incremental", 2)]


async def test_a_notification_claims_nothing(workshop: Workshop) -> None:
    """It reads what was told of; whether that was all, it does not know."""
    await shipped(workshop, 1, 2)
    before = await workshop.covered(SHIPMENTS)
    workshop.source.stream(SHIPMENTS).put(101, state="there")
    hint(workshop, 101, told_at=workshop.source.now(), scope=SCOPE)
    workshop.passes(minutes=5)
    await workshop.run()

    run = await workshop.run(Kind.NOTIFICATION, stream=SHIPMENTS)

    assert counted(run) == (1, 0, 1, 0, 0, 0)
    assert await workshop.covered(SHIPMENTS) == before


async def test_what_was_cut_off_goes_on_without_fetching_all_again(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hints that are left are the resume point."""
    first = await cut_off(workshop, monkeypatch)

    second = await workshop.run(stream=SHIPMENTS)

    assert (first.state, first.counts.read) == (RunState.FAILED, 4)
    assert (second.state, second.counts.read) == (RunState.SUCCEEDED, 2)
    assert workshop.rows(SHIPMENTS) == workshop.truth(SHIPMENTS)
    assert await workshop.covered(SHIPMENTS) == await workshop.covered()


async def test_a_full_run_gathers_everything_again(workshop: Workshop) -> None:
    """Whoever asks for everything gets it, once."""
    await shipped(workshop, 1, 2, 3)

    run = await workshop.run(Kind.FULL, stream=SHIPMENTS)

    assert counted(run) == (3, 0, 0, 3, 0, 0)


async def test_a_reconciliation_looks_at_those_that_may_still_change(workshop: Workshop) -> None:
    """What is settled is left alone."""
    await shipped(workshop, 1, 2, 3)
    ship(workshop, 2, state="done")
    workshop.passes(minutes=5)
    await workshop.run()
    await workshop.run(stream=SHIPMENTS)
    workshop.source.stream(SHIPMENTS).write(103, {"state": "there"}, stamp=workshop.source.now())

    run = await workshop.run(Kind.RECONCILE, stream=SHIPMENTS)

    assert counted(run) == (2, 0, 1, 1, 0, 0)


async def test_of_very_many_that_may_still_change_a_slice_is_looked_at(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pack stays open when all is over, so they grow more and more; each comparison looks at the next ones."""
    monkeypatch.setattr("comporta.engine.recheck.GATHERED_MAX", 2)
    await shipped(workshop, *range(1, 6))
    found = []
    for _ in range(4):
        workshop.source.script.asked.clear()
        for order in range(1, 6):
            workshop.source.stream(SHIPMENTS).write(100 + order, {"name": "x"}, stamp=at(9))
        run = await workshop.run(Kind.RECONCILE, stream=SHIPMENTS)
        found.append((run.counts.read, sum(name == "x" for name in workshop.rows(SHIPMENTS).values())))

    assert found == [(2, 2), (2, 4), (1, 5), (2, 5)]


@pytest.mark.parametrize("kind", [Kind.FULL, Kind.CLEAR_FIRST, Kind.RECONCILE])
async def test_a_record_restored_from_a_backup_is_taken_back(workshop: Workshop, kind: Kind) -> None:
    """The source has an older version under an older stamp; a mere notification does not say which is right."""
    await shipped(workshop, 1, 2, 3)
    workshop.source.stream(SHIPMENTS).write(102, {"name": "as it was"}, stamp=at(2))
    hint(workshop, 102, told_at=workshop.source.now(), scope=SCOPE)

    told = await workshop.run(Kind.NOTIFICATION, stream=SHIPMENTS)
    run = await workshop.run(kind, stream=SHIPMENTS)

    assert (counted(told), counted(run)) == ((1, 0, 0, 1, 0, 0), (3, 0, 1, 2, 0, 0))
    assert workshop.rows(SHIPMENTS) == workshop.truth(SHIPMENTS)


async def test_a_dry_gathering_leaves_no_trace(workshop: Workshop) -> None:
    """Nothing is hinted at, claimed, or taken away."""
    await shipped(workshop, 1, 2, 3)
    before = workshop.everything()

    run = await workshop.run(Kind.FULL, stream=SHIPMENTS, dry_run=True)

    assert run.state is RunState.SUCCEEDED
    assert workshop.everything() == before


async def unseen(workshop: Workshop, *, looks: int = len(DELAYS) + 1) -> Run:
    """Load three orders, look for the shipment of the third as often as that, in vain, and return the last run."""
    shipments(workshop)
    ship(workshop, 1, 2)
    workshop.source.stream().put(3, name="S3", shipment_id=103)
    workshop.passes(minutes=5)
    await workshop.run()
    for delay in DELAYS[: looks - 1]:
        await workshop.run(stream=SHIPMENTS)
        workshop.passes(seconds=delay.total_seconds())
    return await workshop.run(stream=SHIPMENTS)


async def test_what_is_named_and_never_comes_is_shown_and_goes_on_being_looked_for(workshop: Workshop) -> None:
    """Nobody else would tell of it again: after the last delay it is looked for seldom, not given up."""
    before = await unseen(workshop, looks=len(DELAYS))
    workshop.passes(seconds=DELAYS[-1].total_seconds())
    shown = await workshop.run(stream=SHIPMENTS)
    in_quarantine, kept = await waiting(workshop), hints(workshop, SCOPE)
    soon = await workshop.run(stream=SHIPMENTS)
    ship(workshop, 3)
    workshop.passes(hours=6)
    found = await workshop.run(stream=SHIPMENTS)

    levels = [
        line.level
        for run in (before, shown)
        for _, _, line in await workshop.store.log(run.id)
        if line.step == "records_rejected"
    ]

    assert levels == ["info", "warning"]
    assert counted(shown) == (1, 0, 0, 0, 1, 0)
    assert (in_quarantine, kept) == ([("103", RecordAbsent.code)], {"103": (1, len(DELAYS) + 1)})
    assert soon.counts.read == 0
    assert counted(found) == (1, 1, 0, 0, 0, 0)
    assert (await waiting(workshop), hints(workshop, SCOPE)) == ([], {})


@pytest.mark.parametrize("answer", ["absent", "refused", "unavailable"])
async def test_nothing_is_claimed_that_is_neither_here_nor_in_quarantine(workshop: Workshop, answer: str) -> None:
    """From the first look on: not found, forbidden, or a server that cannot answer at first, which ends the run."""
    await shipped(workshop, 1)
    before = await workshop.covered(SHIPMENTS)
    ship(workshop, 2, 3)
    if answer == "absent":
        workshop.source.stream(SHIPMENTS).remove(103)
    elif answer == "refused":
        workshop.source.stream(SHIPMENTS).refused = {103}
    else:
        workshop.source.script.on("fetch", raises=SourceUnavailable("500"))
    workshop.passes(minutes=5)
    await workshop.run()

    run = await workshop.run(stream=SHIPMENTS)
    here = {*workshop.rows(SHIPMENTS), *(int(key) for key, _ in await waiting(workshop))}

    if answer == "unavailable":
        assert (run.state, await workshop.covered(SHIPMENTS)) == (RunState.FAILED, before)
        run = await workshop.run(stream=SHIPMENTS)
        here = set(workshop.rows(SHIPMENTS))
    assert (run.state, await workshop.covered(SHIPMENTS)) == (RunState.SUCCEEDED, await workshop.covered())
    assert here == {101, 102, 103}


async def test_a_notification_shows_what_is_not_there_too(workshop: Workshop) -> None:
    """It postpones the next look, and a run that claims comes before that."""
    await shipped(workshop, 1)
    ship(workshop, 2)
    workshop.source.stream(SHIPMENTS).remove(102)
    workshop.passes(minutes=5)
    await workshop.run()
    await workshop.run(Kind.NOTIFICATION, stream=SHIPMENTS)

    run = await workshop.run(stream=SHIPMENTS)

    assert (run.counts.read, await workshop.covered(SHIPMENTS)) == (0, await workshop.covered())
    assert await waiting(workshop) == [("102", RecordAbsent.code)]


async def test_what_is_named_and_refused_is_shown_at_once(workshop: Workshop) -> None:
    """A right that is missing does not mend itself; but what is here and settled has nothing more to say."""
    shipments(workshop)
    ship(workshop, 1, 2, 3)
    ship(workshop, 1, state="done")
    workshop.passes(minutes=5)
    await workshop.run()
    workshop.source.stream(SHIPMENTS).refused = {103}
    run = await workshop.run(stream=SHIPMENTS)
    first = await waiting(workshop)
    workshop.source.stream(SHIPMENTS).refused = {101, 102, 103}
    hint(workshop, 101, 102, scope=SCOPE)
    await workshop.run(stream=SHIPMENTS)
    second = await waiting(workshop)
    workshop.source.stream(SHIPMENTS).refused = set()
    await workshop.run(Kind.RECONCILE, stream=SHIPMENTS)

    assert counted(run) == (3, 2, 0, 0, 1, 0)
    assert first == [("103", AccessRefused.code)]
    assert second == [("102", AccessRefused.code), ("103", AccessRefused.code)]
    assert (await waiting(workshop), hints(workshop, SCOPE)) == ([], {})
    assert list(workshop.rows(SHIPMENTS)) == [101, 102, 103]


async def test_a_reconciliation_looks_for_what_is_named_and_absent(workshop: Workshop) -> None:
    """Though its hint was lost, by a version that gave up or with the ledger's backup, or would wait for days."""
    await unseen(workshop, looks=3)
    workshop.source.stream().put(4, name="S4", shipment_id=104)
    workshop.passes(minutes=5)
    await workshop.run()
    workshop.database.write_now(lambda session: session.connection.execute("DELETE FROM cmp_hint WHERE parent = '104'"))
    ship(workshop, 3, 4)

    run = await workshop.run(Kind.RECONCILE, stream=SHIPMENTS)

    assert list(workshop.rows(SHIPMENTS)) == [101, 102, 103, 104]
    assert counted(run) == (4, 2, 0, 2, 0, 0)


@pytest.mark.parametrize("kind", [Kind.FULL, Kind.CLEAR_FIRST])
async def test_who_asks_for_everything_gets_what_would_be_looked_for_later(workshop: Workshop, kind: Kind) -> None:
    """It came meanwhile, and its hint would wait for hours."""
    await unseen(workshop)
    ship(workshop, 3)

    run = await workshop.run(kind, stream=SHIPMENTS, confirmed=True)

    assert counted(run) == (3, 1, 0, 2, 0, 0)
    assert (await waiting(workshop), hints(workshop, SCOPE)) == ([], {})


async def test_what_is_absent_is_looked_for_as_seldom_after_a_reconciliation(workshop: Workshop) -> None:
    """Once a day, not five times each day: it goes on where it was."""
    await unseen(workshop)
    await workshop.run(Kind.RECONCILE, stream=SHIPMENTS)
    workshop.passes(hours=1)

    run = await workshop.run(stream=SHIPMENTS)

    assert (run.counts.read, hints(workshop, SCOPE)) == (0, {"103": (1, len(DELAYS) + 2)})


async def test_what_no_order_names_any_more_is_let_go(workshop: Workshop) -> None:
    """The order names another shipment by then; what is named still is looked for on."""
    await unseen(workshop)
    workshop.source.stream().put(4, name="S4", shipment_id=104)
    ship(workshop, 5)
    workshop.source.stream().put(3, shipment_id=105)
    workshop.passes(minutes=5)
    await workshop.run()
    await workshop.run(stream=SHIPMENTS)
    before = await waiting(workshop), list(hints(workshop, SCOPE))

    run = await workshop.run(Kind.RECONCILE, stream=SHIPMENTS)

    assert before == ([("103", RecordAbsent.code), ("104", RecordAbsent.code)], ["103", "104"])
    assert await waiting(workshop) == [("104", RecordAbsent.code)]
    assert hints(workshop, SCOPE) == {"104": (1, 2)}
    assert "hints_let_go" in await workshop.steps(run)


async def test_a_retry_of_the_quarantine_does_not_forget_what_is_named(workshop: Workshop) -> None:
    """That the source does not show it is the very reason why it waits there."""
    await unseen(workshop)

    await workshop.run(Kind.QUARANTINE, stream=SHIPMENTS)

    assert await waiting(workshop) == [("103", RecordAbsent.code)]


async def test_what_nobody_of_ours_names_is_given_up(workshop: Workshop) -> None:
    """A notification may name what is another's, and anybody may forge one."""
    await shipped(workshop, 1)
    hint(workshop, 900, told_at=workshop.source.now(), scope=SCOPE)
    for delay in DELAYS:
        await workshop.run(Kind.NOTIFICATION, stream=SHIPMENTS)
        workshop.passes(seconds=delay.total_seconds())
    run = await workshop.run(Kind.NOTIFICATION, stream=SHIPMENTS)

    assert (hints(workshop, SCOPE), await waiting(workshop)) == ({}, [])
    assert counted(run) == (0, 0, 0, 0, 0, 0)


async def test_what_is_here_and_settled_is_not_waited_for(workshop: Workshop) -> None:
    """Its order changed, but it cannot say anything new."""
    shipments(workshop)
    ship(workshop, 1, state="done")
    workshop.passes(minutes=5)
    await workshop.run()
    await workshop.run(stream=SHIPMENTS)
    workshop.source.stream(SHIPMENTS).remove(101)
    hint(workshop, 101, scope=SCOPE)
    for delay in (*DELAYS, DELAYS[0]):
        await workshop.run(Kind.NOTIFICATION, stream=SHIPMENTS)
        workshop.passes(seconds=delay.total_seconds())

    assert (hints(workshop, SCOPE), await waiting(workshop)) == ({}, [])
    assert list(workshop.rows(SHIPMENTS)) == [101]
