"""`comporta demo`, as a person sees it who does not end it at once: a server, and what it brings over."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
from tests.acceptance.databases import Json
from tests.acceptance.project import COMMAND, running, until

pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT that one process sends another"),
]
DEMO = [*COMMAND, "demo", "--records", "50", "--activity", "5"]
STOP_S = 10
ACCOUNTS = {"demo", "crm", "loja1", "loja2"}


def line_with(process: "subprocess.Popen[str]", pattern: str) -> "re.Match[str]":
    """Return the first line on standard output in which a pattern is found."""
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(pattern, line):
            return found
    raise AssertionError(f"ended without a line with {pattern}")


def asked(url: str) -> Json:
    """Return the JSON of an answer."""
    with urlopen(url, timeout=20) as answer:
        return json.loads(answer.read())


def brought(url: str) -> bool:
    """Say whether a run that nobody asked for has brought something over."""
    runs = asked(f"{url}/api/v1/runs")["runs"]
    return any(run["trigger"] == "notification" and run["counts"]["read"] for run in runs)


def test_a_demo_serves_and_says_what_comes_over(tmp_path: Path) -> None:
    """The address is printed and answers like any server; Ctrl-C ends it all within seconds."""
    with running([*DEMO, "--port", "0"], tmp_path) as process:
        url = line_with(process, r"Listening at (http://\S+):").group(1)
        ready = asked(f"{url}/health/ready")
        said = line_with(process, r"^\d\d:\d\d:\d\d  (loja\d/\w+): \d+ (?:new|changed)").group(1)
        until(lambda: brought(url), "a change is told of")
        streams = asked(f"{url}/api/v1/streams")["streams"]
        with urlopen(f"{url}/metrics", timeout=20) as answer:
            metrics = answer.read().decode()
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=STOP_S)

    assert ready == {"ok": True}
    assert said.startswith("loja")
    assert {each["account"] for each in streams if each["next_run_at"]} == ACCOUNTS
    assert "comporta_schedulers 1.0" in metrics
    assert (process.returncode, rest.splitlines()[-1][:8]) == (0, "Stopped.")


def test_with_json_it_is_one_document(tmp_path: Path) -> None:
    """The runs of the first sync, and where the server is."""
    with running([*DEMO, "--port", "0", "--json"], tmp_path) as process:
        assert process.stdout is not None
        document = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=STOP_S)

    assert (document["ok"], document["server"]["roles"]) == (True, ["scheduler", "web", "workers"])
    assert {run["account"] for run in document["runs"]} == ACCOUNTS
    assert document["server"]["url"].startswith("http://127.0.0.1:")
    assert rest == ""
