"""What libraries say by Python's own logging: a line of a server's log like every other."""

import json
import subprocess
import sys

import pytest

SERVER = "import logging\nfrom comporta.cli.serve import open_server_log\nopen_server_log('info', None)\n"


def said(code: str) -> list[dict[str, str]]:
    """Return the lines that a server's log has after some code."""
    done = subprocess.run([sys.executable, "-c", SERVER + code], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_a_warning_of_a_library_is_a_line_of_our_log() -> None:
    """A collector that reads JSON reads it, too."""
    (line,) = said("logging.getLogger('uvicorn.error').warning('Exceeded %s.', 'concurrency limit')")

    assert (line["event"], line["level"], line["library"]) == ("library_warned", "warning", "uvicorn.error")
    assert line["message"] == "Exceeded concurrency limit."


def test_what_broke_in_a_library_comes_with_where_it_did() -> None:
    """As one line."""
    (line,) = said("try: 1 / 0\nexcept ZeroDivisionError: logging.getLogger('asyncio').exception('never retrieved')")

    assert line["level"] == "error"
    assert line["message"].startswith("never retrieved\nTraceback")
    assert line["message"].endswith("ZeroDivisionError: division by zero")


@pytest.mark.parametrize("speaker", ["psycopg", "psycopg.pool"])
def test_the_driver_says_nothing_beside_our_own_words(speaker: str) -> None:
    """What it says of lost connections is told by the errors that reach the caller."""
    assert (
        said(f"import comporta.ledger.postgres\nlogging.getLogger('{speaker}').warning('the connection is lost')") == []
    )
