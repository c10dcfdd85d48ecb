"""Promise 3: what the source's stamps do not show is found and repaired."""

import pytest
from tests.acceptance.company import Company, all_differences, differences, mirror
from tests.acceptance.project import Project

pytestmark = pytest.mark.timeout(60)  # processes start, and the machine may be busy

LINES, ORDERS = "sale.order.line", "sale.order"


def an_order(company: Company, **more: object) -> tuple[int, list[int]]:
    """Create a draft order with two products and a note; return it and its lines."""
    lines: list[object] = [[0, 0, {"product_id": known, "product_uom_qty": 2}] for known in (1, 2)]
    lines.append([0, 0, {"display_type": "line_note", "name": "entregar à tarde"}])
    order = company.act("create", model=ORDERS, values={"partner_id": 5, "order_line": lines, **more})
    mine = [known for known, line in company.truth(LINES).items() if line["order_id"] == order]
    return order, mine


def settle(company: Company) -> None:
    """Let the source's clock pass the margin, so that what was changed lies in what is compared."""
    company.act("clock", advance_s=600)


@pytest.mark.full
def test_a_deleted_line_of_a_changed_order_is_gone_after_the_next_sync(project: Project, company: Company) -> None:
    """Deleting a product line moves its order's stamp, and the order's lines are listed again at once."""
    _, lines = an_order(company)
    project.bring()
    company.act("unlink", model=LINES, ids=[lines[0]])
    runs = project.bring()

    assert lines[0] not in mirror(project.database, LINES)
    assert [run.counts.deleted for run in runs if run.trigger == "notification"] == [1]
    assert all_differences(company, project.database) == []
    assert project.value("SELECT count(*) FROM odoo_sale_order_line WHERE id = ?", lines[0]) == 1


@pytest.mark.full
def test_a_deleted_note_line_is_found_by_the_next_reconciliation(project: Project, company: Company) -> None:
    """A note has no amount: its deletion moves no stamp at all, so no sync can see it."""
    _, lines = an_order(company)
    project.bring()
    company.act("unlink", model=LINES, ids=[lines[2]])
    settle(company)
    project.bring()
    unseen = lines[2] in mirror(project.database, LINES)

    assert unseen
    assert project.reconcile(LINES) == {"missing": 0, "different": 0, "extra": 1}
    assert all_differences(company, project.database) == []


@pytest.mark.full
def test_an_archived_partner_stays_and_says_that_it_is_archived(project: Project, company: Company) -> None:
    """Odoo hides what is archived from every search that does not ask for it; it is not deleted."""
    project.bring()
    company.act("archive", model="res.partner", ids=[7])
    project.bring("matriz/res.partner")

    assert mirror(project.database, "res.partner")[7]["active"] is False
    assert differences(company, project.database, "res.partner") == []


@pytest.mark.full
def test_a_deleted_draft_order_and_its_lines_are_found_by_reconciliation(project: Project, company: Company) -> None:
    """Nothing of a deleted order remains at the source; here it keeps its place, marked."""
    order, lines = an_order(company)
    project.bring()
    company.act("unlink", model=ORDERS, ids=[order])
    settle(company)
    project.bring()

    assert project.reconcile(ORDERS)["extra"] == 1
    project.bring()
    project.reconcile(LINES)
    assert all_differences(company, project.database) == []
    assert project.ask("SELECT 1 FROM odoo_sale_order WHERE id = ? AND _cmp_deleted_at IS NULL", order) == []
    assert len(project.ask("SELECT 1 FROM odoo_sale_order_line WHERE order_id = ?", order)) == len(lines)


@pytest.mark.full
def test_rows_changed_by_a_restore_are_taken_back_in_time(project: Project, company: Company) -> None:
    """A restored backup shows older stamps than ours; a repair believes the source, not the stamp."""
    old = {"client_order_ref": "antes", "write_date": "2026-01-02 03:04:05"}
    company.act("write", model=ORDERS, ids=[1, 2, 3], values={"client_order_ref": "depois"})
    project.bring()
    company.act("write_unstamped", model=ORDERS, ids=[1, 2, 3], values=old)
    settle(company)
    project.bring()
    stale = mirror(project.database, ORDERS)[2]["client_order_ref"]

    assert stale == "depois"
    assert project.reconcile(ORDERS)["different"] == 3
    assert mirror(project.database, ORDERS)[2]["client_order_ref"] == "antes"
    assert differences(company, project.database, ORDERS) == []


@pytest.mark.full
def test_a_reconciliation_that_finds_nothing_says_so_and_writes_nothing(project: Project, company: Company) -> None:
    """Compared without repair, every stream is identical, and the command says how many rows it compared."""
    project.bring()
    settle(company)
    project.bring()
    found = {stream: project.command("reconcile", f"matriz/{stream}").document["reconcile"] for stream in (ORDERS,)}

    assert [each["identical_percent"] for each in found.values()] == [100.0]
    assert [each["rows"] for each in found.values()] == [len(company.truth(stream)) for stream in found]
