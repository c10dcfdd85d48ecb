"""The options that many commands share, written once.

Each is a type to annotate a parameter with; Typer reads it.
"""

from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from comporta.core.language import Language
from comporta.errors import WrongUse

Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Settings file instead of ./comporta.toml.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show the log, and where a fault of ours happened.")]
Yes = Annotated[bool, typer.Option("--yes", help="Answer yes to every question.")]
Told = Annotated[Language, typer.Option("--language", help="In which language steps are told.")]
Stream = Annotated[str, typer.Argument(metavar="ACCOUNT/STREAM", help="For example matriz/sale.order.")]
"""``as_json`` and ``verbose`` are read from the raw arguments (console.py); declared, they appear in --help."""


def expect_command(context: typer.Context) -> None:
    """Refuse a group that was called alone, in the same form as every other wrong use: also as JSON."""
    if context.invoked_subcommand is None and isinstance(context.command, TyperGroup):
        names = ", ".join(context.command.list_commands(context))
        step = f"See `{context.command_path} --help`."
        raise WrongUse(f"{context.command_path}: what of it? expected one of {names}", next_step=step)
