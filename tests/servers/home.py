"""Where servers live: one folder per test session, shared by the workers of pytest-xdist.

The folder lies in memory if there is enough, and outside pytest's own, which only its owner may enter:
PostgreSQL and PgBouncer refuse to run as root, so under root they run as somebody else. What
runs in it is stopped by the janitor.
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path

from tests.servers import janitor

if sys.platform != "win32":  # where only the server of TEST_PG_URL can be used, but the tests are still collected
    import fcntl
    import pwd

PORTS = range(20_000, 32_000)
"""Below those that systems choose from for connections; a busy run of tests has thousands of those."""
START_TIMEOUT_S = 30.0
LOOK_AGAIN_S = 0.01
MEMORY_BYTES_MIN = 2 * 1024**3
LOOPBACK = "127.0.0.1"

_children: dict[Path, "subprocess.Popen[bytes]"] = {}
"""What this process started, by its folder; kept, because Python warns of a running child that is forgotten."""


LEAVING_S = 60.0
"""The janitor ends one server after another, and each may take its patience twice on a busy machine."""


@dataclass
class Home:
    """A folder that goes, with all that runs in it, when the last process that claimed it is gone."""

    shared: Path
    folder: Path
    lifeline: TextIOWrapper

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep the other test processes out, so that the first one starts what all share."""
        with _mutex(self.shared):
            yield

    def room(self, name: str) -> Path:
        """Make a folder that belongs to whom servers run as."""
        path = self.folder / name
        path.mkdir(mode=0o700)
        hand_over(path)
        return path

    def leave(self) -> None:
        """Let go; the last one to leave waits until the janitor is done."""
        is_last = _is_last(self.lifeline)
        self.lifeline.close()
        if is_last:
            for child in _children.values():
                child.wait(timeout=LEAVING_S)


def claim(shared: Path) -> Home:
    """Return the home of this session, made by whoever comes first."""
    lifeline = _grasp(shared / "servers.lifeline")
    record = shared / "servers.folder"
    with _mutex(shared):
        if record.exists():
            return Home(shared, Path(record.read_text(encoding="utf-8")), lifeline)
        folder = Path(tempfile.mkdtemp(prefix="comporta-servers-", dir=_memory()))
        folder.chmod(0o711)
        command = [sys.executable, "-I", janitor.__file__, lifeline.name, str(record), str(folder)]
        _children[shared] = subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL)
        record.write_text(str(folder), encoding="utf-8")
    return Home(shared, folder, lifeline)


def spawn(room: Path, command: Sequence[str]) -> None:
    """Start a server in its room; its output goes to ``log`` there."""
    user, group, groups = server_user()
    with (room / "alive").open("ab") as alive, (room / "log").open("ab") as log:
        fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
        process = subprocess.Popen(
            command,
            cwd=room,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[alive.fileno()],
            env=_environment(),
            start_new_session=True,
            user=user,
            group=group,
            extra_groups=groups,
        )
        (room / "pid").write_text(str(process.pid), encoding="ascii")
    _children[room] = process


def end(room: Path, number: int) -> None:
    """Stop the server of a room with a signal, with SIGKILL if that does not help."""
    _ = janitor.end(room, number) or janitor.end(room, signal.SIGKILL)
    if (child := _children.pop(room, None)) is not None:
        child.wait(timeout=janitor.PATIENCE_S)


def is_alive(room: Path) -> bool:
    """Tell whether the server of a room, or a process it started, still runs."""
    return janitor.is_alive(room)


def wait_until(room: Path, is_ready: Callable[[], bool]) -> None:
    """Return when a server is ready; raise with its log when it ends before that, or takes too long."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not is_ready():
        if not is_alive(room) or time.monotonic() > deadline:
            log = (room / "log").read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"the server in {room} did not get ready; its log ends with:\n{log[-2000:]}")
        time.sleep(LOOK_AGAIN_S)


def listens(port: int) -> bool:
    """Tell whether somebody answers at a port of this machine."""
    with socket.socket() as tried:
        return tried.connect_ex((LOOPBACK, port)) == 0


def free_port() -> int:
    """Return a port nobody listens at now, and that no connection is given by chance a moment later."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.bind((LOOPBACK, port))
            return port


def run_as_server(command: Sequence[str], *, cwd: Path) -> None:
    """Run a tool as whom servers run as; its output is shown when it fails."""
    user, group, groups = server_user()
    done = subprocess.run(
        command,
        cwd=cwd,
        env=_environment(),
        capture_output=True,
        check=False,
        text=True,
        user=user,
        group=group,
        extra_groups=groups,
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def server_user() -> tuple[int | None, int | None, list[int] | None]:
    """Return the user, group and further groups that servers run as; None where that is who runs the tests."""
    account = _account()
    return (None, None, None) if account is None else (account.pw_uid, account.pw_gid, [])


def hand_over(path: Path) -> None:
    """Give a file or folder to whom servers run as."""
    if (account := _account()) is not None:
        os.chown(path, account.pw_uid, account.pw_gid)


def within_reach(home: Home, binaries: Path) -> Path:
    """Return the binaries, copied into the home where the one who runs them may not enter their folder."""
    if _account() is None or all(folder.stat().st_mode & 0o001 for folder in binaries.parents):
        return binaries
    packages, name = binaries.parents[2], binaries.parents[1].name
    copied = home.folder / f"copy-of-{binaries.parent.name}"
    if not copied.exists():
        unfinished = Path(tempfile.mkdtemp(dir=home.folder))
        unfinished.chmod(0o711)
        # The libraries of a wheel lie beside its package, and the binaries know them by a relative path.
        for tree in (binaries.parent, packages / f"{name}.libs"):
            if tree.exists():
                shutil.copytree(tree, unfinished / tree.relative_to(packages), symlinks=True)
        with contextlib.suppress(OSError):  # another worker was quicker
            unfinished.rename(copied)
    return copied / binaries.relative_to(packages)


def _memory() -> Path | None:
    """Return a folder in memory if there is plenty of it: no disk makes files as evenly fast.

    A fresh database takes 20 ms there; on a disk that others write to, it took 350.
    """
    memory = Path("/dev/shm")
    if not memory.is_dir() or shutil.disk_usage(memory).free < MEMORY_BYTES_MIN:
        return None
    # Binaries are copied there, too; containers often forbid that, and have only 64 MB anyway.
    return None if os.statvfs(memory).f_flag & os.ST_NOEXEC else memory


def _account() -> "pwd.struct_passwd | None":
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _environment() -> dict[str, str]:
    # Nothing of ours: PGPORT or TZ would reach into the server.
    return {"PATH": os.defpath, "LC_ALL": "C"}


@contextlib.contextmanager
def _mutex(shared: Path) -> Iterator[None]:
    with (shared / "servers.mutex").open("a", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _grasp(path: Path) -> TextIOWrapper:
    while True:
        lifeline = path.open("a", encoding="ascii")
        fcntl.flock(lifeline, fcntl.LOCK_SH)
        # While we waited the janitor may have removed it: then it is not the one others hold.
        if path.exists() and path.stat().st_ino == os.fstat(lifeline.fileno()).st_ino:
            return lifeline
        lifeline.close()


def _is_last(lifeline: TextIOWrapper) -> bool:
    try:
        fcntl.flock(lifeline, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
