"""docs/reference/commands.md names the commands that exist."""

import re
from pathlib import Path

from typer.main import get_command

from comporta.cli.app import app

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
