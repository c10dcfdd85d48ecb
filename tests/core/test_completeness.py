"""When a pass may claim its window."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comporta.core.completeness import Verdict, judge

totals = st.integers(0, 50)


@given(totals, totals, totals)
def test_only_three_equal_numbers_agree(before: int, read: int, after: int) -> None:
    """Anything else is listed again, by key."""
    agreed = judge(before=before, read=read, after=after) is Verdict.AGREED

    assert agreed == (before == read == after)


@pytest.mark.parametrize(
    ("before", "read", "after", "expected"),
    [
        (0, 0, 0, Verdict.AGREED),
        (3, 0, 3, Verdict.EMPTY_UNCONFIRMED),
        (3, 0, 0, Verdict.EMPTY_UNCONFIRMED),
        (0, 0, 3, Verdict.EMPTY_UNCONFIRMED),
        (3, 2, 3, Verdict.LIST_AGAIN),
        (3, 3, 4, Verdict.LIST_AGAIN),
        (4, 3, 3, Verdict.LIST_AGAIN),
        (0, 1, 0, Verdict.LIST_AGAIN),
    ],
)
def test_an_empty_answer_needs_the_sources_own_word(before: int, read: int, after: int, expected: Verdict) -> None:
    """A quiet night is normal; an empty answer that the source's count contradicts is not."""
    assert judge(before=before, read=read, after=after) == expected


@given(totals | st.none(), totals, totals | st.none())
def test_pages_without_a_gap_need_no_total_but_none_that_is_higher(
    before: int | None, read: int, after: int | None
) -> None:
    """A total that is absent or too low is not believed; one above what was read is looked into."""
    verdict = judge(before=before, read=read, after=after, is_unbroken=True)

    if read >= max(after or 0, 1) or read == before == after:
        assert verdict is Verdict.AGREED
    elif read == 0:
        assert verdict is (Verdict.EMPTY_UNCONFIRMED if before or after else Verdict.AGREED)
    else:
        assert verdict is Verdict.LIST_AGAIN


@given(totals, totals | st.none())
def test_without_a_total_only_such_pages_agree(read: int, before: int | None) -> None:
    """A server that says nothing proves nothing."""
    assert judge(before=before, read=read, after=None) is not Verdict.AGREED
