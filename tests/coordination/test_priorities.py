"""Whose requests go first: a person's, then the schedule's and backfills, then what nobody waits for."""

import pytest
from tests.core.runs import make_run
from tests.engine.workshop import Workshop, at

from comporta.coordination.execute import priority_of
from comporta.core.run import Trigger
from comporta.core.ticket import successor
from comporta.ports.progress import Priority


@pytest.mark.parametrize(
    ("trigger", "request_text", "priority"),
    [
        (Trigger.MANUAL, "incremental", Priority.PERSON),
        (Trigger.MANUAL, "quarantine", Priority.PERSON),
        (Trigger.MANUAL, "full", Priority.SCHEDULE),
        (Trigger.MANUAL, "clear_first", Priority.SCHEDULE),
        (Trigger.MANUAL, "manual 2026-03-01T00:00:00.000000Z/2026-03-02T00:00:00.000000Z", Priority.SCHEDULE),
        (Trigger.SCHEDULE, "incremental", Priority.SCHEDULE),
        (Trigger.CATCH_UP, "hole 2026-03-01T00:00:00.000000Z/2026-03-02T00:00:00.000000Z", Priority.SCHEDULE),
        (Trigger.RETRY, "incremental", Priority.SCHEDULE),
        (Trigger.NOTIFICATION, "notification", Priority.SCHEDULE),
        (Trigger.SCHEDULE, "full", Priority.BULK),
        (Trigger.RETRY, "clear_first", Priority.BULK),
        (Trigger.RECONCILE, "reconcile", Priority.BULK),
    ],
)
def test_who_goes_first(trigger: Trigger, request_text: str, priority: Priority) -> None:
    """By who asked, then by how much is read."""
    assert priority_of(make_run(trigger=trigger, request=request_text)) is priority


@pytest.mark.parametrize(("request_text", "priority"), [("incremental", Priority.PERSON), ("full", Priority.SCHEDULE)])
def test_the_next_attempt_is_for_whom_the_first_was(request_text: str, priority: Priority) -> None:
    """A person who waited for the one waits for the other."""
    run = make_run(trigger=Trigger.MANUAL, request=request_text)
    ticket = successor(run, not_before=None)

    assert ticket is not None
    again = make_run(trigger=ticket.trigger, request=request_text, priority=ticket.priority)
    assert priority_of(again) is priority_of(run) is priority


async def test_a_source_is_told_whose_run_it_reads_for(workshop: Workshop) -> None:
    """Scope, priority and limit come with the sign of life that every request is counted in."""
    workshop.source.stream().put(1, stamp=at(9))
    workshop.account(limit=(5, workshop.conduct.lease))
    await workshop.sync()

    progress = workshop.witness.progress[0]

    assert (progress.scope, progress.priority) == ("matriz/sale.order", Priority.PERSON)
    assert progress.requests.rate == (5, workshop.conduct.lease)
