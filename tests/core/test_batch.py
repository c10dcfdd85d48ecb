"""How large a batch becomes: near, far, slow, and with pages too small to tell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comporta.core.batch import FIRST_ROWS, ROWS_MAX, ROWS_MIN, TOOK_MAX_S, BatchSize


def size_on(*, fixed_s: float, row_s: float) -> int:
    """Return the size that is settled on where a transaction takes so long."""
    size = BatchSize()
    for _ in range(12):
        size = size.after(size.rows, took_s=fixed_s + size.rows * row_s)
    return size.rows


@pytest.mark.parametrize(
    ("fixed_s", "row_s", "rows"),
    [
        pytest.param(0.001, 10e-6, ROWS_MAX, id="an SQLite file: no transaction takes long"),
        pytest.param(0.001, 200e-6, FIRST_ROWS, id="a slow disk: more rows are no quicker"),
        pytest.param(0.100, 150e-6, 2 * FIRST_ROWS, id="a slow server in the house"),
        pytest.param(1.2, 15e-6, ROWS_MAX, id="a server on another continent: twelve round trips"),
        pytest.param(0.001, 20e-3, ROWS_MIN, id="a disk that takes a fiftieth of a second for a row"),
    ],
)
def test_a_batch_grows_where_that_pays_or_nobody_minds(fixed_s: float, row_s: float, rows: int) -> None:
    """Rows take memory, and others wait for a transaction."""
    assert size_on(fixed_s=fixed_s, row_s=row_s) == rows


@given(st.lists(st.tuples(st.integers(0, 20_000), st.floats(0, 1_000)), max_size=40), st.integers(1, ROWS_MAX))
def test_no_history_leaves_the_bounds(history: list[tuple[int, float]], most: int) -> None:
    """Whatever was measured: a clock that stands still, a transaction of a quarter of an hour."""
    size = BatchSize(min(FIRST_ROWS, most), most)
    for rows, took_s in history:
        before, size = size, size.after(rows, took_s=took_s)

        assert 1 <= size.rows <= most
        assert took_s <= TOOK_MAX_S or size.rows <= before.rows
