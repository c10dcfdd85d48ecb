"""Twelve things that go wrong, and what the person is told of each: what it is, and what to do.

The table of docs/howto/troubleshooting.md says it to people; each row is played here with real servers, files and
processes, and the e-mail that arrives is held to the row.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.acceptance.conftest import MakeProject
from tests.acceptance.market import FIRST_SELLER, account
from tests.acceptance.project import Project, told, until
from tests.acceptance.told import Act, Office, stub, syncs
from tests.channels.servers import MailServer

from comporta.core.instant import instant_text
from comporta.ports.system_clock import SystemClock
from comporta.sandbox.mercadolivre import MercadoLivreSandbox
from comporta.sandbox.odoo import OdooSandbox
from comporta.testing.clock import FakeClock
from comporta.workspace.workspace import Workspace

pytestmark = [pytest.mark.full, pytest.mark.timeout(240)]
PAGE = Path(__file__).parent.parent.parent / "docs/howto/troubleshooting.md"
ORDERS = "matriz/sale.order"
NOBODY = "http://127.0.0.1:9"
OFTEN = {"sale.order": {"every": "1s"}}
ROW = re.compile(r"^\| ([^|]+) \| `([\w-]+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def rows() -> dict[str, tuple[str, str, str]]:
    """Return the table of the page: by what happened, the word to look for, what is told, what to do."""
    text = PAGE.read_text(encoding="utf-8").partition("## What you are told")[2].partition("\n## ")[0]
    return {what.strip(): (word, said.strip(), step.strip()) for what, word, said, step in ROW.findall(text)}


def check(office: Office, what: str) -> None:
    """Hold the letter that came to the row of the page; three dots stand for anything."""
    word, said, step = rows()[what]
    letter = " ".join(office.letter.split())
    for text in (said, step):
        pattern = ".*?".join(re.escape(" ".join(part.split())) for part in text.split("…"))
        assert re.search(pattern, letter), f"{text!r} is not in {letter!r}"
    assert word in letter


@pytest.fixture
def office(make_project: MakeProject) -> Iterator[Office]:
    """A project on SQLite, and a mail server."""
    with MailServer() as mail:
        yield Office(make_project("office", "sqlite"), mail)


@pytest.fixture
def odoo() -> Iterator[OdooSandbox]:
    """A small company."""
    with OdooSandbox(records=30) as sandbox:
        yield sandbox


def test_the_page_has_a_row_for_each_fault_and_no_other() -> None:
    """Each test names its row."""
    played = re.findall(r'^    check\(office, "(.+)"\)$', Path(__file__).read_text(encoding="utf-8"), re.MULTILINE)

    assert sorted(played) == sorted(rows())
    assert len(played) >= 12


def test_the_source_is_down(office: Office) -> None:
    """Told when the same has happened again and again, not at the first failure."""
    office.set_up({"matriz": {"url": NOBODY, "streams": OFTEN}})
    office.happens(syncs(ORDERS))

    check(office, "the source does not answer")


def test_the_key_is_wrong(office: Office, odoo: OdooSandbox) -> None:
    """Told at once: no repetition helps."""
    (office.project.folder / "key").write_text("wrong", encoding="utf-8")
    office.set_up({"matriz": odoo.url})
    office.happens(syncs(ORDERS))

    check(office, "the key is wrong or has expired")


def test_a_seller_took_the_access_away(office: Office) -> None:
    """A person must grant it again, and one alert says so for all streams of the account."""
    with MercadoLivreSandbox(records=5, items=3) as sandbox:
        office.set_up({"loja1": account(sandbox.url, FIRST_SELLER, office.project.folder)})
        sandbox.logins.revoke(FIRST_SELLER)
        office.happens(syncs("loja1"))

    check(office, "a seller revoked the access")


def test_the_disk_is_nearly_full(office: Office, odoo: OdooSandbox) -> None:
    """Told before it is full; the bound is set beyond what any disk has."""
    office.set_up({"matriz": odoo.url}, alerts={"disk_mb": 1_000_000_000})
    office.happens()

    check(office, "the disk is nearly full")


def test_the_database_can_take_no_more(office: Office, odoo: OdooSandbox) -> None:
    """SQLite is allowed no further page, which is how it meets a full disk."""

    async def fill(workspace: Workspace) -> None:
        database = workspace.store._database  # type: ignore[attr-defined]  # reached from outside

        def work(session: object) -> None:
            connection = session.connection  # type: ignore[attr-defined]  # reached from outside
            connection.execute("CREATE TABLE ballast(what)")
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages}")

        database.write_now(work)
        await workspace.sync([ORDERS])

    office.set_up({"matriz": odoo.url})
    office.happens(fill)

    check(office, "the disk is full")


def test_the_clock_jumped(office: Office, odoo: OdooSandbox) -> None:
    """By three hours, against its own run."""
    machine = FakeClock(is_jumping=False)

    async def jump(workspace: Workspace) -> None:
        machine._begun += timedelta(hours=3)

    async def own_clock(workspace: Workspace) -> None:
        workspace.reach = replace(workspace.reach, machine_clock=machine)

    office.set_up({"matriz": odoo.url})
    office.happens(jump, before=[own_clock])

    check(office, "the clock jumped")


def test_another_program_locks_the_database(office: Office, odoo: OdooSandbox) -> None:
    """A database browser with an open transaction; told by mail, for there is no other place."""
    office.set_up({"matriz": odoo.url})
    office.happens()
    with closing(sqlite3.connect(office.project.folder / "comporta.db", isolation_level=None)) as browser:

        async def lock(workspace: Workspace) -> None:
            browser.execute("BEGIN IMMEDIATE")

        async def free(workspace: Workspace) -> None:
            browser.execute("ROLLBACK")

        office.happens(lock, after=[free])

    check(office, "another program locks the database")


def test_a_web_page_answers(office: Office) -> None:
    """A proxy, a maintenance page."""
    with stub(200, b"<html><body>We are back soon</body></html>", Content_Type="text/html") as url:
        office.set_up({"matriz": {"url": url, "streams": OFTEN}})
        office.happens(syncs(ORDERS))

    check(office, "a web page answers in the source's place")


def test_the_quota_is_used_up(office: Office) -> None:
    """The source wants nobody to ask for an hour; the stream becomes stale, and the pause is named as the cause."""
    with stub(429, b'{"message": "quota"}', Retry_After="3600", Content_Type="application/json") as url:
        crm = {"source": "activecampaign", "url": url, "api_key": "file:key", "streams": {"deals": {"every": "1s"}}}
        office.set_up({"crm": crm})
        office.happens(syncs("crm/deals"), passes(seconds=4))

    check(office, "the quota is used up for long")


def test_the_server_was_stopped(office: Office, odoo: OdooSandbox) -> None:
    """Told by the server that comes back; while none lives, `status --max-age` says it to cron."""
    office.set_up({"matriz": {"url": odoo.url, "streams": OFTEN}})
    office.project.bring(ORDERS)
    office.happens(passes(seconds=4))
    monitor = office.project.command("status", "--max-age", "1s")

    assert monitor.code == 1
    assert f"{ORDERS}: " in monitor.errors
    assert "old, more than 1s" in monitor.errors
    check(office, "nothing ran for longer than promised")


def test_a_hole_stays_open(office: Office, odoo: OdooSandbox) -> None:
    """Two windows by hand with time between them, and no run that closes it."""
    now = datetime.now(UTC)
    start = instant_text(now - timedelta(days=9))
    office.set_up({"matriz": {"url": odoo.url, "streams": {"sale.order": {"every": "1s", "start": start}}}})
    for first, last in ((9, 8), (1, 0)):
        bounds = [instant_text(now - timedelta(days=each)) for each in (first, last)]
        assert told_done(office.project, "sync", ORDERS, "--since", bounds[0], "--until", bounds[1])
    office.happens()

    check(office, "a hole stays open")


def test_quarantine_grows(office: Office, odoo: OdooSandbox) -> None:
    """A rule of the user's refuses records, more every day."""
    office.set_up({"matriz": odoo.url}, rejected_share=1.0)
    office.project.bring(ORDERS)
    office.project.database.run(
        "CREATE TRIGGER mine BEFORE UPDATE ON odoo_sale_order WHEN NEW.id <= 12 BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    odoo.world.write("sale.order", list(range(1, 13)), {"client_order_ref": "changed"})
    office.happens(syncs(ORDERS))

    check(office, "quarantine grows")


def test_redis_is_gone(office: Office, odoo: OdooSandbox) -> None:
    """The lock of an older program cannot be asked for, so nothing runs; it is one alert, whatever failed for it."""
    office.set_up(
        {"matriz": {"url": odoo.url, "legacy_lock": "carteira:sync", "streams": OFTEN}}, redis="redis://127.0.0.1:9/0"
    )
    open_alerts = office.happens(syncs(ORDERS), passes(seconds=2), syncs(ORDERS))

    assert [each.key for each in open_alerts] == ["legacy_lock"]

    check(office, "Redis is gone")


def test_the_scheduler_died(office: Office, odoo: OdooSandbox) -> None:
    """Killed, not ended; another process on the database tells it two minutes later."""
    office.set_up({"matriz": {"url": odoo.url, "start": instant_text(datetime.now(UTC))}})
    with office.project.started("serve", "--port", "0") as process:
        assert process.stdout is not None
        process.stdout.readline()
        until(lambda: office.project.ask("SELECT 1 FROM cmp_instance"), "the scheduler's first sign of life")
        process.kill()
    seen_at = instant_text(datetime.now(UTC) - timedelta(minutes=3))
    office.project.database.run(f"UPDATE cmp_instance SET seen_at = '{seen_at}'")
    office.mail.letters.clear()
    office.happens()

    check(office, "the scheduler died")


def passes(**span: float) -> Act:
    """Return an act: time goes by."""
    return lambda _: SystemClock().sleep(timedelta(**span))


def told_done(project: Project, *arguments: str) -> bool:
    """Run a command and say whether it ended well."""
    with project.started(*arguments) as process:
        return told(process).code == 0
