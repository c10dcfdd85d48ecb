"""A server at work, and what is done by hand beside it: a backup goes well, what pulls the ground away is refused."""

import pytest
from tests.acceptance.conftest import each_database
from tests.acceptance.project import Project, until
from tests.acceptance.serving import serving

pytestmark = [pytest.mark.full, pytest.mark.timeout(120)]


@each_database
def test_beside_a_server_nothing_is_restored_renamed_or_removed(project: Project) -> None:
    """It is told from the row that the server renews; when the server has ended, all of it may be done."""
    project.bring("matriz/res.partner")
    (project.folder / "shelf.db").write_bytes(b"what it holds is not looked at while a server is at work")
    asks = (
        ["restore", "shelf.db", "--yes"],
        ["account", "rename", "matriz", "centro"],
        ["account", "remove", "matriz", "--keep-rows", "--yes"],
    )
    with serving(project) as server:
        until(lambda: project.value("SELECT count(*) FROM cmp_instance WHERE ended_at IS NULL"), "the server says so")
        during = [project.command(*arguments) for arguments in asks]
        server.process.terminate()
        ended = server.process.wait(30)
    after = project.command(*asks[1])

    assert [answer.code for answer in during] == [4, 4, 4]
    assert all("is at work" in str(answer.document["error"]["message"]) for answer in during)
    assert ended == 0
    assert after.code == 0


@pytest.mark.parametrize("way", ["sqlite"], indirect=True)
def test_a_backup_of_a_server_at_work_is_whole(project: Project) -> None:
    """Made while it syncs everything; restored elsewhere, it is taken for what it is and completed by one sync."""
    with serving(project, "--run-now") as server:
        until(lambda: project.value("SELECT count(*) FROM cmp_run WHERE state = 'running'"), "it syncs")
        made = project.command("backup", "shelf.db")
        server.process.terminate()
        server.process.wait(30)
    back = project.command("restore", "shelf.db", "--yes")
    synced = project.command("sync")
    missing = [project.command("reconcile", f"matriz/{stream}", "--exact") for stream in ("sale.order", "res.partner")]

    assert (made.code, back.code, synced.code) == (0, 0, 0)
    assert {run["state"] for run in synced.runs()} == {"succeeded"}
    assert [each.document["reconcile"]["missing"] for each in missing] == [0, 0]
