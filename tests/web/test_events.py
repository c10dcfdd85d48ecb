"""The stream of events over real HTTP: each once, in order, also over a connection that breaks."""

import asyncio
import socket
from collections import deque
from datetime import timedelta
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.engine.workshop import LEASE, ORDERS
from tests.web.conftest import OpenStore
from tests.web.office import Listener, Office, happened, open_office

from comporta.core.run import Run, RunState, Trigger
from comporta.core.ticket import Ticket
from comporta.core.window import Request
from comporta.errors import DestinationBusy
from comporta.ports.progress import LogLine
from comporta.ports.store import Ending, Granted


def numbers(*listeners: Listener) -> list[int]:
    """Return the numbers of what was heard."""
    return [int(event.id.partition("-")[2]) for each in listeners for event in each.heard]


class Cut:
    """The way to the database is cut for one kind of question."""

    def __init__(self, office: Office, patch: pytest.MonkeyPatch, question: str) -> None:
        self._asked = asyncio.Event()
        patch.setattr(office.broadcast._store, question, self._refuse)

    async def tried(self) -> None:
        """Return when it was asked in vain once more."""
        self._asked.clear()
        await asyncio.wait_for(self._asked.wait(), 5)

    async def _refuse(self, *_: object) -> None:
        self._asked.set()
        raise DestinationBusy("the database is away")


async def test_a_run_is_told_from_its_queue_to_its_end(office: Office) -> None:
    """With every line of its log, each once."""
    office.workshop.source.stream(ORDERS).put(1, name="S1")
    listener = await office.listen()
    reset = await listener.next()
    run_id = (await office.post("/runs", {"account": "matriz", "stream": ORDERS}))["runs"][0]["id"]
    ended = await listener.until("run_ended", id=run_id)
    log = (await office.get(f"/runs/{run_id}/log"))["lines"]
    kinds = [event.kind for event in listener.heard]

    assert reset is not None
    assert (reset.kind, reset.data) == ("reset", {"reason": "new"})
    assert ended.data["run"] == (await office.get(f"/runs/{run_id}"))["run"]
    assert [event.data["line"] for event in listener.heard if event.kind == "log"] == log
    assert kinds.count("run_ended") == 1


