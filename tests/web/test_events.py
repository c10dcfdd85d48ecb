"""The stream of events over real HTTP: each once, in order, also over a connection that breaks."""

from pathlib import Path

from tests.engine.workshop import ORDERS
from tests.web.office import Office, happened, open_office


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
    assert kinds[0] == "reset"
    assert kinds.count("run_ended") == 1


async def test_a_broken_connection_loses_and_doubles_nothing(office: Office) -> None:
    """Who comes back goes on after his last event."""
    first = await office.listen()
    await first.next()
    one = (await office.post("/runs", {"account": "matriz", "stream": ORDERS}))["runs"][0]["id"]
    await first.until("run_ended", id=one)
    await first.close()
    two = (await office.post("/runs", {"account": "filial", "stream": ORDERS}))["runs"][0]["id"]
    await happened(office, two, "succeeded")
    second = await office.listen(first.heard[-1].id)
    await second.until("run_ended", id=two)
    ids = [int(event.id.partition("-")[2]) for event in (*first.heard, *second.heard)]

    assert ids == list(range(len(ids)))
    assert "reset" not in {event.kind for event in second.heard}


async def test_open_streams_delay_no_end(path: Path) -> None:
    """They are ended, and the client hears the end."""
    async with open_office(path) as office:
        listeners = [await office.listen() for _ in range(3)]
        for each in listeners:
            await each.next()

    assert [await each.next() for each in listeners] == [None] * 3
    for each in listeners:
        await each.close()
