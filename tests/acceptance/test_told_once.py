"""However many servers look at one database, a person hears of an alert once, and once that it is over."""

from contextlib import ExitStack

import pytest
from tests.acceptance.conftest import MakeProject, each_database
from tests.acceptance.project import until
from tests.acceptance.serving import begun
from tests.acceptance.told import Office
from tests.channels.servers import SECRET, HookServer, MailServer

from comporta.sandbox.odoo import OdooSandbox

pytestmark = [pytest.mark.full, pytest.mark.timeout(240)]
PROCESSES = 3


@each_database
def test_three_servers_tell_once(make_project: MakeProject, way: str) -> None:
    """A key that is wrong and then right, under three real processes that look every half minute."""
    with MailServer() as mail, HookServer() as hook, OdooSandbox(records=5) as odoo, ExitStack() as stack:
        office = Office(make_project("office", way), mail)
        key = office.project.folder / "key"
        (office.project.folder / "secret").write_text(SECRET, encoding="utf-8")
        office.set_up({"matriz": odoo.url}, alerts={"webhook": {"url": hook.url, "secret": "file:secret"}})
        key.write_text("wrong", encoding="utf-8")
        assert office.project.command("sync", "matriz/sale.order").code == 1
        servers = [
            stack.enter_context(office.project.started("serve", "--no-web", "--no-scheduler")) for _ in range(PROCESSES)
        ]
        for server in servers:  # before that a signal ends a process as it ends any other
            begun(server)
        until(lambda: len(hook.taken) == 1, "the alert")
        listed = office.project.command("alerts").document["alerts"]
        key.write_text("demo", encoding="utf-8")
        assert office.project.command("sync", "matriz/sale.order").code == 0
        until(lambda: len(hook.taken) >= 2, "the end of the alert", patience_s=90)
        until(lambda: office.project.value("SELECT told_closed_at FROM cmp_alert") is not None, "its confirmation")
        for server in servers:
            server.terminate()
        assert [server.wait(20) for server in servers] == [0] * PROCESSES

    assert [(each["key"], each["state"]) for each in listed] == [("failing/matriz/CMP-AUTH-001", "open")]
    assert [(each["key"], each["state"]) for each in hook.taken] == [
        ("failing/matriz/CMP-AUTH-001", "open"),
        ("failing/matriz/CMP-AUTH-001", "closed"),
    ]
    subjects = [str(message["Subject"]) for _, message in mail.letters]
    assert len(subjects) == 2
    assert subjects[0].startswith("[Comporta] ERROR: matriz/sale.order: failed 1 time(s)")
    assert subjects[1].startswith("[Comporta] RESOLVED: ")
    assert hook.forged == 0
