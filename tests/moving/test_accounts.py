"""An account under another name, or gone: all that is known of it at once, on either database."""

from itertools import pairwise
from typing import Any

import pytest
from tests.moving.conftest import Address, Said
from tests.moving.shop import Shop

from comporta.core.outcome import ExitCode
from comporta.errors import Unforeseen
from comporta.ledger.tables import ledger_tables
from comporta.moving import accounts
from comporta.moving.opening import side_of
from comporta.ports.system_clock import SystemClock
from comporta.settings.reading import read_settings

pytestmark = [pytest.mark.full, pytest.mark.timeout(120)]
BOTH = pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.full)])
HELD = "UPDATE cmp_scope SET holder = 'r', expires_at = '2099-01-01T00:00:00Z' WHERE scope = 'filial/res.partner'"


@pytest.fixture
def two(shop: Shop, said: Said, kind: str, new_database: Address) -> Shop:
    """Have a second account that was connected, its key in the database, synced beside the first."""
    if kind == "postgres":
        shop.move(new_database(kind))
    url = ["--url", shop.url, "--database", "demo", "--login", "demo", "--api-key", "file:key"]
    assert said("connect", "odoo", "filial", *url)[0] == ExitCode.DONE
    assert said("sync", "filial")[0] == ExitCode.DONE
    assert said("account", "pause", "filial")[0] == ExitCode.DONE
    return shop


def asked(shop: Shop, query: str) -> list[tuple[Any, ...]]:
    """Return what the database answers."""
    from contextlib import closing

    from comporta.bootstrap.databases import open_database

    settings = read_settings(shop.config)
    with closing(open_database(settings, SystemClock())) as database:
        side = side_of(settings, database)
        return database.write(lambda session: side.ask(session, query)).result()


def left_of(shop: Shop, account: str) -> dict[str, int]:
    """Return in which tables of the ledger there is anything of an account."""
    found: dict[str, int] = {}
    for table in ledger_tables():
        for column in ("scope", "account", "id", "name"):
            if column in table.columns:
                begins = f"substr({column}, 1, {len(account) + 1}) = '{account}/'"
                query = f"SELECT count(*) FROM {table.name} WHERE {column} = '{account}' OR {begins}"
                found[table.name] = max(found.get(table.name, 0), asked(shop, query)[0][0])
    return {table: count for table, count in found.items() if count}


@pytest.mark.full
@BOTH
def test_a_renamed_account_goes_on_where_it_was(two: Shop, said: Said) -> None:
    """Rows, coverage, pause and key have the new name; nothing of the old is left, and nothing is read again."""
    before = left_of(two, "filial")
    code, document = said("account", "rename", "filial", "norte")
    _, listed = said("accounts")
    synced, runs = said("sync", "norte")

    assert (code, document["before"], document["next_step"]) == (ExitCode.DONE, "filial", None)
    assert left_of(two, "filial") == {}
    assert before.keys() <= left_of(two, "norte").keys()
    assert {each["account"]: each["paused"] for each in listed["accounts"]} == {"loja": False, "norte": True}
    assert synced == ExitCode.DONE
    assert sum(run["counts"]["inserted"] for run in runs["runs"]) == 0
    (problem,) = said("doctor", "--offline")[1]["problems"]
    assert problem.startswith("accounts norte and loja read the same")  # which they do from the beginning


@pytest.mark.full
@BOTH
def test_a_name_that_is_taken_is_refused(two: Shop, said: Said) -> None:
    """Two accounts are never merged; nor is one renamed that is not there, or to what is no name."""
    before = left_of(two, "filial")
    answers = [said("account", "rename", *names) for names in (("filial", "loja"), ("nobody", "x"), ("filial", "a b"))]

    assert [code for code, _ in answers] == [ExitCode.WRONG_USE] * 3
    assert left_of(two, "filial") == before


@pytest.mark.full
@BOTH
def test_nobody_is_renamed_or_removed_at_work(two: Shop, said: Said) -> None:
    """A lease that is alive, and a server that would start the next run."""
    asked(two, HELD)
    held = [
        said("account", *line) for line in (("rename", "filial", "norte"), ("remove", "filial", "--keep-rows", "--yes"))
    ]
    asked(two, "UPDATE cmp_scope SET holder = NULL, expires_at = NULL")
    asked(
        two,
        "INSERT INTO cmp_instance(instance, roles, version, started_at, seen_at)"
        " VALUES ('here:1', 'web', '1', '2020-01-01T00:00:00Z', '2099-01-01T00:00:00Z')",
    )
    served, document = said("account", "rename", "filial", "norte")

    assert [code for code, _ in held] == [ExitCode.BUSY] * 2
    assert (served, "here:1 is at work" in document["error"]["message"]) == (ExitCode.BUSY, True)


@pytest.mark.full
@BOTH
@pytest.mark.parametrize("fate", ["keep", "delete"])
def test_a_removed_account_leaves_epochs_and_history(two: Shop, said: Said, fate: str) -> None:
    """Its rows as the person says; another account's are not touched. No run is kept for the sake of its tick."""
    newest = "SELECT max(id) FROM cmp_run WHERE account = 'filial'"
    asked(two, f"UPDATE cmp_run SET scheduled_for = queued_at WHERE id = ({newest}) RETURNING id")
    schema = "mirror." if read_settings(two.config).is_postgres else ""
    code, document = said("account", "remove", "filial", f"--{fate}-rows", "--yes")
    rows = dict(asked(two, f"SELECT account, count(*) FROM {schema}odoo_sale_order GROUP BY account"))

    assert (code, document["rows_are"]) == (ExitCode.DONE, {"keep": "kept", "delete": "deleted"}[fate])
    assert set(left_of(two, "filial")) == accounts.KEPT
    assert asked(two, "SELECT count(*) FROM cmp_run WHERE scheduled_for IS NOT NULL") == [(0,)]
    assert rows == {"loja": 30} | ({"filial": 30} if fate == "keep" else {})
    assert [each["account"] for each in said("accounts")[1]["accounts"]] == ["loja"]


