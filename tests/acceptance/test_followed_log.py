"""Promise 7, of the log: who follows a run sees each step when it is written, and is let go when it ends."""

import pytest
from tests.acceptance.company import Company
from tests.acceptance.project import COMMAND, Project, running, told, until

pytestmark = [pytest.mark.full, pytest.mark.timeout(60)]


def test_a_log_is_followed_until_the_run_ends(project: Project, company: Company, way: str) -> None:
    """In a process of its own, while the run waits in the middle of its work."""
    company.hang("sale.order/search_read")
    with project.started("sync", "matriz/sale.order") as syncing:
        run = until(lambda: project.value("SELECT id FROM cmp_run WHERE state = 'running'"), "the run begins")
        with running([*COMMAND, "log", str(run), "-f"], project.folder) as following:
            assert following.stdout is not None
            first = following.stdout.readline()
            was_going_on = syncing.poll() is None
            company.release()
            rest, errors = following.communicate(timeout=50)
        ended = told(syncing)

    assert ("started: attempt 1 of 4" in first, was_going_on) == (True, True)
    assert "succeeded: " in rest
    assert "lease released: epoch 1" in rest
    assert (following.returncode, ended.code, errors) == (0, 0, "")
