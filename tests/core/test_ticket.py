"""Which wish follows a run that ended without its fault."""

from datetime import datetime

import pytest
from tests.core.hours import hour
from tests.core.runs import make_run

from comporta.core.run import Trigger
from comporta.core.schedule import BULK, PERSON, SCHEDULED
from comporta.core.ticket import Ticket, joining, successor
from comporta.core.window import Kind, Request


def test_a_successor_asks_for_the_same_with_one_attempt_more() -> None:
    """Kind, bounds and limit included."""
    request = Request(Kind.MANUAL, hour(1), hour(2), max_records=5)
    following = successor(make_run(request=request.text, attempt=2, priority=7), not_before=hour(3))

    assert following == Ticket("shop", "sale.order", request, Trigger.RETRY, attempt=3, not_before=hour(3), at_least=7)
    assert following.scope == "shop/sale.order"


@pytest.mark.parametrize(
    ("trigger", "kind", "given", "priority"),
    [
        (Trigger.MANUAL, Kind.INCREMENTAL, 0, PERSON),  # begun by the command line, which queues for nobody else
        (Trigger.RETRY, Kind.INCREMENTAL, PERSON, PERSON),
        (Trigger.SCHEDULE, Kind.INCREMENTAL, SCHEDULED, SCHEDULED),
        (Trigger.RETRY, Kind.INCREMENTAL, 0, SCHEDULED),
        (Trigger.MANUAL, Kind.FULL, SCHEDULED, SCHEDULED),
        (Trigger.SCHEDULE, Kind.FULL, BULK, BULK),
    ],
)
def test_a_successor_is_as_urgent_as_what_it_follows(trigger: Trigger, kind: Kind, given: int, priority: int) -> None:
    """A person who waits does not stand behind a reload because of a deploy."""
    following = successor(make_run(trigger=trigger, request=Request(kind).text, priority=given), not_before=None)

    assert following is not None
    assert following.priority == priority


@pytest.mark.parametrize(("attempt", "is_followed"), [(1, True), (3, True), (4, False), (9, False)])
def test_there_are_three_more_tries_in_a_row(attempt: int, *, is_followed: bool) -> None:
    """Then the schedule's next."""
    assert (successor(make_run(attempt=attempt), not_before=None) is not None) == is_followed


def test_a_run_that_got_on_uses_up_no_attempt() -> None:
    """It was only told to end."""
    following = successor(make_run(attempt=4), not_before=None, got_on=True)

    assert following is not None
    assert following.attempt == 4


def test_a_dry_run_has_no_successor() -> None:
    """It changed nothing; whoever wants it starts another."""
    assert successor(make_run(dry_run=True), not_before=None) is None


@pytest.mark.parametrize(
    ("waiting", "is_joined"),
    [
        (Request(Kind.MANUAL, hour(3)), True),
        (Request(Kind.MANUAL, hour(2)), True),
        (Request(Kind.MANUAL, hour(0)), False),
        (Request(Kind.MANUAL, hour(4)), False),
        (Request(Kind.MANUAL, hour(2), hour(9)), False),
        (Request(Kind.MANUAL, hour(2), max_records=5), False),
        (Request(Kind.HOLE, hour(2)), False),
        (Request(Kind.FULL), False),
        (Request(), False),
    ],
)
def test_a_window_up_to_now_joins_one_that_begins_no_later(waiting: Request, *, is_joined: bool) -> None:
    """What waits reads up to the hour at which it runs, so it reads all that was asked for."""
    ticket = Ticket("shop", "sale.order", Request(Kind.MANUAL, hour(3)), Trigger.MANUAL)
    joined = joining(ticket, [make_run(request=waiting.text)])

    assert joined.request == (waiting if is_joined else ticket.request)


def test_a_window_joins_no_run_that_is_to_begin_later() -> None:
    """A pause that its source asked for is not cut short by a click, nor does the click wait for it."""
    ticket = Ticket("shop", "sale.order", Request(Kind.MANUAL, hour(3)), Trigger.MANUAL)
    waiting = make_run(request=Request(Kind.MANUAL, hour(2)).text, not_before=hour(9))

    assert joining(ticket, [waiting]) == ticket


@pytest.mark.parametrize(
    ("until", "max_records", "dry_run"), [(hour(9), None, False), (None, 5, False), (None, None, True)]
)
def test_a_window_that_ends_a_part_and_a_dry_run_join_no_wider_one(
    until: datetime | None, max_records: int | None, *, dry_run: bool
) -> None:
    """Somebody asked for just that."""
    request = Request(Kind.MANUAL, hour(3), until, max_records)
    ticket = Ticket("shop", "sale.order", request, Trigger.MANUAL, dry_run=dry_run)

    assert joining(ticket, [make_run(request=Request(Kind.MANUAL, hour(2)).text)]) == ticket
