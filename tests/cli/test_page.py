"""docs/reference/commands.md names the commands that exist."""

import re
from enum import StrEnum
from pathlib import Path

import pytest
from typer.main import get_command

from comporta.cli.app import SCREEN, app
from comporta.core.run import RunState, Trigger
from comporta.core.window import Kind

PAGE = Path(__file__).parent.parent.parent / "docs/reference/commands.md"


def test_the_page_names_every_command_and_no_other() -> None:
    """A group counts by its commands."""
    text = PAGE.read_text(encoding="utf-8")
    named = {
        word
        for cell in re.findall(r"^\| (`comporta .+?`) \|", text, re.MULTILINE)
        for word in re.findall(r"`comporta ([\w-]+)", cell)
    }

    assert named == set(get_command(app).commands)  # type: ignore[attr-defined]  # a group, which has commands


def test_the_page_names_every_flag_of_sync() -> None:
    """Its table is what scripts are written from."""
    flags = {
        option
        for parameter in get_command(app).commands["sync"].params  # type: ignore[attr-defined]  # a group, which has commands
        for option in parameter.opts
        if option.startswith("--")
    }

    assert {flag for flag in flags if f"`{flag}" not in PAGE.read_text(encoding="utf-8")} <= {"--until"}


@pytest.mark.parametrize(("field", "words"), [("state", RunState), ("trigger", Trigger), ("window.kind", Kind)])
def test_the_page_names_every_word_of_a_run_and_no_other(field: str, words: type[StrEnum]) -> None:
    """A script that branches on them must know which there are."""
    row = re.search(rf"^\| `{field}` \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert row is not None
    assert set(re.findall(r"`([a-z_]+)`", row[1])) == set(words)


def test_where_config_is_refused_is_said() -> None:
    """On the page and on the first screen: it is said to be everywhere else."""
    commands = get_command(app).commands  # type: ignore[attr-defined]  # a group, which has commands
    refused = sorted(name for name, command in commands.items() if not takes_config(command))
    said = [f"--config FILE (not {', '.join(refused)})", f"`{'` and `'.join(refused)}` refuse it"]

    assert [
        words for words, text in zip(said, (SCREEN, PAGE.read_text(encoding="utf-8")), strict=True) if words in text
    ] == said


def takes_config(command: object) -> bool:
    """Say whether a command, or every command of a group, has the option."""
    below = getattr(command, "commands", None)
    if below is not None:
        return all(map(takes_config, below.values()))
    return any("--config" in parameter.opts for parameter in command.params)  # type: ignore[attr-defined]  # a command
