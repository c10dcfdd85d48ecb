"""The end of a process that asked something: it is never an abort, however busy the machine."""

import subprocess
import sys

import pytest
from tests.sources.scripted import ScriptedServer, http

ASKING = """
import asyncio, os, sys
from comporta.sources import connections

PROCESSES, AT_ONCE = 60, 10

async def main(url):
    known = connections.Connections()
    async def ask():
        for _ in range(3):
            await (await known.client(is_direct=True).get(url).build().send()).bytes()
    await asyncio.gather(*(ask() for _ in range(4)))
    await known.aclose()

connections._loaded()
codes = []
for number in range(PROCESSES + AT_ONCE):
    if number >= AT_ONCE:
        codes.append(os.waitstatus_to_exitcode(os.wait()[1]))
    if number < PROCESSES and not os.fork():
        asyncio.run(main(sys.argv[1]))
        sys.exit()
print(sorted(set(codes)), len(codes))
"""
"""Sixty processes that are forked when all is imported: of them one in four aborts where none waits at its end."""


@pytest.mark.full
@pytest.mark.skipif(sys.platform == "win32", reason="Windows forks no process")
def test_a_process_ends_well_right_after_its_last_answer(server: ScriptedServer) -> None:
    """The library's thread may hold the interpreter still when the answer has been used."""
    server.overrides["/script"] = http([1])
    line = [sys.executable, "-c", ASKING, f"{server.url}/script"]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)

    assert (ended.stdout, ended.stderr) == ("[0] 60\n", "")


INTERRUPTED = """
import _thread, threading
from comporta.sources import connections

connections.LAST_S = 5
connections._loaded()
pressed = threading.Timer(0.1, _thread.interrupt_main)
pressed.daemon = True
pressed.start()
"""


def test_a_ctrl_c_in_the_last_moment_shows_no_traceback() -> None:
    """All is done and said by then; the process only waits for the library's thread."""
    ended = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False, timeout=9)

    assert (ended.returncode, ended.stderr) == (0, "")
