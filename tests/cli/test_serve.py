"""`comporta serve` and `comporta worker`: what they refuse, and where they listen."""

import signal
import sys
from pathlib import Path

import pytest
from tests.acceptance.project import COMMAND, running
from tests.cli.conftest import Command

from comporta.cli import serve
from comporta.cli.serve import Duty, Role
from comporta.core.outcome import ExitCode


@pytest.fixture
def duties(monkeypatch: pytest.MonkeyPatch) -> list[Duty]:
    """Begin nothing; what would have been begun is kept."""
    kept: list[Duty] = []

    def begin(_console: object, _settings: object, duty: Duty) -> int:
        kept.append(duty)
        return ExitCode.DONE

    monkeypatch.setattr(serve, "be_always_on", begin)
    return kept


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("line", "roles", "address"),
    [
        ("serve --port 7", set(Role), ("127.0.0.1", 7)),
        ("serve", set(Role), ("127.0.0.1", 0)),
        ("serve --no-web", {Role.SCHEDULER, Role.WORKERS}, None),
        ("serve --no-web --no-workers --metrics-port 0", {Role.SCHEDULER}, ("127.0.0.1", 0)),
        ("worker", {Role.WORKERS}, None),
        ("worker --metrics-port 9 --host ::1", {Role.WORKERS}, ("::1", 9)),
    ],
)
def test_a_process_listens_where_it_is_told_to(
    comporta: Command, duties: list[Duty], line: str, roles: set[Role], address: tuple[str, int] | None
) -> None:
    """Without the web nowhere, unless monitors shall look; the port of comporta.toml is the web's."""
    comporta(*line.split())

    assert [(set(duty.roles), duty.address) for duty in duties] == [(roles, address)]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("serve --metrics-port 9100", "--metrics-port is for --no-web"),
        ("serve --no-web --host ::1", "takes --metrics-port"),
        ("serve --no-web --port 43210", "--port is where the web listens"),
        ("serve --no-web --port 43210 --metrics-port 0", "--port is where the web listens"),
        ("serve --no-scheduler --run-now", "--run-now is for the scheduler"),
        ("worker --host ::1", "is where --metrics-port is"),
        ("serve --no-web --no-scheduler --no-workers", "leave nothing to do"),
    ],
)
def test_what_makes_no_sense_is_refused(comporta: Command, duties: list[Duty], line: str, said: str) -> None:
    """And nothing begins."""
    refused = comporta(*line.split())

    assert (refused.code, duties) == (ExitCode.WRONG_USE, [])
    assert said in refused.err


@pytest.mark.full
@pytest.mark.timeout(60)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM that a process can answer")
def test_a_server_in_the_wrong_folder_says_that_it_has_nothing_to_do(tmp_path: Path) -> None:
    """It goes on all the same: an account may be connected beside it."""
    with running([*COMMAND, "serve", "--port", "0"], tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Listening at http://127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)

    assert "No account yet: nothing is synced.\n  Next: `comporta init`, or `comporta connect SOURCE NAME`; or" in said
