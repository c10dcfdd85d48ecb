"""Promise 5: counts are exact, and an unchanged row is not rewritten."""

import pytest
from tests.acceptance.audit import begin_audit
from tests.acceptance.company import STREAMS, Company, all_differences
from tests.acceptance.project import Project

pytestmark = pytest.mark.timeout(60)  # processes start, and the machine may be busy

NOTHING = {"inserted": 0, "updated": 0, "rejected": 0, "deleted": 0}


@pytest.mark.full
def test_counters_add_up_and_an_unchanged_row_is_not_rewritten(project: Project, company: Company) -> None:
    """A first load inserts every row; reading all of them again writes not one and says unchanged."""
    first = project.command("sync")
    begin_audit(project.database)
    again = project.command("sync", "--full")

    rows = {stream: len(company.truth(stream)) for stream in STREAMS}
    assert (first.code, again.code) == (0, 0)
    for stream in STREAMS:
        assert first.run(stream)["counts"] == {
            **NOTHING,
            "read": rows[stream],
            "inserted": rows[stream],
            "unchanged": 0,
        }
        assert again.run(stream)["counts"] == {**NOTHING, "read": rows[stream], "unchanged": rows[stream]}
    assert project.ask("SELECT * FROM audit_row") == []
    assert all_differences(company, project.database) == []


def test_only_what_changed_is_written(project: Project, company: Company) -> None:
    """Three changed orders among sixty are three updates, in the counts and in the table."""
    project.bring("matriz/sale.order")
    begin_audit(project.database, tables=["odoo_sale_order"])
    company.act("write", model="sale.order", ids=[3, 5, 8], values={"client_order_ref": "PC-1"})
    (run,) = project.bring("matriz/sale.order", full=True)

    assert run.counts.as_json() == {**NOTHING, "read": 60, "updated": 3, "unchanged": 57}
    assert project.ask("SELECT act, key FROM audit_row ORDER BY key") == [("UPDATE", 3), ("UPDATE", 5), ("UPDATE", 8)]
