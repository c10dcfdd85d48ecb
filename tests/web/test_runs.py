"""The API of runs over real HTTP: what is asked is queued and answered at once, and everything can be seen."""

import pytest
from tests.engine.workshop import LINES, ORDERS
from tests.web.office import Office, happened

from comporta.core.window import parse_request


async def test_a_run_is_asked_for_seen_and_told_to_its_last_line(office: Office) -> None:
    """The answer comes before the run begins."""
    office.workshop.source.stream(ORDERS).put(1, name="S1")
    asked = await office.post("/runs", {"account": "matriz", "stream": ORDERS})
    run = await happened(office, asked["runs"][0]["id"], "succeeded", "failed")
    log = await office.get(f"/runs/{run['id']}/log")

    assert (asked["ok"], asked["runs"][0]["state"]) == (True, "queued")
    assert (run["state"], run["counts"]["inserted"]) == ("succeeded", 1)
    assert log["lines"][-1]["step"] == "lease_released"
    rest = await office.get(f"/runs/{run['id']}/log?after={log['lines'][-2]['seq']}")
    assert rest["lines"] == log["lines"][-1:]


async def test_a_second_click_joins(office: Office) -> None:
    """And so do a hundred; another kind of run is one of its own."""
    office.is_draining = False
    first = await office.post("/runs", {"account": "matriz", "stream": ORDERS})
    second = await office.post("/runs", {"account": "matriz", "stream": ORDERS})
    full = await office.post("/runs", {"account": "matriz", "stream": ORDERS, "full": True})

    assert [run["id"] for run in second["runs"]] == [run["id"] for run in first["runs"]]
    assert full["runs"][0]["id"] != first["runs"][0]["id"]
    assert len((await office.get("/runs"))["runs"]) == 2


async def test_a_second_click_joins_when_its_window_is_told_from_now_too(office: Office) -> None:
    """Later, it asks for less than the first; a window of its own and a bounded one are runs of their own."""
    office.is_draining = False
    asked = {"account": "matriz", "stream": ORDERS, "since": "2h"}
    first, second = await office.post("/runs", asked), await office.post("/runs", asked)
    shorter = await office.post("/runs", asked | {"since": "30m"})
    longer = await office.post("/runs", asked | {"since": "3h"})
    bounded = await office.post("/runs", asked | {"until": "2026-01-01"} | {"since": "2025-01-01"})

    assert second["runs"][0]["id"] == first["runs"][0]["id"] == shorter["runs"][0]["id"]
    assert len({told["runs"][0]["id"] for told in (first, longer, bounded)}) == 3
    waiting = await office.workspace.store.queued(f"matriz/{ORDERS}")
    since = parse_request(waiting[0].request).since
    assert since is not None  # to the minute, so that two clicks at once ask for the same
    assert (since.second, since.microsecond) == (0, 0)


async def test_no_stream_means_every_stream_that_is_not_paused(office: Office) -> None:
    """A paused one can still be named."""
    office.is_draining = False
    asked = await office.post("/runs", {"account": "matriz"})
    named = await office.post("/runs", {"account": "matriz", "stream": "archive"})

    assert [run["stream"] for run in asked["runs"]] == [ORDERS, LINES]
    assert [run["stream"] for run in named["runs"]] == ["archive"]


async def test_what_is_at_work_in_a_paused_account_is_called_that(office: Office) -> None:
    """A pause ends no run; it is the next that nobody begins."""
    hanging = office.workshop.source.script.on("page", waits=True)
    running = (await office.post("/runs", {"account": "matriz", "stream": ORDERS}))["runs"][0]["id"]
    await hanging.reached.wait()
    await office.workspace.store.beat("here:1", roles="scheduler", version="1")
    await office.workspace.store.pause("matriz")
    told = {line["stream"]: line for line in (await office.get("/streams?account=matriz"))["streams"]}
    hanging.release()

    assert {name: told[name]["state"] for name in (ORDERS, LINES)} == {ORDERS: "running", LINES: "paused"}
    assert [told[name]["next_step"] for name in (ORDERS, LINES)] == ["", ""]  # no server is to be restarted for it
    await happened(office, running, "succeeded")


@pytest.mark.full
async def test_a_run_is_cancelled(office: Office) -> None:
    """One that waits at once, one that runs within seconds, one that has ended not at all."""
    office.is_draining = False
    waiting = (await office.post("/runs", {"account": "matriz", "stream": LINES}))["runs"][0]["id"]
    cancelled = (await office.post(f"/runs/{waiting}/cancel"))["run"]
    office.is_draining = True
    hanging = office.workshop.source.script.on("page", waits=True)
    running = (await office.post("/runs", {"account": "matriz", "stream": ORDERS}))["runs"][0]["id"]
    await hanging.reached.wait()
    told = (await office.post(f"/runs/{running}/cancel"))["run"]
    ended = await happened(office, running, "cancelled")
    again = await office.ask("POST", f"/api/v1/runs/{running}/cancel")

    assert (cancelled["state"], told["state"]) == ("cancelled", "running")
    assert ended["error"]["code"] == "CMP-RUN-002"
    assert (again.status, again.body["error"]["code"]) == (409, "CMP-WEB-006")
