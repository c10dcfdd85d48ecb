"""Memory does not grow with the stream: pages are read, written and forgotten."""

import subprocess
import sys

import pytest
from tests.acceptance.conftest import MakeProject, Open
from tests.acceptance.project import COMMAND, Project

pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps no peak of a child's memory"),
]

FEW, MANY = 4_000, 20_000
GROWTH_MAX = 1.35
"""Peak against peak. Measured 1.15, most of it SQLite's own cache filling up; 70,000 kept rows would be 2 or more."""
LAUNCHER = """
import resource, subprocess, sys
ended = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
print(ended.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""Linux counts the memory of whoever starts a process into its peak, so somebody small has to start it."""


def load_and_measure(project: Project) -> tuple[int, int]:
    """Sync everything in a process of its own; return the rows in the database and the peak of its memory."""
    line = [sys.executable, "-c", LAUNCHER, *COMMAND, "sync", "--full", "--json"]
    said = subprocess.run(line, cwd=project.folder, capture_output=True, text=True, check=True)
    code, peak = map(int, said.stdout.split())

    assert code == 0
    return project.value("SELECT sum(inserted) FROM cmp_run"), peak


def test_five_times_the_rows_need_no_more_memory(open_company: Open, make_project: MakeProject, way: str) -> None:
    """Loading 20,000 orders and all that hangs on them, and comparing them again, peaks where 4,000 do."""
    measured = []
    for records in (FEW, MANY):
        project = make_project(str(records), way)
        project.configure({"matriz": open_company(records=records).url})
        measured.append((load_and_measure(project), load_and_measure(project)))
    ((few_rows, few), (_, few_again)), ((many_rows, many), (_, many_again)) = measured

    assert many_rows > 4 * few_rows
    assert many / few < GROWTH_MAX, measured
    assert many_again / few_again < GROWTH_MAX, measured
