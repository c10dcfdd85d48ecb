"""What is shown while a run goes on: rates and estimates that do not go back."""

from hypothesis import given
from hypothesis import strategies as st

from comporta.cli.pace import PATIENCE_S, Pace


@given(st.lists(st.integers(min_value=1, max_value=5_000), min_size=1, max_size=40))
def test_the_estimated_end_never_moves_away(pages: list[int]) -> None:
    """However unevenly pages come."""
    pace = Pace(started=0)
    total, rows, now = sum(pages), 0, 0.0
    ends = []
    for page in pages:
        rows += page
        now += 1
        pace.pages += 1
        left = pace.remaining(now, rows, total)
        if left:
            ends.append(round(now + left, 6))

    assert ends == sorted(ends, reverse=True)


def test_nothing_is_estimated_too_early() -> None:
    """Before five seconds and two pages, or without a total, any number would be invented."""
    early, few, unknown = Pace(0, pages=2), Pace(0, pages=1), Pace(0, pages=2)

    assert early.remaining(PATIENCE_S - 1, 100, 1_000) is None
    assert few.remaining(PATIENCE_S + 1, 100, 1_000) is None
    assert unknown.remaining(PATIENCE_S + 1, 100, None) is None


def test_a_resumed_run_is_judged_by_what_it_did_itself() -> None:
    """Rows of the earlier run are no merit of this one."""
    assert Pace(started=0, begun_with=9_000).rate(10, 10_000) == 100.0
