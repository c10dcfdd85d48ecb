"""What a demo says beside its server: where it will listen, and what runs brought."""

import re
import socket
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from comporta.cli.console import Console
from comporta.cli.demo import DEALS, ITEMS, OWN_DATABASE, SALES, Servers, prepare
from comporta.cli.demo_server import News, place_for
from comporta.core.counts import Counts
from comporta.core.run import Run, RunState, Trigger
from comporta.errors import WrongUse
from comporta.settings.reading import read_settings
from comporta.settings.tree import Settings


def test_a_taken_port_is_left_to_whoever_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    """The usual one is exchanged for a free one, and that is said; one that was asked for is an error."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        instead = place_for(Settings(port=taken), None, Console())
        with pytest.raises(WrongUse, match=str(taken)) as refused:
            place_for(Settings(), taken, Console())

    assert instead == ("127.0.0.1", 0)
    assert f"Port {taken} is taken" in capsys.readouterr().out
    assert refused.value.next_step == "Choose another --port."
    assert place_for(Settings(port=taken), None, Console()) == ("127.0.0.1", taken)


def test_a_company_so_small_may_lose_what_its_people_delete(tmp_path: Path) -> None:
    """A twentieth of sixty deals is gone in a minute; a run would fail, and ask somebody who only looks."""
    servers = Servers("http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3", "token", is_live=True)

    assert read_settings(prepare(tmp_path, servers, OWN_DATABASE), environ={}).deleted_share == 1


def test_the_servers_of_a_demo_are_started_again_as_its_settings_say(tmp_path: Path) -> None:
    """With the same invented data: whoever copies the commands goes on where the demo ended."""
    servers = Servers("http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3", "token", records=50, seed=7)
    text = prepare(tmp_path, servers, OWN_DATABASE).read_text("utf-8")

    assert re.findall(r"^# `comporta (sandbox [^`]+)`", text, re.MULTILINE) == [
        "sandbox odoo --port 1 --records 50 --seed 7",
        f"sandbox activecampaign --port 2 --records {DEALS} --seed 7",
        f"sandbox mercadolivre --port 3 --records {SALES} --items {ITEMS} --seed 7",
    ]


def test_a_seller_of_the_demo_agrees_at_the_simulator(tmp_path: Path) -> None:
    """At the real address nobody knows the application of a demo."""
    servers = Servers("http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3", "token")
    accounts = read_settings(prepare(tmp_path, servers, OWN_DATABASE), environ={}).accounts

    assert [accounts[name].options["auth_url"] for name in ("loja1", "loja2")] == ["http://127.0.0.1:3"] * 2


@pytest.mark.parametrize(
    ("state", "counts", "said"),
    [
        (RunState.SUCCEEDED, Counts(read=3, inserted=2, unchanged=1), "loja1/orders: 2 new, 1 unchanged"),
        (RunState.SUCCEEDED, Counts(read=3, unchanged=3), None),
        (RunState.SUCCEEDED, Counts(deleted=1), "loja1/orders: 1 deleted"),
        (RunState.FAILED, Counts(), "loja1/orders: failed: CMP-X the reason"),
    ],
)
def test_only_what_changed_or_failed_is_said(state: RunState, counts: Counts, said: str | None) -> None:
    """Twenty streams a minute have nothing new."""
    error = {"code": "CMP-X", "message": "the reason"} if state is RunState.FAILED else None
    lines: list[str] = []
    run = Run(
        "r", "loja1/orders", "loja1", "orders", state, Trigger.SCHEDULE, "incremental", counts=counts, error=error
    )
    News(lines.append).ended(run)
    News(lines.append).ended(replace(run, finished_at=datetime(2026, 3, 1, 8, tzinfo=UTC)))

    assert lines[:1] == ([said] if said else [])
    assert [line[10:] for line in lines[1:]] == ([said] if said else [])
