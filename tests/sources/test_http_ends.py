"""The end of a process that asked something: it is never an abort, however busy the machine."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.sources.scripted import ScriptedServer, http

PROCESSES, AT_ONCE = 200, 10
"""Without the moment that a process waits at its end, one of fifty aborts."""
ASKING = """
import asyncio, sys
from comporta.sources.connections import Connections

async def main(url):
    connections = Connections()
    async def ask():
        for _ in range(3):
            await (await connections.client(is_direct=True).get(url).build().send()).bytes()
    await asyncio.gather(*(ask() for _ in range(4)))
    await connections.aclose()

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.full
def test_a_process_ends_well_right_after_its_last_answer(server: ScriptedServer) -> None:
    """The library's thread may hold the interpreter still when the answer has been used."""
    server.overrides["/script"] = http([1])

    def process(_: int) -> tuple[int, str]:
        line = [sys.executable, "-c", ASKING, f"{server.url}/script"]
        ended = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
        return ended.returncode, ended.stderr

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert set(pool.map(process, range(PROCESSES))) == {(0, "")}
