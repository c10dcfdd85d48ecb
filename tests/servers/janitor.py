"""Wait until no test process is left, then stop what they started and remove its folder.

A script of its own, in a session of its own: it outlives Ctrl-C, a crash and kill -9 of the tests. Nothing
is counted: every test process holds a shared lock on the lifeline, which the kernel lets go of when the
process dies, however it dies. Likewise a server is alive for as long as the lock on its ``alive`` file is
held, which it inherited; so a process number that now belongs to someone else is never killed.
"""

import contextlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path

if sys.platform != "win32":
    import fcntl

PATIENCE_S = 5.0
LOOK_AGAIN_S = 0.01


def is_alive(server: Path) -> bool:
    """Tell whether the process of a folder, or a child of its, still runs."""
    try:
        with (server / "alive").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def end(server: Path, number: int) -> bool:
    """Send a signal to the process of a folder and return whether it was gone in time."""
    deadline = time.monotonic() + PATIENCE_S
    if is_alive(server):
        with contextlib.suppress(ProcessLookupError):  # its children may take a moment longer
            os.kill(int((server / "pid").read_text(encoding="ascii")), number)
    while is_alive(server):
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_AGAIN_S)
    return True


def main(lifeline: Path, record: Path, folder: Path) -> None:
    """Clean up when the last holder of the lifeline is gone."""
    with lifeline.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for alive in folder.glob("*/alive"):
            end(alive.parent, signal.SIGQUIT) or end(alive.parent, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
        record.unlink(missing_ok=True)
        lifeline.unlink(missing_ok=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
