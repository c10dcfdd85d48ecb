"""What is sent by mistake or in bad faith: refused with all that is wrong, kept nowhere, and never a fault of ours."""

import asyncio
from typing import cast

import pytest
from tests.coordination.test_measured import Kept
from tests.engine.workshop import LINES, ORDERS
from tests.web.office import Office

from comporta.coordination.measured import Measured
from comporta.coordination.watchers import Watchers
from comporta.errors import ComportaError, DestinationBusy, DestinationRefused
from comporta.errors_postgres import DatabaseUnreachable

pytestmark = pytest.mark.full
ME = {"account": "matriz"}


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "is not JSON"),
        (b"\xff", 400, "is not JSON"),
        (b"[" * 60_000, 400, "is not JSON"),
        (b'{"account": "\\ud800"}', 400, "is not JSON"),
        (b"[]", 422, "expected an object"),
        (b"null", 422, "expected an object"),
        ({}, 422, "account is missing"),
        ({**ME, "fulll": True}, 422, "did you mean 'full'?"),
        ({**ME, "full": "yes"}, 422, "full is 'yes'"),
        ({**ME, "max_records": 0}, 422, "max_records is 0"),
        ({**ME, "max_records": 10**30}, 422, "max_records is 1"),
        ({**ME, "max_records": 1.5}, 422, "max_records is 1.5"),
        ({"account": "matriz\x00"}, 422, "account is"),
        ({"account": "m" * 60_000}, 422, "account is"),
        ({"account": None}, 422, "account is None"),
        ({**ME, "since": "yesterday"}, 422, "since is 'yesterday'"),
        ({**ME, "since": "2h", "full": True}, 422, "full and since do not go together"),
        ({**ME, "until": "2026-03-01"}, 422, "until was given without since"),
        ({**ME, "since": "2999-01-01"}, 422, "is not before now"),
        ({**ME, "since": "0001-01-01T00:00:00+23:00"}, 422, "since is"),
        ({**ME, "clear_first": True}, 422, "clear_first removes rows"),
        ({"account": "matris"}, 404, "did you mean 'matriz'?"),
        ({**ME, "stream": "sale.ordr"}, 404, "did you mean 'sale.order'?"),
        ({"account": "matriz/sale.order"}, 404, "there is no account"),
        ({"account": "../matriz"}, 404, "there is no account"),
    ],
)
async def test_what_cannot_be_meant_is_refused(office: Office, body: object, status: int, said: str) -> None:
    """With what is wrong; nothing is queued."""
    answer = await office.ask("POST", "/api/v1/runs", body)

    assert (answer.status, answer.body["ok"]) == (status, False), answer.body
    assert said in answer.body["error"]["message"]
    assert len(answer.body["error"]["message"]) < 1_000
    assert await office.workspace.store.runs() == []


async def test_all_that_is_wrong_is_told_at_once(office: Office) -> None:
    """Five tries of one are not needed."""
    answer = await office.ask("POST", "/api/v1/runs", {"acount": "matriz", "full": 1, "max_records": -1})
    message = answer.body["error"]["message"]

    assert [part in message for part in ("did you mean 'account'", "full is 1", "max_records is -1", "is missing")] == [
        True
    ] * 4


@pytest.mark.parametrize(
    "query",
    [
        "/runs?limit=0",
        "/runs?limit=100000",
        "/runs?limit=x",
        "/runs?state=done",
        "/runs?account=%00",
        "/runs?acount=matriz",
        "/runs/x/log?after=-1",
        "/runs/x/log?after=99999999999999999999",
        "/streams?account=",
    ],
)
async def test_a_query_that_cannot_be_meant_is_refused(office: Office, query: str) -> None:
    """Before the database is asked."""
    answer = await office.ask("GET", f"/api/v1{query}")

    assert (answer.status, answer.body["error"]["code"]) in {(422, "CMP-WEB-003"), (404, "CMP-WEB-004")}


