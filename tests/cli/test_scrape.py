"""What `/metrics` shows of the ledger, and that it answers whatever the ledger does."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from comporta.bootstrap.workspaces import open_workspace
from comporta.cli import scrape
from comporta.cli.scrape import Scrape, watch_loop
from comporta.coordination.measured import Measured
from comporta.core.run import Trigger
from comporta.core.ticket import Ticket
from comporta.core.window import Kind, Request
from comporta.errors import DestinationBusy
from comporta.observability.metrics import METRICS, Metrics
from comporta.sandbox.odoo import OdooSandbox
from comporta.settings.reading import read_settings

pytestmark = pytest.mark.timeout(60)
STREAM = 'account="loja",stream="sale.order"'


@pytest.fixture
async def asked(folder: Path, odoo: OdooSandbox) -> AsyncIterator[Scrape]:
    """Open the simulated company after a sync that was measured."""
    metrics = Metrics()
    measured = Measured(metrics)
    settings = read_settings(folder / "comporta.toml")
    async with open_workspace(settings, observer=measured, meter=metrics) as workspace:
        await workspace.sync(["loja/sale.order"])
        yield Scrape(workspace, metrics, measured)


def figure(text: bytes, series: str) -> float | None:
    """Return the figure of a series, ``None`` without one."""
    found = re.search(rf"^{re.escape(series)} (\S+)$", text.decode(), re.MULTILINE)
    return float(found[1]) if found else None


async def test_what_the_ledger_knows_is_shown(asked: Scrape) -> None:
    """Of streams that were read; of one that was not, only what is known."""
    await asked.workspace.ask([("loja", "res.partner")], Request(Kind.FULL))
    text = await asked.text()

    assert 0 <= (figure(text, f"comporta_freshness_seconds{{{STREAM}}}") or -1) < 60
    assert figure(text, f"comporta_holes{{{STREAM}}}") == 0
    assert figure(text, f"comporta_promised_interval_seconds{{{STREAM}}}") == 1800
    assert figure(text, 'comporta_freshness_seconds{account="loja",stream="res.partner"}') is None
    assert figure(text, 'comporta_queued_runs{priority="schedule"}') == 1
    assert figure(text, "comporta_schedulers") == 0
    assert figure(text, f"comporta_records_read_total{{{STREAM}}}") == 30
    assert (figure(text, "comporta_database_write_wait_seconds_count") or 0) > 3
    assert (figure(text, "process_resident_memory_bytes") or 1) > 0


async def test_when_the_last_run_ended_is_known_while_the_next_waits(asked: Scrape) -> None:
    """Else a dashboard had a gap at each run, and a rule on it was blind while runs queue up."""
    series = f"comporta_last_run_timestamp_seconds{{{STREAM}}}"
    ended = (await asked.workspace.store.runs(limit=1))[0].finished_at
    await asked.workspace.ask([("loja", "sale.order")])
    await asked.workspace.ask([("loja", "sale.order")], Request(Kind.FULL))

    assert ended is not None
    assert figure(await asked.text(), series) == pytest.approx(ended.timestamp(), rel=0, abs=0.001)


async def test_a_paused_account_has_no_promise(asked: Scrape) -> None:
    """So no rule calls it stale."""
    await asked.workspace.pause("loja")
    text = await asked.text()

    assert figure(text, "comporta_paused_accounts") == 1
    assert figure(text, f"comporta_promised_interval_seconds{{{STREAM}}}") is None
    assert figure(text, f"comporta_freshness_seconds{{{STREAM}}}") is not None


async def test_what_nobody_here_would_begin_is_no_queue_that_stands(asked: Scrape) -> None:
    """Neither a run of an account that left the settings, nor what a pause holds back; what a person wants counts."""
    store = asked.workspace.store
    await store.enqueue(Ticket("gone", "sale.order", Request(), Trigger.SCHEDULE))
    await store.enqueue(Ticket("loja", "sale.order", Request(), Trigger.RETRY))
    await store.enqueue(Ticket("loja", "res.partner", Request(), Trigger.MANUAL))
    await asked.workspace.pause("loja")
    text = await asked.text()

    assert figure(text, 'comporta_queue_oldest_seconds{priority="schedule"}') is None
    assert figure(text, 'comporta_queued_runs{priority="person"}') == 1


async def test_one_picture_serves_all_who_ask(asked: Scrape, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten at once and one after them cost the database one look."""
    looks = []
    look = asked.workspace.status

    async def counted() -> object:
        looks.append(1)
        return await look()

    monkeypatch.setattr(asked.workspace, "status", counted)
    await asyncio.gather(*(asked.text() for _ in range(10)))
    await asked.text()

    assert len(looks) == 1


@pytest.mark.parametrize("trouble", ["hangs", "refuses"])
async def test_it_answers_although_the_database_does_not(
    asked: Scrape, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """The last picture is shown again, older; nobody takes a stream for fresh because nothing can be seen."""
    first = await asked.text()
    monkeypatch.setattr(scrape, "PICTURE_WAIT_S", 0.05)
    monkeypatch.setattr(scrape, "PICTURE_EVERY_S", 0.0)
    never = asyncio.Event()

    async def troubled() -> object:
        if trouble == "refuses":
            raise DestinationBusy("held by another")
        await never.wait()
        return []

    monkeypatch.setattr(asked.workspace, "status", troubled)
    second = await asked.text()
    never.set()
    fresh = f"comporta_freshness_seconds{{{STREAM}}}"

    assert (figure(second, fresh) or 0) > (figure(first, fresh) or 0)
    assert (figure(second, "comporta_snapshot_age_seconds") or 0) > 0
    assert figure(second, "comporta_snapshot_failures_total") == 1


async def test_every_series_has_the_labels_of_the_table(asked: Scrape) -> None:
    """And no other: a label that slipped in could have any number of values."""
    seen = re.findall(r"^(comporta_\w+?)(?:_bucket|_sum|_count)?\{(.*)\} ", (await asked.text()).decode(), re.MULTILINE)
    wrong = {
        name
        for name, labels in seen
        if name in METRICS and set(re.findall(r"(\w+)=", labels)) - {"le"} != set(METRICS[name].labels)
    }

    assert seen
    assert wrong == set()


@pytest.mark.full
async def test_the_loop_is_watched_until_the_end(asked: Scrape) -> None:
    """And ends with the workspace."""
    watching = asyncio.ensure_future(watch_loop(asked.metrics, asked.workspace))
    asked.workspace.stop()
    await asyncio.wait_for(watching, 5)

    assert (figure(await asked.text(), "comporta_event_loop_lag_seconds_count") or 0) >= 1
