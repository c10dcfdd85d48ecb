"""The sum that must hold."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comporta.core.counts import Counts, too_many

numbers = st.integers(0, 10**9)
some_counts = st.builds(Counts, *(numbers for _ in fields(Counts)))
balanced = st.tuples(numbers, numbers, numbers, numbers, numbers).map(lambda n: Counts(sum(n[:4]), *n))


@given(some_counts, some_counts)
def test_counts_add_figure_by_figure(one: Counts, other: Counts) -> None:
    """None is forgotten when a field is added."""
    expected = {name: value + other.as_json()[name] for name, value in one.as_json().items()}

    assert (one + other).as_json() == expected


@given(some_counts, some_counts)
def test_what_was_added_can_be_taken_away(one: Counts, other: Counts) -> None:
    """A difference of two sums is what came between them."""
    assert one + other - other == one


@given(balanced, balanced)
def test_the_sum_of_balanced_counts_is_balanced(one: Counts, other: Counts) -> None:
    """So a run of balanced batches is balanced."""
    assert (one + other).is_balanced


@given(balanced, st.sampled_from(["read", "inserted", "updated", "unchanged", "rejected"]))
def test_one_record_too_many_anywhere_is_seen(counts: Counts, name: str) -> None:
    """Deleted stands beside the sum; each of the others is part of it."""
    wrong = Counts(**(counts.as_json() | {name: counts.as_json()[name] + 1}))

    assert not wrong.is_balanced


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [(0, 0, False), (20, 20, False), (21, 21, True), (21, 420, False), (22, 420, True), (50, 1_000, False)],
)
def test_too_many_needs_the_share_and_the_number(part: int, whole: int, *, expected: bool) -> None:
    """Twenty rows of a small table are no alarm, and twenty-one of a large one are none either."""
    assert too_many(part, whole, share=0.05, at_least=20) == expected