@pytest.mark.parametrize("run_id", ["none", "%00", "%F0%9F%98%80", "a" * 5_000, "..%2F..%2Fetc", "'%20OR%201=1--"])
async def test_a_run_that_is_not_there_is_not_found(office: Office, run_id: str) -> None:
    """Whatever its name looks like."""
    for method, path in (("GET", ""), ("GET", "/log"), ("POST", "/cancel")):
        answer = await office.ask(method, f"/api/v1/runs/{run_id}{path}")

        assert answer.status == 404, answer.body


@pytest.mark.parametrize("problem", [DestinationBusy("another program writes"), DestinationRefused("the disk is full")])
async def test_a_database_that_cannot_keep_it_is_to_be_asked_again(
    office: Office, problem: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never 202 for what is not kept."""

    async def fails(*_: object, **__: object) -> None:
        raise problem

    monkeypatch.setattr(office.workspace.store, "enqueue", fails)
    answer = await office.ask("POST", "/api/v1/runs", ME)

    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.body["error"]["message"] == str(problem)


async def test_a_database_that_is_known_to_be_away_is_not_waited_for(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs have the patience for a restart of it; whoever asks hears at once what is wrong and what to do."""
    away = DatabaseUnreachable("nobody listens there", next_step="Start the server.")
    asked = [("GET", "/runs"), ("GET", "/streams"), ("GET", "/events"), ("POST", "/runs")]
    monkeypatch.setattr(office.workspace.store, "trouble", lambda: away)
    answers = [await office.ask(method, f"/api/v1{path}", ME) for method, path in asked]
    ready = await office.ask("GET", "/health/ready")
    monkeypatch.undo()

    assert {(each.status, each.headers["retry-after"]) for each in (*answers, ready)} == {(503, "1")}
    assert {each.body["error"]["next_step"] for each in (*answers, ready)} == {"Start the server."}
    assert (await office.get("/runs"))["runs"] == []


async def test_who_waits_when_the_database_goes_away_is_told_as_soon_as_it_is_known(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is being written is waited for: it may be kept."""
    store, known, came = office.workspace.store, list[ComportaError](), asyncio.Event()

    async def waits(*_: object, **__: object) -> list[object]:
        known.append(DatabaseUnreachable("nobody listens there"))
        await came.wait()
        return []

    monkeypatch.setattr("comporta.web.away.LOOK_S", 0.01)
    monkeypatch.setattr(store, "trouble", lambda: known[0] if known else None)
    monkeypatch.setattr(store, "runs", waits)
    looked = await office.ask("GET", "/api/v1/runs")
    known.clear()
    monkeypatch.setattr(office.workspace, "ask", waits)
    writing = asyncio.ensure_future(office.ask("POST", "/api/v1/runs", ME))
    while not known:
        await asyncio.sleep(0)
    came.set()
    written = await writing

    assert (looked.status, looked.body["error"]["code"]) == (503, DatabaseUnreachable.code)
    assert (written.status, written.body["runs"]) == (202, [])


async def test_a_lease_that_is_alive_is_taken_only_on_purpose(office: Office) -> None:
    """Its holder would lose its work, which is counted once; one that nobody holds is free already."""
    meter = Kept()
    cast("Watchers", office.workspace.observer).add(Measured(meter))
    hanging = office.workshop.source.script.on("page", waits=True)
    await office.post("/runs", {**ME, "stream": ORDERS})
    await hanging.reached.wait()
    path = f"/leases/matriz/{ORDERS}/release"
    refused = await office.ask("POST", f"/api/v1{path}")
    free = await office.post(f"/leases/matriz/{LINES}/release", status=200)
    held = (await office.get("/leases"))["leases"][0]
    taken = await office.post(path, {"confirm": True}, status=200)
    hanging.release()

    assert (refused.status, refused.body["error"]["code"], held["alive"]) == (409, "CMP-WEB-006", True)
    assert (free["released"], taken["released"]) == (False, True)
    assert meter.counted["leases_lost_total", "matriz", ORDERS] == 1
