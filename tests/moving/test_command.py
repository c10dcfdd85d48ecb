"""`comporta migrate-database` as people and scripts meet it."""

import sys

import pytest
from tests.acceptance.company import Company
from tests.acceptance.project import running, told, until
from tests.cli.conftest import Command, Said
from tests.moving.conftest import Address
from tests.moving.scissors import CutError, Scissors
from tests.moving.shop import Shop, move
from tests.moving.stage import by_hand, contents, file_of, is_open, is_there, opened

from comporta.ledger.secrets import put_secret
from comporta.sandbox.odoo import OdooSandbox

pytestmark = pytest.mark.timeout(60)


@pytest.mark.full
def test_while_a_sync_runs_a_move_ends_with_4_and_the_sync_ends_well(shop: Shop) -> None:
    """Two processes; after it has ended, the move begins."""
    command = [sys.executable, "-m", "comporta"]
    moving = [*command, "migrate-database", "shop.db", "new.db", "--json"]
    with OdooSandbox(records=5) as sandbox:
        shop.url = sandbox.url
        file_of(shop.database).unlink()
        shop.use(shop.database)
        company = Company(sandbox.url)
        company.fault("slow_page", 2, label="sale.order/search_read")
        with running([*command, "sync", "--json"], shop.folder) as syncing:
            until(lambda: company.struck("slow_page"), "the sync reads a page that takes long")
            with running(moving, shop.folder) as refused:
                told_first = told(refused)
            told_sync = told(syncing)
        with running(moving, shop.folder) as moved:
            told_then = told(moved)

    assert (told_first.code, told_first.document["error"]["code"]) == (4, "CMP-BUSY-001")
    assert f":{syncing.pid} until" in told_first.document["error"]["message"]
    assert told_sync.code == 0
    assert (told_then.code, told_then.document["ok"]) == (0, True)