@pytest.mark.full
async def test_a_run_that_takes_longer_tells_how_far_it_is(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins, goes on and ends, in this order."""
    monkeypatch.setattr("comporta.web.broadcast.PROGRESS_EVERY_S", 0.0)
    for number in range(1, 6):
        office.workshop.source.stream(ORDERS).put(number)
    first = office.workshop.source.script.on("page", waits=True, times=1)
    second = office.workshop.source.script.on("page", skip=2, waits=True)
    listener = await office.listen()
    run_id = (await office.post("/runs", {"account": "matriz", "stream": ORDERS, "full": True}))["runs"][0]["id"]
    await listener.until("run_started", id=run_id)
    first.release()
    await second.reached.wait()
    seen = await listener.until("run_progress", id=run_id)
    second.release()
    await listener.until("run_ended", id=run_id)

    assert seen.data["run"]["state"] == "running"
    assert seen.data["progress"].keys() == {"rows_read", "rows_expected", "waiting_for"}


@pytest.mark.full
async def test_a_run_of_another_process_is_told_too(office: Office, open_store: OpenStore) -> None:
    """A command at a terminal writes into the same ledger; that is all it has to do."""
    other = open_store()
    listener = await office.listen()
    await listener.next()
    run = await other.enqueue(Ticket("filial", ORDERS, Request(), Trigger.MANUAL))
    await listener.until("run_queued", id=run.id)
    granted = await other.acquire(run, ttl=LEASE, timeout=timedelta(hours=1), instance="there:1")
    assert isinstance(granted, Granted)
    started = await listener.until("run_started", id=run.id)
    line = LogLine("info", "page_read", "page 1", {"rows": 2})
    await other.finish(granted.lease, Ending(RunState.SUCCEEDED, log=(line,)))
    ended = await listener.until("run_ended", id=run.id)
    await other.aclose()

    assert (started.data["progress"], ended.data["run"]["state"]) == (None, "succeeded")
    told = [event.data["line"]["message"] for event in listener.heard if event.kind == "log"]
    assert told == ["page 1"]


async def test_what_was_before_is_not_told(office: Office) -> None:
    """A listener looks it up himself."""
    before = (await office.post("/runs", {"account": "matriz", "stream": ORDERS}))["runs"][0]["id"]
    await happened(office, before, "succeeded")
    listener = await office.listen()
    after = (await office.post("/runs", {"account": "filial", "stream": ORDERS}))["runs"][0]["id"]
    await listener.until("run_ended", id=after)

    assert {event.data["run"]["id"] for event in listener.heard if event.kind.startswith("run_")} == {after}


@pytest.mark.full
async def test_a_connection_that_breaks_loses_and_doubles_nothing(office: Office) -> None:
    """However often it breaks, and wherever, while runs go on; who never broke hears the very same."""
    steady = await office.listen()
    await steady.next()
    listener = await office.listen()
    await listener.next()
    parts = [listener]
    asked = []
    for turn in range(6):
        names = ("matriz", "filial")
        asked += (await office.post("/runs", {"account": names[turn % 2], "stream": ORDERS}))["runs"]
        for _ in range(turn % 3):
            await parts[-1].next()
        await parts[-1].close()
        parts.append(await office.listen(next(each.heard[-1].id for each in reversed(parts) if each.heard)))
        await happened(office, asked[-1]["id"], "succeeded")
    last = asked[-1]["id"]
    await steady.until("run_ended", id=last)
    if not any(event.kind == "run_ended" and event.data["run"]["id"] == last for event in parts[-1].heard):
        await parts[-1].until("run_ended", id=last)
    heard = [event for each in parts for event in each.heard]

    assert heard[1:] == steady.heard[1:]
    assert numbers(*parts) == list(range(len(heard)))
    ended = [event.data["run"]["id"] for event in heard if event.kind == "run_ended"]
    assert sorted(ended) == sorted({run["id"] for run in asked})


@pytest.mark.full
async def test_a_run_from_a_time_when_nobody_could_look_is_told_after_it(
    office: Office, open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This process was stopped, or its way to the database cut, for longer than a look reaches back."""
    monkeypatch.setattr("comporta.web.broadcast.SINCE", timedelta(milliseconds=50))
    listener = await office.listen()
    await listener.next()
    with monkeypatch.context() as cut:
        looks = Cut(office, cut, "afoot")
        await looks.tried()
        other = open_store()
        run = await other.enqueue(Ticket("filial", ORDERS, Request(), Trigger.MANUAL))
        await other.cancel(run.id)
        await other.aclose()
        await office.workspace.clock.sleep(timedelta(milliseconds=100))
        await looks.tried()
    ended = await listener.until("run_ended", id=run.id)

    assert ended.data["run"]["state"] == "cancelled"


@pytest.mark.full
async def test_a_log_that_cannot_be_read_tells_nothing_twice(
    office: Office, open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next look tells the beginning of a run, which this one could not tell whole."""
    listener = await office.listen()
    await listener.next()
    other = open_store()
    run = await other.enqueue(Ticket("filial", ORDERS, Request(), Trigger.MANUAL))
    await listener.until("run_queued", id=run.id)
    with monkeypatch.context() as cut:
        looks = Cut(office, cut, "log")
        granted = await other.acquire(run, ttl=LEASE, timeout=timedelta(hours=1), instance="there:1")
        assert isinstance(granted, Granted)
        await looks.tried()
        await looks.tried()
    await other.finish(granted.lease, Ending(RunState.SUCCEEDED, log=(LogLine("info", "page_read", "page 1", {}),)))
    await listener.until("run_ended", id=run.id)
    await other.aclose()
    kinds = [event.kind for event in listener.heard if event.kind != "run_started"]

    assert kinds == ["reset", "run_queued", "log", "run_ended"]
    assert len(listener.heard) - len(kinds) <= 1


async def test_who_hangs_up_before_there_is_an_answer_keeps_no_place(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the database is away nobody can be answered; whoever gives up must not count for ever."""
    looks = Cut(office, monkeypatch, "afoot")
    parts = urlsplit(office.server.url)
    _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(f"GET /api/v1/events HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
    await looks.tried()
    waited = office.broadcast._listeners
    writer.close()
    async with asyncio.timeout(5):
        while office.broadcast._listeners:
            await office.workspace.clock.sleep(timedelta(milliseconds=10))

    assert waited == 1


@pytest.mark.parametrize("last", ["0badc0de-3", "nothing", "-", "x-y-z", "0badc0de-99999999999999999999999"])
async def test_who_cannot_go_on_is_told_to_look_anew(office: Office, last: str) -> None:
    """The id of another process, or of none."""
    listener = await office.listen(last)
    event = await listener.next()

    assert event is not None
    assert (event.kind, event.data) == ("reset", {"reason": "unknown"})


@pytest.mark.full
async def test_who_was_away_for_too_long_is_told_to_look_anew(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ring holds so much and no more; from a time when nobody looked there is nothing to go on from."""
    first = await office.listen()
    await first.next()
    run_id = (await office.post("/runs", {"account": "matriz", "stream": ORDERS}))["runs"][0]["id"]
    await first.until("run_ended", id=run_id)
    office.broadcast._ring = deque(office.broadcast._ring, maxlen=3)
    too_old = await (await office.listen(first.heard[0].id)).next()
    monkeypatch.setattr("comporta.web.broadcast.KEPT_FOR_S", 0.0)
    for each in office.listeners:
        await each.close()
    async with asyncio.timeout(5):
        while office.broadcast._is_looking:
            await office.workspace.clock.sleep(timedelta(milliseconds=10))
    gone = await (await office.listen(first.heard[-1].id)).next()

    assert too_old is not None
    assert gone is not None
    assert (too_old.data, gone.data) == ({"reason": "too_old"}, {"reason": "unknown"})


async def test_an_idle_stream_is_kept_alive(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment now and then, which is no event."""
    monkeypatch.setattr("comporta.web.event_stream.HEARTBEAT_S", 0.02)
    listener = await office.listen()
    await listener.next()
    waiting = asyncio.ensure_future(listener.next())
    async with asyncio.timeout(5):
        while len(listener.comments) < 3:
            await office.workspace.clock.sleep(timedelta(milliseconds=10))
    waiting.cancel()

    assert set(listener.comments) == {": still here"}


@pytest.mark.full
@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_who_does_not_read_is_cut_and_delays_nobody(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """His place is all that is kept for him; the others hear everything meanwhile."""
    monkeypatch.setattr("comporta.web.event_stream.SEND_WAIT_S", 0.2)
    parts = urlsplit(office.server.url)
    lazy = socket.socket()
    lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    lazy.connect((parts.hostname, parts.port))
    lazy.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
    listener = await office.listen()
    await listener.next()
    async with asyncio.timeout(5):
        while office.broadcast._listeners < 2:
            await office.workspace.clock.sleep(timedelta(milliseconds=10))
    run = Run("r", "a/b", "a", "b", RunState.RUNNING, Trigger.MANUAL, "incremental")
    for number in range(4_000):
        office.broadcast._publish("run_progress", {"run": run.as_json(), "progress": None, "filler": "x" * 2_000})
        if number % 200 == 0:
            await office.workspace.clock.sleep(timedelta(milliseconds=1))
    async with asyncio.timeout(10):
        while office.broadcast._listeners == 2:
            await listener.next()
    heard = await office.get("/runs")
    lazy.close()

    assert heard["ok"]
    assert numbers(listener) == list(range(len(listener.heard)))


async def test_no_more_listen_than_there_is_room_for(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next is told to come again."""
    monkeypatch.setattr("comporta.web.broadcast.LISTENERS_MAX", 1)
    await (await office.listen()).next()
    answer = await office.ask("GET", "/api/v1/events")

    assert (answer.status, answer.body["ok"]) == (503, False)


async def test_who_asks_for_the_head_alone_does_not_stay(office: Office) -> None:
    """It would hold a listener's place and hear nothing."""

    def go() -> int:
        connection = HTTPConnection(urlsplit(office.server.url).netloc, timeout=5)
        connection.request("HEAD", "/api/v1/events")
        status = connection.getresponse().status
        connection.close()
        return status

    assert await asyncio.to_thread(go) == 200
    assert office.broadcast._listeners == 0


async def test_open_streams_delay_no_end(open_store: OpenStore) -> None:
    """They are ended, and the client hears the end."""
    begun: Any = None
    async with open_office(open_store()) as office:
        listeners = [await office.listen() for _ in range(3)]
        for each in listeners:
            await each.next()
        begun = asyncio.get_running_loop().time()
    took_s = asyncio.get_running_loop().time() - begun

    assert took_s < 3
    assert [await each.next() for each in listeners] == [None] * 3
    for each in listeners:
        await each.close()
