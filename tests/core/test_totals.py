"""The totals of a sync: what was read in what time, and what went wrong how often."""

from datetime import timedelta

from tests.core.hours import hour
from tests.core.runs import make_run

from comporta.core.counts import Counts
from comporta.core.run import Run
from comporta.core.totals import totals


def took(stream: str, counts: Counts, *, start_s: float, seconds: float, **more: object) -> Run:
    """Return a run that began so long after noon and took so long."""
    started = hour(12) + timedelta(seconds=start_s)
    finished = started + timedelta(seconds=seconds)
    return make_run(stream=stream, counts=counts, started_at=started, finished_at=finished, **more)


def test_what_ran_side_by_side_is_summed_over_the_time_from_first_to_last() -> None:
    """Each stream's own rate goes by its own time."""
    deals = Counts(read=100, inserted=40, updated=10, unchanged=50)
    entries = Counts(read=300, inserted=100, unchanged=200)
    runs = [
        took("deals", deals, start_s=0, seconds=4, limit="5/1s", failures={"deals: page": 2}),
        took("dealCustomFieldData", entries, start_s=1, seconds=9, limit="5/1s", failures={"deals: page": 1, "x": 1}),
    ]

    found = totals(runs, concurrency=4).as_json()

    assert found == {
        "records": 400,
        "custom_field_entries": 300,
        "duration_s": 10.0,
        "deals_per_s": 25.0,
        "custom_fields_per_s": 33.3,
        "upserts_per_s": 15.0,
        "limit": "5/1s",
        "concurrency": 4,
        "failures": {"deals: page": 3, "x": 1},
    }


def test_different_limits_are_no_limit_of_all() -> None:
    """Two accounts, two limits: none of them is that of the sync."""
    runs = [
        took("a", Counts(), start_s=0, seconds=1, limit="5/1s"),
        took("b", Counts(), start_s=0, seconds=1, limit="1/1s"),
    ]

    assert totals(runs).limit is None


def test_what_never_ran_has_no_rates() -> None:
    """A sync that found everything held: zeros and nothing, no division by zero."""
    found = totals([make_run()]).as_json()

    assert (found["records"], found["duration_s"], found["upserts_per_s"], found["deals_per_s"]) == (0, 0.0, None, None)
