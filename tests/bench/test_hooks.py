"""The measurement of notifications runs, and looks at what it says it does."""

from pathlib import Path

import pytest
from bench.databases import Sqlite
from bench.hooks import RATE, Heard, hooks, hooks_table


@pytest.mark.full
@pytest.mark.timeout(60)
def test_every_notification_is_counted(tmp_path: Path) -> None:
    """Taken, refused or cut off; and none that was taken is lost."""
    found = hooks(Sqlite(tmp_path), seconds=2, rows=200)

    assert len(found.took_s) + found.refused + found.cut == 2 * RATE
    assert found.took_s
    assert found.syncs > 0
    assert found.lost == 0


def test_what_is_lost_and_late_is_seen() -> None:
    """A figure that cannot be bad is none."""
    found = Heard(took_s=[0.01] * 99 + [0.6], kept=98, refused=3)

    assert (found.lost, found.late) == (2, 1)
    assert "| 100 | 10.0 | " in hooks_table(found)
    assert hooks_table(found).endswith(" | 600 | 1 | 3 | 2 |")