@pytest.fixture
def comporta(shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Return a way to run a command in the shop's folder."""
    monkeypatch.chdir(shop.folder)

    def call(*arguments: str) -> Said:
        capsys.readouterr()
        code = shop.command(*arguments)
        return Said(code, *capsys.readouterr())

    return call


@pytest.mark.full
def test_it_says_what_it_moved_and_what_to_write(
    shop: Shop, comporta: Command, new_database: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person reads lines; the line for comporta.toml is the reference that was given, not what it hides."""
    target, before = new_database("postgres"), contents(shop.database)
    monkeypatch.setenv("SHOP_DATABASE", target.replace("postgres@", "postgres:s3cr3t@"))
    with opened(shop.database) as database:
        database.write(lambda s: put_secret(s, bytes(32), secret_id="loja/api_key", secret="x")).result()
    said = comporta("migrate-database", "shop.db", "env:SHOP_DATABASE")

    rows = 1 + sum(map(len, before.values()))
    assert (said.code, said.err) == (0, "")
    assert "\n  odoo_sale_order: 30 rows\n" in said.out
    assert f"\n{len(before)} tables with {rows:,} rows are the same in both" in said.out
    assert '\n  database = "env:SHOP_DATABASE"\n' in said.out
    assert "the master key (" in said.out
    assert "s3cr3t" not in said.out
    assert "left behind" not in said.out.lower()


def test_a_script_reads_one_document(shop: Shop, comporta: Command) -> None:
    """Every table with its rows and its sum."""
    before = contents(shop.database)
    by_hand(shop.database, "ALTER TABLE odoo_sale_order ADD COLUMN score REAL")
    said = comporta("migrate-database", "sqlite:///shop.db", "new.db", "--json").json
    moved = said["move"]

    assert (said["ok"], moved["from"], moved["to"]) == (True, f"{shop.folder}/shop.db", f"{shop.folder}/new.db")
    assert {each["table"]: each["rows"] for each in moved["tables"]} == {name: len(had) for name, had in before.items()}
    assert moved["rows"] == sum(map(len, before.values()))
    assert [len(each["sum"]) for each in moved["tables"]] == [32] * len(before)
    assert moved["left_behind"] == ["column odoo_sale_order.score: it is of the type REAL, which is none of Comporta's"]
    assert moved["setting"] == f'database = "sqlite:///{shop.folder}/new.db"'


@pytest.mark.full
def test_afterwards_every_command_on_the_old_database_says_where_the_data_is(
    shop: Shop, comporta: Command, new_database: Address
) -> None:
    """Nothing is written there; `doctor` says it as a problem, and the new one is well."""
    old, new = shop.database, new_database("postgres")
    move(old, new)
    before = contents(old)
    said = [comporta(*words.split()) for words in ("sync", "status", "runs", "migrate", "leases")]
    doctor = comporta("doctor", "--json")
    shop.use(new)
    doctor_there, status = comporta("doctor"), comporta("status", "--json")

    assert [each.code for each in said] == [1] * 5
    assert ["CMP-DB-009" in each.err for each in said] == [True] * 5
    assert ["its data was moved to postgresql://" in each.err for each in said] == [True] * 5
    assert (doctor.code, [new in problem for problem in doctor.json["problems"]]) == (1, [True])
    assert contents(old) == before
    assert (doctor_there.code, status.code) == (0, 0)
    assert {each["last_run"]["state"] for each in status.json["streams"]} == {"succeeded"}


@pytest.mark.full
def test_an_unfinished_move_is_taken_back_only_when_it_is_confirmed(
    shop: Shop, comporta: Command, new_database: Address, scissors: Scissors
) -> None:
    """By --yes where nobody can be asked; until then nothing of either is open."""
    target, before = new_database("sqlite"), contents(shop.database)
    scissors.cut_at = 20
    with pytest.raises(CutError):
        move(shop.database, target)
    scissors.cut_at = None
    path = str(file_of(target))
    synced, unasked = comporta("sync"), comporta("migrate-database", "shop.db", path, "--abandon")
    was_open = is_open(shop.database)
    done = comporta("migrate-database", "shop.db", path, "--abandon", "--yes", "--json")
    again = comporta("migrate-database", "shop.db", path, "--abandon", "--yes", "--json")

    assert (synced.code, "--abandon" in synced.err) == (1, True)
    assert (unasked.code, "--yes is missing" in unasked.err, was_open) == (2, True, False)
    assert (done.code, done.json["abandoned"]["left"]) == (0, None)
    assert (is_open(shop.database), is_there(target)) == (True, False)
    assert contents(shop.database) == before
    assert (again.code, again.json["error"]["code"]) == (2, "CMP-SET-007")


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        ("postgress://x/y", "new.db", "FROM is 'postgress://x/y'; expected"),
        ("shop.db", "postgresql://ana:s3cr3t@db", "TO is 'postgresql:***'; expected"),
        ("shop.db", "postgresql://ana:s3cr3t/shop", "TO is 'postgresql:***'"),
        ("shop.db", "sqlite:new.db", "TO is 'sqlite:new.db'; expected"),
        ("shop.db", "folder/", "TO is 'folder/'; expected"),
        ("shop.db", "env:NOT_SET_ANYWHERE", "NOT_SET_ANYWHERE is not set"),
        ("absent.db", "new.db", "absent.db is not there"),
        ("shop.db", "shop.db", "itself"),
    ],
)
def test_what_cannot_be_read_is_wrong_use_and_no_password_is_shown(
    shop: Shop, comporta: Command, source: str, target: str, words: str
) -> None:
    """Exit code 2, and nothing was begun."""
    said = comporta("migrate-database", source, target)

    assert (said.code, said.out.partition("\n")[0].startswith("Moving") or not said.out) == (2, True)
    assert words in said.err
    assert "s3cr3t" not in said.err + said.out
    assert is_open(shop.database)


def test_a_run_that_is_alive_makes_it_end_with_4(shop: Shop, comporta: Command) -> None:
    """As every command that finds something held."""
    by_hand(
        shop.database,
        "UPDATE cmp_scope SET holder = 'r1', expires_at = '2999-01-01T00:00:00.000000Z' WHERE scope LIKE '%order'",
    )
    said = comporta("migrate-database", "shop.db", "new.db", "--json")

    assert (said.code, said.json["error"]["code"]) == (4, "CMP-BUSY-001")
    assert "loja/sale.order by run r1" in said.json["error"]["message"]
    assert not (shop.folder / "new.db").exists()
