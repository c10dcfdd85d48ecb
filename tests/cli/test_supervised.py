"""What systemd is told: ready, alive while loop and database are, about to end."""

import asyncio
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.acceptance.project import running, until

from comporta.cli.supervised import Supervisor
from comporta.errors import DestinationBusy
from comporta.settings.reading import read_supervision
from comporta.testing.clock import FakeClock

if not hasattr(socket, "AF_UNIX"):
    pytest.skip("no service manager here listens on a socket with a path", allow_module_level=True)


class Ear:
    """A service manager that keeps what it hears."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.setblocking(False)
        self.heard: list[str] = []

    def hear(self) -> list[str]:
        """Return all that was said so far."""
        while True:
            try:
                self.heard.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return self.heard

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


@pytest.fixture
def ear(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ear]:
    """Listen, in a folder whose name is short enough for a socket."""
    listening = Ear(tmp_path_factory.mktemp("n"))
    yield listening
    listening.close()


async def watched(ear: Ear, answers: list[object]) -> list[str]:
    """Watch until the database was asked for each of the answers; return what was heard."""
    stopping = asyncio.Event()

    async def look() -> None:
        answer = answers.pop(0)
        if not answers:
            stopping.set()
        if isinstance(answer, Exception):
            raise answer

    supervisor = Supervisor(ear.path, timedelta(seconds=30))
    await supervisor.watch(look, stopping=stopping, clock=FakeClock())
    return ear.hear()


async def test_alive_is_said_after_the_database_has_answered(ear: Ear) -> None:
    """A look that fails is silence, and the next is told again."""
    heard = await watched(ear, [None, DestinationBusy("locked"), None])

    assert heard == ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "STOPPING=1"]


async def test_a_database_that_hangs_is_silence(ear: Ear) -> None:
    """Nothing is said while nobody answers; the end is said in any case."""
    supervisor = Supervisor(ear.path, timedelta(seconds=30))
    never, stopping = asyncio.Event(), asyncio.Event()
    watching = asyncio.create_task(supervisor.watch(never.wait, stopping=stopping, clock=FakeClock()))
    await asyncio.wait({watching}, timeout=0.05)
    during = list(ear.hear())
    watching.cancel()
    await asyncio.wait({watching})

    assert during == ["READY=1"]
    assert ear.hear() == ["READY=1", "STOPPING=1"]


async def test_without_a_listener_nothing_is_said_and_nothing_fails(tmp_path: Path) -> None:
    """In a terminal, and when the service manager has gone."""
    stopping = asyncio.Event()
    stopping.set()

    async def look() -> None:
        """Answer."""

    await Supervisor().watch(look, stopping=stopping, clock=FakeClock())
    await Supervisor(str(tmp_path / "gone")).watch(look, stopping=stopping, clock=FakeClock())


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({}, (None, None)),
        ({"NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "180000000"}, ("@n", timedelta(seconds=90))),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "7"}, ("/n", timedelta(seconds=1))),
        ({"NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "8"}, ("/n", None)),
        ({"WATCHDOG_USEC": "soon"}, (None, None)),
    ],
)
def test_the_environment_says_whom_to_tell(environ: dict[str, str], told: tuple[str | None, timedelta | None]) -> None:
    """Twice in the patience of who waits; what is meant for another process is not ours."""
    assert read_supervision(environ=environ, pid=7) == told


@pytest.mark.full
@pytest.mark.timeout(60)
def test_the_line_of_the_unit_is_ready_alive_and_ends_well(
    folder: Path, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The very command of deploy/comporta.service, told by SIGTERM to end."""
    import sys

    unit = (Path(__file__).parent.parent.parent / "deploy/comporta.service").read_text("utf-8")
    (line,) = [each for each in unit.splitlines() if each.startswith("ExecStart=")]
    arguments = line.split()[1:]
    monkeypatch.setenv("NOTIFY_SOCKET", ear.path)
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    with running([sys.executable, "-m", "comporta", *arguments, "--port", "0"], folder) as process:
        until(lambda: ear.hear().count("WATCHDOG=1") >= 2, "it says that it is alive")
        process.terminate()
        code = process.wait(20)

    assert code == 0
    assert ear.hear()[0] == "READY=1"
    assert ear.hear()[-1] == "STOPPING=1"
