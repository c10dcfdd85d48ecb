"""How a command ends, from what became of its runs."""

import pytest
from tests.core.runs import make_run

from comporta.core.outcome import ExitCode, exit_code, last_attempts
from comporta.core.run import Run, RunState
from comporta.errors import Busy
from comporta.errors_guard import LegacyLockHeld, LegacyLockUnreachable

GOOD = make_run(id="good", stream="a", state=RunState.SUCCEEDED)
BAD = make_run(id="bad", stream="b", state=RunState.FAILED)
BUSY = make_run(id="busy", stream="c", state=RunState.SKIPPED, error=Busy("held").as_json())
LOCKED = make_run(id="locked", stream="e", state=RunState.SKIPPED, error=LegacyLockHeld("held").as_json())
ALONE = make_run(id="alone", stream="f", state=RunState.SKIPPED, error=LegacyLockUnreachable("silent").as_json())
IDLE = make_run(id="idle", stream="d", state=RunState.SKIPPED)


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([], ExitCode.DONE),
        ([GOOD], ExitCode.DONE),
        ([IDLE], ExitCode.DONE),
        ([GOOD, IDLE], ExitCode.DONE),
        ([BAD], ExitCode.FAILED),
        ([GOOD, BAD], ExitCode.PARTLY_FAILED),
        ([BUSY], ExitCode.BUSY),
        ([GOOD, BUSY], ExitCode.PARTLY_FAILED),
        ([BAD, BUSY], ExitCode.FAILED),
        ([BUSY, LOCKED], ExitCode.BUSY),
        ([ALONE], ExitCode.FAILED),
        ([GOOD, ALONE], ExitCode.PARTLY_FAILED),
    ],
)
def test_the_exit_code_tells_the_worst_that_a_script_must_know(runs: list[Run], expected: ExitCode) -> None:
    """Busy only when nothing else was possible."""
    assert exit_code(runs) == expected


def test_only_the_last_attempt_of_a_request_counts() -> None:
    """A run that failed and succeeded on the second try is a success."""
    again = make_run(id="bad.2", stream="b", state=RunState.SUCCEEDED, attempt=2)

    assert last_attempts([BAD, GOOD, again]) == [again, GOOD]
    assert exit_code([BAD, GOOD, again]) == ExitCode.DONE


def test_a_dry_run_does_not_stand_for_the_real_one() -> None:
    """Both count."""
    dry = make_run(id="dry", stream="b", state=RunState.SUCCEEDED, dry_run=True)

    assert exit_code([BAD, dry]) == ExitCode.PARTLY_FAILED
