"""The API of runs as a program uses it: `comporta serve` as a process, asked and heard over HTTP."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from threading import Thread
from urllib.parse import urlsplit

import pytest
from tests.acceptance.company import Company, differences
from tests.acceptance.databases import Json
from tests.acceptance.project import Project, until
from tests.acceptance.serving import Serving, serving

pytestmark = [pytest.mark.full, pytest.mark.timeout(60)]  # processes

PARTNERS, ORDERS = "res.partner", "sale.order"
END_S = 10


class Ear:
    """Listens to the events of a server, in a thread of its own, until they end."""

    def __init__(self, server: Serving) -> None:
        self._connection = HTTPConnection(urlsplit(server.url or "").netloc, timeout=30)
        self._connection.request("GET", "/api/v1/events")
        self._answer = self._connection.getresponse()
        self.heard: list[tuple[str, Json]] = []
        self.is_over = False
        self._thread = Thread(target=self._listen, daemon=True)
        self._thread.start()

    def runs(self, kind: str, **told: str) -> list[dict[str, Json]]:
        """Return the runs of events of a kind whose fields are these."""
        runs = [data["run"] for each, data in list(self.heard) if each == kind]
        return [run for run in runs if told.items() <= run.items()]

    def close(self) -> None:
        """Wait for the end."""
        self._thread.join(END_S)
        self._connection.close()

    def _listen(self) -> None:
        kind = ""
        for raw in self._answer:
            name, _, value = raw.decode().rstrip("\n").partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                self.heard.append((kind, json.loads(value)))
        self.is_over = True


def post(server: Serving, path: str, body: Json) -> Json:
    """Ask for something that is accepted."""
    connection = HTTPConnection(urlsplit(server.url or "").netloc, timeout=10)
    connection.request("POST", f"/api/v1{path}", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    found = json.loads(answer.read())
    connection.close()
    assert answer.status == 202, found
    return found


@contextmanager
def slow(company: Company) -> Iterator[None]:
    """Let every page of orders take a while."""
    company.fault("latency", 200, label="sale.order/search_read")
    yield
    company.heal()


def test_a_click_is_done_and_told_and_so_is_what_others_do(project: Project, company: Company) -> None:
    """The button of a page, and a command in another process: whoever listens hears both."""
    with serving(project, "--no-scheduler") as server:
        ear = Ear(server)
        until(lambda: ear.heard, "the first event")
        run_id = post(server, "/runs", {"account": "matriz", "stream": PARTNERS})["runs"][0]["id"]
        until(lambda: ear.runs("run_ended", id=run_id), "the end of the run")
        command = project.command("sync", f"matriz/{ORDERS}")
        other = command.run(ORDERS)["id"]
        until(lambda: ear.runs("run_ended", id=other), "the end of the command's run")
        _, shown = server.ask("GET", f"/api/v1/runs/{other}")
        server.process.send_signal(signal.SIGTERM)
        ear.close()

    assert next(kind for kind, _ in ear.heard) == "reset"
    assert ear.runs("run_ended", id=run_id)[0]["state"] == "succeeded"
    assert ear.runs("run_ended", id=other)[0] == shown["run"]
    assert differences(company, project.database, PARTNERS) == []
    assert ear.is_over


def test_a_run_that_is_cancelled_ends_within_seconds(new_project: Project, company: Company) -> None:
    """Whichever process executes it."""
    new_project.configure({"matriz": {"url": company.url, "page_size": 2}})
    with serving(new_project, "--no-scheduler") as server, slow(company):
        ear = Ear(server)
        run_id = post(server, "/runs", {"account": "matriz", "stream": ORDERS, "full": True})["runs"][0]["id"]
        until(lambda: ear.runs("run_started", id=run_id), "its start")
        asked = time.monotonic()
        post(server, f"/runs/{run_id}/cancel", {})
        until(lambda: ear.runs("run_ended", id=run_id), "its end")
        took_s = time.monotonic() - asked
        server.process.send_signal(signal.SIGTERM)
        ear.close()

    assert ear.runs("run_ended", id=run_id)[0]["state"] == "cancelled"
    assert took_s < 5


def test_a_signal_is_obeyed_in_time_though_many_listen(new_project: Project, company: Company) -> None:
    """What runs is handed over, the streams are ended, and the process is gone."""
    new_project.configure({"matriz": {"url": company.url, "page_size": 2}})
    with serving(new_project, "--no-scheduler") as server, slow(company):
        ears = [Ear(server) for _ in range(10)]
        run_id = post(server, "/runs", {"account": "matriz", "stream": ORDERS, "full": True})["runs"][0]["id"]
        until(lambda: all(ear.runs("run_started", id=run_id) for ear in ears), "its start")
        asked = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(END_S)
        took_s = time.monotonic() - asked
        for ear in ears:
            ear.close()
        code = server.process.returncode

    assert (code, [ear.is_over for ear in ears]) == (0, [True] * 10)
    assert took_s < END_S
    assert new_project.value("SELECT state FROM cmp_run WHERE id = ?", run_id) == "interrupted"
