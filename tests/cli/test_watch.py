"""The lines that a command prints while runs go on."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.cli.conftest import Command
from tests.core.runs import make_run

from comporta.cli.watch import Lines, started_text
from comporta.core.counts import Counts
from comporta.core.language import Language
from comporta.core.run import RunState
from comporta.sandbox.activecampaign import ActiveCampaignSandbox


def test_how_a_run_ended_is_said_once() -> None:
    """The state comes before what was counted, and before what went wrong."""
    said: list[str] = []
    lines = Lines(said.append)
    lines.ended(make_run(state=RunState.SUCCEEDED, counts=Counts(read=1, inserted=1)))
    lines.ended(make_run(state=RunState.FAILED, error={"code": "CMP-NET-001", "message": "nobody listens"}))

    assert said[0].startswith("shop/sale.order: succeeded: 1 new")
    assert said[1:] == ["shop/sale.order: failed: CMP-NET-001 nobody listens"]


def test_why_a_run_failed_is_said_once_though_it_is_tried_again() -> None:
    """The line after it says when."""
    said: list[str] = []
    lines = Lines(said.append)
    failed = make_run(state=RunState.FAILED, error={"code": "CMP-NET-001", "message": "nobody listens"})
    lines.ended(failed)
    lines.retrying(failed, timedelta(seconds=4), 2)

    assert said == ["shop/sale.order: failed: CMP-NET-001 nobody listens", "shop/sale.order: attempt 2 in 4s"]


@pytest.mark.parametrize(
    ("request_", "attempt", "english", "portuguese"),
    [
        ("incremental", 1, "started", "iniciada"),
        ("incremental max=100", 2, "started (attempt 2)", "iniciada (tentativa 2)"),
        ("clear_first", 1, "started (clear-first)", "iniciada (carga completa com limpeza)"),
        ("full", 3, "started (full, attempt 3)", "iniciada (carga completa, tentativa 3)"),
    ],
)
def test_what_a_run_was_asked_for_is_said_where_it_is_not_the_usual(
    request_: str, attempt: int, english: str, portuguese: str
) -> None:
    """A first sync is asked for what is new like any other, and reads everything: the window says so, a line later."""
    run = make_run(state=RunState.RUNNING, request=request_, attempt=attempt)

    assert (started_text(run, Language.EN), started_text(run, Language.PT)) == (english, portuguese)


def test_what_became_of_a_view_is_said_while_the_run_goes_on(folder: Path, comporta: Command) -> None:
    """It is made in the transaction that writes the definitions; nobody looks into a log for a missing column."""
    with ActiveCampaignSandbox(records=3, limit=1_000) as crm:
        with (folder / "comporta.toml").open("a", encoding="utf-8") as settings:
            settings.write(f'[accounts.crm]\nsource = "activecampaign"\nurl = "{crm.url}"\napi_key = "file:key"\n')
            settings.write('limit = "1000/1s"\n')
        first = comporta("sync", "crm/deals", "crm/dealCustomFieldMeta").out
        crm.world.update("dealCustomFieldMeta", 1, {"fieldLabel": "Canal"})
        second = comporta("sync", "crm/dealCustomFieldMeta").out.splitlines()

    assert ": view deals_crm created\n" in first
    assert second.count("crm/dealCustomFieldMeta: view deals_crm made again") == 1
