"""Every command answers the same on every database, word for word; only `doctor` tells of the database itself."""

import re
from collections.abc import Callable

import pytest
from tests.acceptance.conftest import MakeProject, SourceTime
from tests.acceptance.project import Project

from comporta.cli import app
from comporta.cli.main import run as run_command
from comporta.sandbox.odoo import OdooSandbox

pytestmark = [pytest.mark.full, pytest.mark.timeout(240)]

ORDERS = "loja/sale.order"
REFUSED = 9
"""The order that a rule of the user's refuses."""
STORY = (
    "migrate --check; settings; status; sync; status; status --json; runs; runs --json; runs --limit 2",
    "runs --account loja --state succeeded --json; runs --state failed; run show 2; run show zzz; run show {run}",
    "log {run}; log {run} --json; coverage loja/sale.order; coverage loja/sale.order --json; coverage loja/nothing",
    "leases; leases --json; sync loja/sale.order --dry-run --full; check",
    "!change; sync loja/sale.order --dry-run; sync loja/sale.order --dry-run --json; sync --json",
    "!forbid; !change; sync loja/sale.order --full --json; status; quarantine; quarantine --json",
    "quarantine show loja/sale.order; quarantine retry loja/sale.order --json",
    "!allow; quarantine retry loja/sale.order; quarantine",
    "!restore; sync loja/sale.order; reconcile loja/sale.order",
    "reconcile loja/sale.order --repair --exact --yes --json; reconcile loja/sale.order --json",
    "sync --full --json; sync loja/sale.order --clear-first --yes --json",
    "sync loja/sale.order --since 1h; sync loja/sale.order --since 2h --until 1h; sync loja/sale.order --max-records 3",
    "unlock loja/sale.order; !hold; leases; leases --json; status; sync loja/sale.order; sync loja/sale.order --json",
    "unlock loja/sale.order; unlock loja/sale.order --yes; run cancel {run}; run cancel zzz",
    "alerts; alerts --all --json; alerts test; alerts mute nothing --for 1h; alerts unmute nothing --json",
    "!queue; runs --state queued --json; run cancel waiting; run cancel waiting --json; status --max-age 1ms",
    "accounts; accounts --json; account pause loja; account pause loja --json; accounts; sync; status",
    "account resume loja; account resume loja --json; account pause nobody; accounts",
    "migrate; migrate --check --json",
)
ELSEWHERE = {
    "backup",
    "compare",
    "connect",
    "demo",
    "doctor",
    "init",
    "migrate-database",
    "restore",
    "sandbox",
    "serve",
    "worker",
}
"""Commands that have tests of their own on every database, or that need none."""
FORBID = {
    "sqlite": """CREATE TRIGGER mine BEFORE UPDATE ON odoo_sale_order WHEN NEW.id = 9 BEGIN
      SELECT RAISE(ABORT, 'no'); END;""",
    "postgres": """CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'no'; END $$;
      CREATE TRIGGER mine BEFORE UPDATE ON odoo_sale_order FOR EACH ROW WHEN (NEW.id = 9) EXECUTE FUNCTION mine();""",
}
ALLOW = {"sqlite": "DROP TRIGGER mine", "postgres": "DROP TRIGGER mine ON odoo_sale_order"}
HOLD = """
INSERT INTO cmp_run(id, scope, account, stream, epoch, state, trigger, request, dry_run, queued_at, started_at,
  instance)
VALUES ('20260101T000000-0000abcd', 'loja/sale.order', 'loja', 'sale.order', 99, 'running', 'manual', 'incremental',
  false, '2099-01-01T00:00:00.000000Z', '2026-01-01T00:00:00.000000Z', 'elsewhere:1');
UPDATE cmp_scope SET epoch = 99, holder = '20260101T000000-0000abcd', expires_at = '2099-01-01T00:00:00.000000Z'
WHERE scope = 'loja/sale.order';
"""
QUEUE = """
INSERT INTO cmp_run(id, scope, account, stream, state, trigger, request, dry_run, queued_at)
VALUES ('waiting', 'loja/sale.order', 'loja', 'sale.order', 'queued', 'manual', 'full', false,
  '2098-01-01T00:00:00.000000Z');
"""


