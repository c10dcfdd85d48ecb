"""Trials: what passes by is seen whole, and two ways of reading are compared record by record."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from tests.core.runs import make_run
from tests.engine.workshop import ORDERS, Workshop, at

from comporta.cli.compare import markdown, verdicts
from comporta.coordination.budgets import SharedBudgets
from comporta.coordination.sync import Wish
from comporta.coordination.trials import Comparison, Seen, Trial, compared, watched
from comporta.core.record import Page
from comporta.core.run import RunState, Trigger
from comporta.core.window import Kind, Request
from comporta.errors import SourceRefused
from comporta.ports.budget import BudgetTerms
from comporta.testing import MemoryLog
from comporta.testing.reader import FakeReader


async def trial(workshop: Workshop, size: int) -> Trial:
    """Read so many records dry and return what was seen."""
    plan, seen = watched(workshop.plans.get("matriz") or workshop.account(), size)
    wish = Wish(Request(Kind.FULL, max_records=size), dry_run=True)
    *_, run = await workshop.syncer().run_one("matriz", ORDERS, wish, Trigger.MANUAL, instead=plan)
    return Trial(None, run, seen)


async def test_the_same_source_is_seen_the_same_twice(workshop: Workshop) -> None:
    """As many records as asked, although the pages hold more; nothing is written."""
    workshop.source.stream().put_many(range(1, 36), stamp=at(9))

    both = Comparison(15, await trial(workshop, 15), await trial(workshop, 15))

    assert sorted(both.sequential.seen) == list(range(1, 16))
    assert (both.is_identical, both.different) == (True, 0)
    assert workshop.tables() == []


async def test_one_field_of_one_record_makes_a_difference(workshop: Workshop) -> None:
    """Whatever the stamp says: all of the record is compared."""
    orders = workshop.source.stream()
    orders.put_many(range(1, 6), stamp=at(9))
    before = await trial(workshop, 5)
    orders.put(3, stamp=at(9), name="another")

    both = Comparison(5, before, await trial(workshop, 5))

    assert (both.is_identical, both.different) == (False, 1)


async def test_each_size_is_read_one_page_after_another_and_then_several_at_once(workshop: Workshop) -> None:
    """The way it was read stands beside what came of it; a source that is away is told of as any failed run."""
    workshop.source.stream().put_many(range(1, 36), stamp=at(9))
    account, clock = workshop.account(), workshop.clock
    both = await compared(workshop.syncer(), account, ORDERS, [5, 15], in_flight=4, clock=clock)
    workshop.source.script.on("clock", raises=SourceRefused("the key is wrong"), times=None)
    (refused,) = await compared(workshop.syncer(), account, ORDERS, [5], in_flight=4, clock=clock)
    told = [each.as_json() for each in both]

    assert [(each["size"], each["identical"], each["different"]) for each in told] == [(5, True, 0), (15, True, 0)]
    assert [(each.sequential.in_flight, each.parallel.in_flight) for each in both] == [(1, 4)] * 2
    assert (refused.sequential.run.state, refused.is_identical) == (RunState.FAILED, False)


async def test_no_trial_pays_for_the_requests_of_another(workshop: Workshop) -> None:
    """Each begins when all of the limit is free: else the later way waits for what the earlier one used."""
    workshop.source.stream().put_many(range(1, 36), stamp=at(9))
    budgets = SharedBudgets(MemoryLog(workshop.clock), workshop.clock)
    budget = budgets.of(BudgetTerms("shop", (5, timedelta(seconds=2))))
    account = replace(workshop.account(), budget=budget)

    both = await compared(workshop.syncer(), account, ORDERS, [5, 15], in_flight=4, clock=workshop.clock)

    runs = [trial.run for each in both for trial in (each.sequential, each.parallel)]
    rests = [after.started_at - before.finished_at for before, after in pairwise(runs)]  # type: ignore[operator]  # they ended
    assert min(rests) > timedelta(seconds=2)


async def test_nobody_waits_for_an_hour_between_two_trials(workshop: Workshop) -> None:
    """Where the limit is so many in an hour, a comparison begins while some of it is used."""
    workshop.source.stream().put_many(range(1, 36), stamp=at(9))
    budgets = SharedBudgets(MemoryLog(workshop.clock), workshop.clock)
    account = replace(workshop.account(), budget=budgets.of(BudgetTerms("shop", (3600, timedelta(hours=1)))))
    began = workshop.clock.now()

    await compared(workshop.syncer(), account, ORDERS, [5], in_flight=4, clock=workshop.clock)

    assert workshop.clock.now() - began < timedelta(minutes=1)


async def test_whoever_has_enough_leaves_no_request_behind(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that were asked for ahead are given up before the run ends, not when the garbage is collected."""
    opened: list[Any] = []
    whole = FakeReader.pages

    def kept(reader: FakeReader, **bounds: Any) -> AsyncGenerator[Page, None]:  # noqa: ANN401  the reader's own
        pages = whole(reader, **bounds)
        opened.append(pages)
        return pages

    monkeypatch.setattr(FakeReader, "pages", kept)
    workshop.source.stream().put_many(range(1, 36), stamp=at(9))

    await trial(workshop, 15)
    *_, run = await workshop.syncer().run_one("matriz", ORDERS, Wish(Request(max_records=15)), Trigger.MANUAL)

    assert run.counts.read == 15
    assert [each.ag_frame for each in opened] == [None, None]


@pytest.mark.parametrize(
    ("one", "other", "different"),
    [({1: b"a"}, {1: b"a"}, 0), ({1: b"a"}, {}, 1), ({}, {1: b"a"}, 1), ({1: b"a", 2: b"b"}, {1: b"x", 3: b"c"}, 3)],
)
def test_records_that_one_way_missed_count_too(one: Seen, other: Seen, different: int) -> None:
    """Missing here, missing there, not the same."""
    run = make_run(state=RunState.SUCCEEDED)

    assert Comparison(5, Trial(1, run, one), Trial(None, run, other)).different == different


def test_a_way_that_failed_is_not_called_identical() -> None:
    """Two that both saw nothing are no proof; the error is said with its next step, in the report too."""
    error = {"code": "CMP-NET-001", "message": "no answer", "next_step": "Try again."}
    well = make_run(state=RunState.SUCCEEDED)
    both = Comparison(5, Trial(1, well, {}), Trial(None, replace(well, state=RunState.FAILED, error=error), {}))

    assert not both.is_identical
    assert verdicts([both]) == ["5 records: CMP-NET-001 no answer", "  Next: Try again."]
    assert "not comparable" in markdown("shop/things", [both])
