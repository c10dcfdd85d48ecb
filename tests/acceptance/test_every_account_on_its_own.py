"""Promise 8: a slow, dead or refused account delays no other."""

import pytest
from tests.acceptance.company import STREAMS, all_differences
from tests.acceptance.conftest import Open
from tests.acceptance.project import Project, until

pytestmark = pytest.mark.timeout(60)  # processes start, and the machine may be busy


def test_a_hanging_account_and_a_refused_one_delay_no_third(open_company: Open, new_project: Project) -> None:
    """While one account hangs in its first page and another may not log in, the third finishes."""
    slow, refused, fine = open_company(), open_company(), open_company()
    slow.fault("slow_page", 60, label="sale.order/search_read")
    refused.fault("wrong_login")
    new_project.configure({"slow": slow.url, "refused": refused.url, "fine": fine.url})
    ended = "SELECT count(*) FROM cmp_run WHERE account = ? AND state = ?"
    with new_project.started("sync") as process:
        until(lambda: new_project.value(ended, "fine", "succeeded") == len(STREAMS), "the third account finishes")
        hanging = new_project.ask("SELECT stream FROM cmp_run WHERE account = 'slow' AND state = 'running'")
        still_at_work = process.poll() is None
        until(lambda: new_project.value(ended, "refused", "failed") == len(STREAMS), "the second account is told off")

    assert hanging == [("sale.order",)]
    assert still_at_work
    assert all_differences(fine, new_project.database, "fine") == []
