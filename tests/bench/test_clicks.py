"""The measurement of clicks runs, and looks at what it says it does."""

from pathlib import Path

import pytest
from bench.clicks import BUSY, RATE, Clicked, clicks, clicks_table
from bench.databases import Sqlite


@pytest.mark.full
@pytest.mark.timeout(60)
def test_every_click_is_answered_and_begins(tmp_path: Path) -> None:
    """While others run."""
    found = clicks(Sqlite(tmp_path), paced=True, seconds=2, rows=2_000)

    assert len(found.answered_s) == len(found.began_s) == 2 * RATE
    assert max(found.running) >= BUSY
    assert all(answered > 0 for answered in found.answered_s)


def test_what_is_late_is_seen() -> None:
    """A figure that cannot be bad is none."""
    found = Clicked(answered_s=[0.01] * 99 + [0.6], began_s=[0.02] * 100, running=[10])

    assert clicks_table({"x": found}).endswith("| x | 100 | 10 | 16 | 600 | 20 | 20 | 20 | 10.0 |")
