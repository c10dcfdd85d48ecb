"""Why a part of source time is not covered: one example for each reason, and which comes first."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from tests.core.hours import hour

from comporta.core.gaps import Gap, Standing, Voided, Why, hole, open_end
from comporta.core.run import Run, RunState, Trigger
from comporta.core.window import Kind, Request
from comporta.errors import TooManyRejected

INCREMENTAL, FULL = Request(), Request(Kind.FULL)
NEXT = hour(13)
STANDING = Standing(end=hour(12), next_at=NEXT)
HOLE = Request(Kind.HOLE, hour(3), hour(5))


def run(
    number: int,
    state: RunState = RunState.FAILED,
    request: Request = INCREMENTAL,
    window: tuple[datetime, datetime] | None = None,
    **more: Any,  # noqa: ANN401  any field
) -> Run:
    """Return a run; a higher number is a later one."""
    bounds = {} if window is None else {"window_since": window[0], "window_until": window[1]}
    kind = request.kind.value if window is not None else None
    known: dict[str, Any] = {"window_kind": kind, "finished_at": hour(number), **bounds, **more}
    return Run(f"r{number}", "loja/orders", "loja", "orders", state, Trigger.SCHEDULE, request.text, **known)


def why_hole(*runs: Run, **more: Any) -> Gap:  # noqa: ANN401  any field
    """Return why the hole from three to five is there; the runs come newest first."""
    return hole(hour(3), hour(5), replace(STANDING, runs=runs, **more))


def why_rest(*runs: Run, **more: Any) -> Gap:  # noqa: ANN401  any field
    """Return why nothing is covered from the end on."""
    return open_end(hour(0), replace(STANDING, runs=runs, **more))


@pytest.mark.parametrize(
    ("runs", "more", "why", "blamed"),
    [
        ((), {}, Why.NEVER_ASKED, None),
        ((), {"next_at": None}, Why.UNSCHEDULED, None),
        ((run(9, RunState.QUEUED, HOLE),), {}, Why.QUEUED, "r9"),
        ((run(9, RunState.RUNNING, HOLE, (hour(3), hour(5))),), {"living": {"r9"}}, Why.READING, "r9"),
        ((run(9, RunState.RUNNING, HOLE, (hour(3), hour(5))),), {}, Why.FAILED, "r9"),
        ((run(9, RunState.QUEUED, HOLE), run(8, request=HOLE)), {}, Why.FAILED, "r8"),
        ((run(9, RunState.SKIPPED, HOLE), run(8, RunState.TIMED_OUT, HOLE)), {}, Why.FAILED, "r8"),
        ((run(9, request=HOLE, error={"code": TooManyRejected.code}),), {}, Why.QUARANTINE, "r9"),
        ((run(9, RunState.SUCCEEDED, FULL, (hour(0), hour(12))),), {}, Why.VOIDED, "r9"),
        ((run(9, request=HOLE),), {"is_paused": True}, Why.PAUSED, "r9"),
        ((run(9, request=HOLE),), {"is_paused": True, "login": "revoked"}, Why.NEEDS_LOGIN, "r9"),
        ((run(9, request=Request(Kind.HOLE, hour(6), hour(7))),), {}, Why.NEVER_ASKED, None),
        ((run(9, request=Request(Kind.RECONCILE)),), {}, Why.NEVER_ASKED, None),
        ((run(9, request=replace(HOLE, max_records=5)),), {}, Why.NEVER_ASKED, None),
        ((run(9, request=Request(Kind.MANUAL, hour(4))),), {}, Why.FAILED, "r9"),
    ],
)
def test_a_hole_has_the_first_reason_that_holds(
    runs: tuple[Run, ...], more: dict[str, Any], why: Why, blamed: str | None
) -> None:
    """And the run that it is about."""
    found = why_hole(*runs, **more)

    assert (found.why, found.run.id if found.run else None) == (why, blamed)
    assert (found.since, found.until) == (hour(3), hour(5))


def test_a_hole_waits_for_fresh_data_first() -> None:
    """Holes are read after a run that succeeds: what fails before that is why they are still there."""
    failing, made = run(9), run(8, RunState.SUCCEEDED, INCREMENTAL, (hour(6), hour(12)))

    assert why_hole(failing, made).why is Why.FAILED
    assert why_hole(made, run(7)).why is Why.NEVER_ASKED


@pytest.mark.parametrize(
    ("runs", "more", "why"),
    [
        ((), {}, Why.DUE),
        ((), {"next_at": None}, Why.UNSCHEDULED),
        ((), {"end": None}, Why.NEVER_ASKED),
        ((run(9, window=(hour(11), hour(14))),), {}, Why.FAILED),
        ((run(9, RunState.SUCCEEDED, window=(hour(11), hour(12))), run(8)), {}, Why.DUE),
        ((run(9, RunState.QUEUED),), {}, Why.QUEUED),
        ((run(9, RunState.RUNNING, window=(hour(0), hour(9))),), {"end": None, "living": {"r9"}}, Why.READING),
        ((run(9, RunState.SUCCEEDED, window=(hour(0), hour(9))),), {"end": None}, Why.VOIDED),
    ],
)
def test_what_follows_the_end_has_a_reason_too(runs: tuple[Run, ...], more: dict[str, Any], why: Why) -> None:
    """It is no hole: it is what the next run reads, as long as one comes."""
    found = why_rest(*runs, **more)

    assert (found.why, found.until) == (why, None)


def test_the_next_try_is_the_one_that_waits_else_what_is_scheduled() -> None:
    """One that waits without an hour is tried at once."""
    at_once = why_hole(run(9, RunState.QUEUED, HOLE), run(8, request=HOLE))
    later = why_hole(run(9, RunState.QUEUED, HOLE, not_before=hour(15)), run(8, request=HOLE))
    scheduled = why_hole(run(8, request=HOLE))

    assert [(each.next_at, each.is_queued) for each in (at_once, later, scheduled)] == [
        (None, True),
        (hour(15), True),
        (NEXT, False),
    ]


def test_what_was_taken_back_is_told_until_all_was_read_again() -> None:
    """Beside the reason why it is not yet; alone where nobody has tried since."""
    voided = Voided("r5", "incremental", hour(5), "fields changed")
    whole = run(8, RunState.SUCCEEDED, FULL, (hour(0), hour(12)))

    assert why_rest(end=None, voided=voided).why is Why.VOIDED
    assert (why_rest(run(7), end=None, voided=voided).why, why_rest(run(7), end=None, voided=voided).voided) == (
        Why.FAILED,
        voided,
    )
    assert why_rest(whole, voided=voided).voided is None
