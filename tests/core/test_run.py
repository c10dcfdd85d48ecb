"""Every cell of the state table, and what people see of a run."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from tests.core.runs import make_run

from comporta.core.counts import Counts
from comporta.core.run import ALLOWED, TERMINAL, RunState

Q, R = RunState.QUEUED, RunState.RUNNING
WRITTEN_OUT = {
    (Q, R),
    (Q, RunState.CANCELLED),
    (Q, RunState.SKIPPED),
    (R, RunState.SUCCEEDED),
    (R, RunState.FAILED),
    (R, RunState.TIMED_OUT),
    (R, RunState.CANCELLED),
    (R, RunState.INTERRUPTED),
    (R, RunState.LOST),
}
"""The states of docs/explanation/coordination.md, by hand: the table in the code must say the same."""
BEGAN = datetime(2026, 3, 1, 8, tzinfo=UTC)


@pytest.mark.parametrize(("state", "following"), list(product(RunState, RunState)))
def test_a_transition_is_allowed_exactly_if_the_protocol_has_it(state: RunState, following: RunState) -> None:
    """81 cells, nine of them open."""
    assert (following in ALLOWED[state]) == ((state, following) in WRITTEN_OUT)


def test_the_table_knows_every_state() -> None:
    """A new state is refused here until somebody has thought about it."""
    assert set(ALLOWED) == set(RunState)


def test_all_but_queued_and_running_are_ends() -> None:
    """A run that ended never moves again; another try is another run."""
    assert set(RunState) - TERMINAL == {Q, R}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"started_at": BEGAN}, None),
        ({"finished_at": BEGAN}, None),
        ({"started_at": BEGAN, "progress_at": BEGAN + timedelta(seconds=2)}, 2.0),
        (
            {
                "started_at": BEGAN,
                "progress_at": BEGAN + timedelta(seconds=2),
                "finished_at": BEGAN + timedelta(seconds=3.0004),
            },
            3.0,
        ),
    ],
)
def test_a_duration_counts_to_the_end_or_to_the_last_sign_of_life(
    changes: dict[str, object], expected: float | None
) -> None:
    """A run that never started took no time that could be named."""
    assert make_run(**changes).duration_s == expected


def test_a_run_that_has_not_decided_shows_the_kind_that_was_asked_for() -> None:
    """Its bounds come when it starts."""
    run = make_run(request="manual 2026-03-01T08:00:00.000000Z/")

    assert run.as_json()["window"] == {"since": None, "until": None, "kind": "manual"}


def test_a_finished_run_shows_its_window_counts_and_rates() -> None:
    """The same object in the command line, the API and the events."""
    run = make_run(
        window_kind="full",
        window_since=BEGAN,
        window_until=BEGAN + timedelta(hours=1),
        started_at=BEGAN,
        finished_at=BEGAN + timedelta(seconds=2),
        counts=Counts(read=10, inserted=3, updated=2, unchanged=5),
    )

    assert run.as_json()["window"] == {"since": "2026-03-01T08:00:00Z", "until": "2026-03-01T09:00:00Z", "kind": "full"}
    assert run.as_json()["rates"] == {"records_per_s": 5.0, "upserts_per_s": 2.5, "limit": None, "limit_used": None}


def test_a_run_of_no_length_shows_no_rate() -> None:
    """Nobody divides by it."""
    run = make_run(started_at=BEGAN, finished_at=BEGAN, counts=Counts(read=1, inserted=1))

    assert run.as_json()["rates"] == {"records_per_s": None, "upserts_per_s": None, "limit": None, "limit_used": None}
