"""`comporta sandbox`: what it says, what it refuses, and that it serves until it is told to stop."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from urllib.request import Request, urlopen

import pytest
from tests.cli.conftest import Command

from comporta.core.outcome import ExitCode

SIMULATORS = ("odoo", "activecampaign", "mercadolivre")


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_a_port_that_is_taken_is_refused(simulator: str, comporta: Command) -> None:
    """With the port, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = comporta("sandbox", simulator, "--port", str(port), "--records", "3")

    assert said.code == ExitCode.WRONG_USE
    assert f"sandbox {simulator}: port {port} of 127.0.0.1" in said.err
    assert "Choose another --port or --host." in said.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["odoo", "--fault", "no_such"], "unknown fault 'no_such'"),
        (["activecampaign", "--fault", "total=maybe"], "expected absent or string or integer or too_low or too_high"),
        (["activecampaign", "--zone", "Mars/Olympus"], "time zone 'Mars/Olympus'"),
        (["activecampaign", "--limit", "0"], "--limit"),
        (["mercadolivre", "--fault", "hour_truncation=maybe"], "expected off or inclusive"),
        (["mercadolivre", "--sellers", "0"], "--sellers"),
    ],
)
def test_what_a_simulator_does_not_know_is_refused(arguments: list[str], says: str, comporta: Command) -> None:
    """At once, before it listens."""
    said = comporta("sandbox", *arguments, "--port", "0", "--records", "3")

    assert said.code == ExitCode.WRONG_USE
    assert says in said.err


@pytest.mark.parametrize(
    ("arguments", "step"),
    [
        (["odoo", "--fault", "no_such"], "docs/reference/sandbox.md"),
        (["odoo", "--fault", "error_502=often"], "docs/reference/sandbox.md"),
        (["odoo", "--host", "192.0.2.1"], "another --port or --host"),
    ],
)
def test_what_is_refused_leads_to_where_the_right_form_is(arguments: list[str], step: str, comporta: Command) -> None:
    """A fault is no setting, and a host that is not ours is no matter of the port."""
    assert step in comporta("sandbox", *arguments, "--records", "3").err


@pytest.mark.full
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("simulator", "options", "route", "headers"),
    [
        ("odoo", ["--version-of", "18"], "/web/webclient/version_info", {}),
        ("activecampaign", ["--limit", "2", "--fault", "total=integer"], "/api/3/deals", {"Api-Token": "demo"}),
        ("mercadolivre", ["--sellers", "3", "--limit", "9", "--token-life", "60"], "/_truth/orders?seller=1003", {}),
    ],
)
def test_a_simulator_serves_until_it_is_told_to_stop(
    simulator: str, options: list[str], route: str, headers: dict[str, str]
) -> None:
    """It prints where it is, answers there, and ends with success."""
    line = [sys.executable, "-m", "comporta", "sandbox", simulator, "--port", "0", "--records", "7", "--json", *options]
    with subprocess.Popen(line, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())["sandbox"]
        body = b"{}" if simulator == "odoo" else None
        with urlopen(Request(facts["url"] + route, body, headers), timeout=10) as answer:
            told = json.loads(answer.read())
        process.send_signal(signal.SIGTERM)
        code = process.wait(20)

    assert code == ExitCode.DONE
    assert facts["client_id" if simulator == "mercadolivre" else "api_key"] == "demo"
    seen: Callable[[], object] = {
        "odoo": lambda: told["result"]["server_version"],
        "activecampaign": lambda: told["meta"]["total"],
        "mercadolivre": lambda: (len(told["records"]), facts["refresh_tokens"]["1003"], facts["token_life_s"]),
    }[simulator]
    assert seen() == {"odoo": "18.0", "activecampaign": 7, "mercadolivre": (7, "demo-1003", 60)}[simulator]


@pytest.mark.skipif(sys.platform == "win32", reason="nobody sends a process SIGTERM there")
def test_whoever_hears_where_a_simulator_is_may_end_it_at_once() -> None:
    """Before it says where it is, it listens to signals; with success it ends ever after."""
    code = (
        "import os, signal; from contextlib import nullcontext; from comporta.cli.sandbox import serve;"
        "from comporta.cli.console import Console\n"
        "class Hasty(Console):\n"
        "    def document(self, _): os.kill(os.getpid(), signal.SIGTERM)\n"
        "class Server(nullcontext): url = 'here'\n"
        "raise SystemExit(serve(Server(), Hasty(is_json=True), {}, ''))"
    )
    ended = subprocess.run([sys.executable, "-c", code], timeout=20, check=False)

    assert ended.returncode == ExitCode.DONE
