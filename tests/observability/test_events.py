"""The closed list of events: the same on its page, in the code that tells them, and in the log."""

import io
import json
import re
from pathlib import Path

import pytest

from comporta.observability.events import EVENTS
from comporta.observability.log import open_log

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs/reference/events.md"


def test_the_page_lists_every_event_and_no_other() -> None:
    """Who reads a log finds each of its words there."""
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert rows == list(EVENTS.items())


def test_every_step_that_is_told_is_on_the_list() -> None:
    """A step's name stands as a text in the call that tells it, or in a table of steps."""
    told = set()
    for room in ("engine", "coordination"):
        for path in sorted((ROOT / "src/comporta" / room).glob("*.py")):
            text = path.read_text(encoding="utf-8")
            told |= set(re.findall(r'\btell\(\s*"(\w+)"', text))
            told |= set(re.findall(r'LogLine\(\s*"\w+",\s*"(\w+)"', text))
            told |= set(re.findall(r'RunState\.\w+: "(\w+)"', text))

    assert told
    assert told - set(EVENTS) == set()


def test_every_event_is_told_by_somebody() -> None:
    """Who waits for an event that never comes looks for it in vain."""
    files = [path for path in sorted((ROOT / "src/comporta").rglob("*.py")) if path.name != "events.py"]
    words = {word for path in files for word in re.findall(r'"(\w+)"', path.read_text(encoding="utf-8"))}

    assert set(EVENTS) - words == set()


def test_a_line_is_one_json_object() -> None:
    """With the event, the level, the hour, and the fields."""
    stream = io.StringIO()
    open_log("info", stream=stream).write("info", "run_started", {"run": "r", "account": "a"})
    (line,) = stream.getvalue().splitlines()
    said = json.loads(line)

    assert said.pop("timestamp").endswith("Z")
    assert said == {"event": "run_started", "level": "info", "run": "r", "account": "a"}


def test_what_is_below_the_level_is_not_said() -> None:
    """A log of warnings has no page in it."""
    stream = io.StringIO()
    open_log("warning", stream=stream).write("info", "page_read", {})

    assert stream.getvalue() == ""


def test_a_word_that_is_not_on_the_list_is_refused() -> None:
    """The list is closed, or it is no list."""
    with pytest.raises(ValueError, match="closed list"):
        open_log("info", stream=io.StringIO()).write("info", "something happened", {})


def test_without_a_level_there_is_silence(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is printed, and nothing is checked."""
    open_log(None).write("error", "run_failed", {})

    assert capsys.readouterr() == ("", "")