class Teller:
    """Tells the story on one database: commands in this process, and what happens between them."""

    def __init__(self, project: Project, odoo: OdooSandbox, clock: SourceTime) -> None:
        self.project, self.odoo, self.clock = project, odoo, clock
        self.changes = 0
        project.configure({"loja": odoo.url})

    def happens(self, event: str) -> None:
        """Let something happen at the source or in the database."""
        database, self.changes = self.project.database, self.changes + 1
        self.clock.advance(minutes=5)
        if event in {"change", "restore"}:
            known = [REFUSED, REFUSED + self.changes]
            changed = {"client_order_ref": f"ação 'x' \"y\" {self.changes}"}
            stamped = {"write_date": "2026-01-02 03:04:05"} if event == "restore" else {}
            act = self.odoo.world.write_unstamped if stamped else self.odoo.world.write
            act("sale.order", known, changed | stamped)
        else:
            scripts = {"forbid": FORBID, "allow": ALLOW}.get(event) or {database.dialect: HOLD}
            database.run(QUEUE if event == "queue" else scripts[database.dialect])
        self.clock.advance(minutes=30)

    def plain(self, text: str) -> str:
        """Return what a command said without what no two runs of it have in common."""
        for place in (self.project.database.setting, str(self.project.folder)):
            text = text.replace(place, "PLACE")
        for pattern, word in (
            (r"PLACE/comporta\.db", "PLACE"),
            (r"sqlite:///PLACE", "PLACE"),
            (r"refused the row: \w+: no", "refused the row: no"),  # whose words these are, each says otherwise
            (r"http://127\.0\.0\.1:\d+", "URL"),
            (r"\b\d{8}T\d{6}-[0-9a-f]{8}", "RUN"),
            (r"\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?", "INSTANT"),
            (r"\b\d\d:\d\d:\d\d\b", "INSTANT"),  # of today
            (r'("\w+_(s|per_s)": )-?[\d.e-]+', r"\1NUMBER"),
            (r"\b\d+(\.\d+)?(h|m|s| s|ms)\b(\s\d+s\b)?", "SPAN"),
            (r"\b[0-9,.]+( \w+)?/s", "RATE"),
            (r" +", " "),
        ):
            text = re.sub(pattern, word, text)
        return text


def commands() -> set[str]:
    """Return the name of every command."""
    return set(app.commands().commands)


@pytest.fixture
def told(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], dict[str, str]]:
    """Tell the story on the database of that way, and return what each command answered."""

    def tell(way: str) -> dict[str, str]:
        answers: dict[str, str] = {}
        clock = SourceTime()
        with OdooSandbox(records=30, clock=clock) as odoo:
            teller = Teller(make_project(way, way), odoo, clock)
            monkeypatch.chdir(teller.project.folder)
            for step in "; ".join(STORY).split("; "):
                if step.startswith("!"):
                    teller.happens(step[1:])
                    continue
                runs = teller.project.ask("SELECT id FROM cmp_run WHERE state <> 'queued' ORDER BY queued_at, id")
                code = run_command(step.format(run=runs[0][0] if runs else "none").split())
                said = capsys.readouterr()
                answers[f"{len(answers)} {step}"] = f"{code}\n{teller.plain(said.out)}\n{teller.plain(said.err)}"
        return answers

    return tell


@pytest.mark.parametrize("other", ["postgres", "pgbouncer"])
def test_a_person_sees_no_difference(told: Callable[[str], dict[str, str]], other: str) -> None:
    """Sixty commands, from an empty ledger to a lease that is taken away."""
    here, there = told("sqlite"), told(other)

    assert there == here
    assert {step.split()[1] for step in here} == commands() - ELSEWHERE
