"""The measurement of many accounts in one process runs, and looks at what it says it does."""

from pathlib import Path

import pytest
from bench.accounts import accounts_table, crowd, per_account_kb
from bench.databases import Sqlite


@pytest.mark.full
@pytest.mark.timeout(60)
def test_every_account_is_synced_and_every_delay_is_seen(tmp_path: Path) -> None:
    """One run for each account; a place that was free was taken again for all but the first ones."""
    database = Sqlite(tmp_path)
    one, many = crowd(database, 1), crowd(database, 25)

    text = accounts_table(one, many)

    assert (one.said["runs"], many.said["runs"]) == (1, 25)
    assert many.said["delay_ms"]["max"] > 0
    assert per_account_kb(one, many) == pytest.approx((many.sample.peak_mb - one.sample.peak_mb) * 1024 / 24)
    assert "| 25 |" in text
