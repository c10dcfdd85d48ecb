"""Accounts that come, change or go in the database while a process is at work."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from tests.coordination.test_notifications import CAUGHT_UP, LOOKED, Post
from tests.engine.workshop import at, open_workshop

from comporta.bootstrap.workspaces import open_workspace
from comporta.coordination.newcomers import LOOK
from comporta.errors import UnknownAccount
from comporta.ledger.accounts import put_account
from comporta.ledger.sqlite import SqliteDatabase
from comporta.settings.reading import read_settings
from comporta.testing import FakeClock
from comporta.workspace.workspace import Workspace

Table = Mapping[str, object]
SHOP: Table = {"source": "odoo", "url": "http://127.0.0.1:9", "database": "demo", "login": "demo"}


class Beside:
    """A workspace, and the database as other commands see it."""

    def __init__(self, workspace: Workspace, database: SqliteDatabase) -> None:
        self.workspace = workspace
        self.database = database
        self.said: list[tuple[str, object]] = []

    def write(self, level: str, event: str, fields: Mapping[str, object]) -> None:
        """Remember what was logged."""
        self.said.append((event, fields.get("accounts") or fields.get("code")))

    def keep(self, name: str, table: Table = SHOP) -> None:
        """Keep an account, as `comporta connect` does."""
        self.database.write_now(lambda session: put_account(session, name, table))

    async def looks(self, times: int = 1) -> None:
        """Let it be looked so many times."""
        clock = FakeClock(is_jumping=False)
        self.workspace.clock = clock
        looking = asyncio.ensure_future(self.workspace.newcomers(self))
        for _ in range(times):
            await asyncio.sleep(0.02)
            clock.advance(LOOK)
            await asyncio.sleep(0.1)
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking


@pytest.fixture
async def beside(tmp_path: Path) -> AsyncIterator[Beside]:
    """Open a workspace with the account matriz, which comporta.toml names."""
    (tmp_path / "key").write_text("demo", encoding="utf-8")
    said = "\n".join(f'{key} = "{value}"' for key, value in {**SHOP, "api_key": "file:key"}.items())
    (tmp_path / "comporta.toml").write_text(f'database = "sqlite:///shop.db"\n[accounts.matriz]\n{said}\n', "utf-8")
    settings = read_settings(tmp_path / "comporta.toml", environ={})
    async with open_workspace(settings) as workspace:
        database = workspace.store._database  # type: ignore[attr-defined]  # the same file, as others write to it
        yield Beside(workspace, database)


async def test_who_comes_changes_or_goes_is_noticed_once(beside: Beside) -> None:
    """Everything else stays what it was: a run that is under way goes on with its plan."""
    matriz = beside.workspace.plans["matriz"]
    beside.keep("filial")
    await beside.looks(2)
    filial = beside.workspace.plans["filial"]
    beside.keep("filial", SHOP)  # the same again, perhaps with another key
    await beside.looks()
    changed = beside.workspace.plans["filial"]
    beside.database.write_now(lambda session: session.connection.execute("DELETE FROM cmp_account"))
    await beside.looks()

    assert beside.said == [("accounts_changed", "filial")] * 3
    assert changed is not filial
    assert dict(beside.workspace.plans) == {"matriz": matriz}
    assert list(beside.workspace.settings.accounts) == ["matriz"]


@pytest.mark.parametrize("written", ['{"source": "odoo"}', "[]", '{"source":', ""])
async def test_an_account_that_is_not_whole_is_told_once_and_changes_nothing(beside: Beside, written: str) -> None:
    """Until it is mended the process goes on with the accounts that it knows; somebody may have written it by hand."""
    beside.keep("filial")
    beside.database.write_now(
        lambda session: session.connection.execute("UPDATE cmp_account SET settings = ?", [written])
    )
    await beside.looks(3)
    known = list(beside.workspace.plans)
    beside.keep("filial")
    await beside.looks()

    assert [event for event, _ in beside.said] == ["accounts_not_read", "accounts_changed"]
    assert known == ["matriz"]
    assert [*beside.workspace.plans] == [*beside.workspace.settings.accounts] == ["filial", "matriz"]


async def test_what_is_asked_of_an_account_that_went_is_refused(beside: Beside) -> None:
    """Also where it went between somebody's look and the run."""
    syncer = beside.workspace._syncer

    with pytest.raises(UnknownAccount, match="any more"):
        await syncer.sync([("gone", "sale.order")], None)  # type: ignore[arg-type]  # never looked at


async def test_an_account_that_comes_later_is_caught_up_and_heard(path: Path) -> None:
    """As those that there were at the start; one that went is heard no more, and stops nobody."""
    async with open_workshop(path, clock=FakeClock(is_jumping=False)) as workshop:
        workshop.source.stream().put_many(range(1, 11), stamp=at(9))
        post = Post(workshop)
        post.account("matriz")
        async with post.serving():
            await post.until(lambda: CAUGHT_UP in post.runs())
            post.account("filial")
            await post.until(lambda: CAUGHT_UP in post.runs("filial"))
            workshop.passes(minutes=5)
            workshop.source.stream().put(12, name="new")
            await post.tell(12, user="filial")
            await post.until(lambda: post.told("filial") == [LOOKED] and post.is_quiet())
            del workshop.plans["matriz"]
            await post.tell(12, user="matriz")
            await post.passes(hours=1, seconds=1)
            asked = len(post.asked)
            await post.passes(hours=1, seconds=1)
            later = post.asked[asked:]

    assert set(later) == {"filial/@missed"}
