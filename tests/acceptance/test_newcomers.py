"""Accounts that come, change and go while a server is at work: it takes them up by itself."""

import pytest
from tests.acceptance.conftest import Open, each_database
from tests.acceptance.databases import Json
from tests.acceptance.project import Project, Told, until
from tests.acceptance.serving import Serving, serving

pytestmark = [pytest.mark.full, pytest.mark.timeout(120)]
TAKEN_UP_S = 12.0
"""What is promised, and as much again for a busy machine."""
TICKS = "SELECT count(DISTINCT stream) FROM cmp_run WHERE account = 'filial' AND scheduled_for IS NOT NULL"
STREAMS = 5
only_sqlite = pytest.mark.parametrize("way", ["sqlite"], indirect=True)
"""For what the other test shows to be the same on every database."""


def connect(project: Project, url: str) -> Told:
    """Keep the account filial in the database, as a person does beside the server."""
    place = ("--url", url, "--database", "demo", "--login", "demo", "--api-key", "file:key")
    return project.command("connect", "odoo", "filial", *place)


def known(server: Serving) -> dict[str, str]:
    """Return the accounts that the server knows, each with its address."""
    return {each["name"]: each["url"] for each in server.ask("GET", "/api/v1/accounts")[1]["accounts"]}


def ran(server: Serving, **asked: Json) -> tuple[int, int]:
    """Ask for a run of the orders of filial and return the answer's status and what was read."""
    status, told = server.ask("POST", "/api/v1/runs", {"account": "filial", "stream": "sale.order", **asked})
    if status != 202:
        return status, 0
    path = f"/api/v1/runs/{told['runs'][0]['id']}"

    def ended() -> Json:
        run = server.ask("GET", path)[1]["run"]
        return run if run["finished_at"] else None

    run = until(ended, "the run has ended")
    assert run["state"] == "succeeded", run["error"]
    return status, run["counts"]["read"]


@each_database
def test_a_server_takes_up_an_account_that_is_connected(open_company: Open, new_project: Project) -> None:
    """Within seconds it is listed, scheduled and done when it is asked for, and whoever connected hears so."""
    new_project.configure({"matriz": open_company().url})
    with serving(new_project) as server:
        unknown = server.ask("POST", "/api/v1/runs", {"account": "filial"})
        connected = connect(new_project, open_company(records=40).url)
        until(lambda: "filial" in known(server), "the account is taken up", patience_s=TAKEN_UP_S)
        asked = ran(server, full=True)
        until(lambda: new_project.value(TICKS) == STREAMS, "it is scheduled", patience_s=TAKEN_UP_S)
        shown = new_project.command("status").document["streams"]

    assert (unknown[0], unknown[1]["error"]["code"]) == (404, "CMP-SET-005")
    assert "comporta.toml" in unknown[1]["error"]["next_step"]
    assert (connected.code, connected.document["next_step"]) == (0, None)
    assert asked == (202, 40)
    assert all(each["next_run_at"] for each in shown if each["account"] == "filial")


@only_sqlite
def test_a_server_takes_up_what_changed_and_what_went(open_company: Open, new_project: Project) -> None:
    """Another address is read from the next run on; an account that is gone is asked for in vain."""
    new_project.configure({"matriz": open_company().url})
    connect(new_project, open_company(records=40).url)
    with serving(new_project) as server:
        before = ran(server, full=True)
        url = open_company(records=25).url
        connect(new_project, url)
        until(lambda: url in known(server).values(), "the change is taken up", patience_s=TAKEN_UP_S)
        after = ran(server, full=True)
        new_project.database.run("DELETE FROM cmp_account")  # `account remove` waits until no server lives
        until(lambda: "filial" not in known(server), "the account is gone", patience_s=TAKEN_UP_S)
        gone = ran(server)

    assert (before, after, gone) == ((202, 40), (202, 25), (404, 0))


@only_sqlite
def test_nothing_is_promised_of_an_account_that_no_server_knows(open_company: Open, new_project: Project) -> None:
    """A server reads comporta.toml when it begins; status says that it must begin anew."""
    url = open_company(records=20).url
    new_project.configure({"matriz": url})
    with serving(new_project) as server:
        new_project.configure({"matriz": url, "filial": url})
        until(lambda: new_project.value(TICKS.replace("filial", "matriz")) == STREAMS, "the known one is scheduled")
        shown = new_project.command("status").document["streams"]
        listed = list(known(server))
    promised = {(each["account"], bool(each["next_run_at"])) for each in shown}

    assert listed == ["matriz"]
    assert promised == {("matriz", True), ("filial", False)}
    assert all("comporta serve" in each["next_step"] for each in shown if each["account"] == "filial")