def rows_left(shop: Shop) -> int:
    """Return how many mirrored rows of the second account there are."""
    return accounts.rows_of(read_settings(shop.config), "filial", SystemClock()).total


@pytest.mark.full
@BOTH
def test_rows_go_in_portions_and_the_same_command_goes_on(
    two: Shop, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing speaks of rows that are gone, wherever it is cut; views of the account go too."""
    portions: list[int] = []
    real = accounts._Deletion._portion

    def counted(deletion: Any, part: Any, after: Any, session: Any) -> Any:  # noqa: ANN401  handed on as it is
        if len(portions) == 4:
            raise Unforeseen("cut")
        portions.append(rows_left(two))
        return real(deletion, part, after, session)

    monkeypatch.setattr(accounts, "PORTION_ROWS", 7)
    monkeypatch.setattr(accounts._Deletion, "_portion", counted)
    whole = rows_left(two)
    cut, _ = said("account", "remove", "filial", "--delete-rows", "--yes")
    left = (rows_left(two), set(left_of(two, "filial")))
    monkeypatch.setattr(accounts._Deletion, "_portion", real)
    again, document = said("account", "remove", "filial", "--delete-rows", "--yes")
    schema = "mirror." if read_settings(two.config).is_postgres else ""

    assert (cut, again) == (ExitCode.FAILED, ExitCode.DONE)
    assert all(0 <= before - after <= 7 for before, after in pairwise([whole, *portions, left[0]]))
    assert whole > left[0] == document["rows"] > 0
    assert left[1] == accounts.KEPT
    assert rows_left(two) == 0
    assert asked(two, f"SELECT count(*) FROM {schema}odoo_sale_order WHERE account = 'loja'") == [(30,)]


@pytest.mark.full
@BOTH
@pytest.mark.parametrize("change", ["epoch = epoch + 1", "commits = commits + 1"])
def test_rows_of_an_account_that_is_begun_anew_are_not_deleted(
    two: Shop, said: Said, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """A run that came between two portions has read what it then says is covered."""
    real = accounts._Deletion._portion
    seen: list[int] = []

    def interrupted(deletion: Any, part: Any, after: Any, session: Any) -> Any:  # noqa: ANN401  handed on as it is
        found = real(deletion, part, after, session)
        if not seen:
            seen.append(1)
            query = f"UPDATE cmp_scope SET {change} WHERE scope = 'filial/sale.order'"
            deletion.side.ask(session, query)
        return found

    monkeypatch.setattr(accounts, "PORTION_ROWS", 7)
    monkeypatch.setattr(accounts._Deletion, "_portion", interrupted)
    whole = rows_left(two)
    code, document = said("account", "remove", "filial", "--delete-rows", "--yes")

    assert (code, "has begun while" in document["error"]["message"]) == (ExitCode.BUSY, True)
    assert 0 < whole - rows_left(two) <= 7


@pytest.mark.full
@pytest.mark.parametrize("kind", ["sqlite"])
def test_nothing_is_removed_without_a_word(two: Shop, said: Said) -> None:
    """What becomes of the rows must be said, and that it is meant."""
    answers = [
        said("account", "remove", "filial", *more)[0]
        for more in ([], ["--yes"], ["--keep-rows"], ["--keep-rows", "--delete-rows", "--yes"])
    ]

    assert answers == [ExitCode.WRONG_USE] * 4
    assert [each["account"] for each in said("accounts")[1]["accounts"]] == ["filial", "loja"]


@pytest.mark.full
@pytest.mark.parametrize("kind", ["sqlite"])
def test_an_account_of_the_file_is_renamed_there_too(two: Shop, said: Said) -> None:
    """The command says so, and takes either order: the file before the database, or after."""
    first, document = said("account", "rename", "loja", "centro")
    two.config.write_text(two.config.read_text("utf-8").replace("accounts.loja", "accounts.centro"), encoding="utf-8")
    runs = said("sync", "centro")[1]["runs"]
    two.config.write_text(two.config.read_text("utf-8").replace("accounts.centro", "accounts.sul"), encoding="utf-8")
    second, after = said("account", "rename", "centro", "sul")

    assert (first, second) == (ExitCode.DONE, ExitCode.DONE)
    assert "must become [accounts.centro]" in document["next_step"]
    assert after["next_step"] is None
    assert sum(run["counts"]["inserted"] for run in runs) == 0


@pytest.mark.full
@BOTH
def test_half_a_rename_is_none(two: Shop, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fails, nothing has happened."""
    before = left_of(two, "filial")

    def fail(*_: object) -> None:
        raise Unforeseen("cut")

    monkeypatch.setattr(accounts, "_renew_views", fail)
    code, _ = said("account", "rename", "filial", "norte")

    assert code == ExitCode.FAILED
    assert (left_of(two, "filial"), left_of(two, "norte")) == (before, {})
