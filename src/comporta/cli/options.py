"""The options that many commands share, written once.

Each is a type to annotate a parameter with; Typer reads it.
"""

from pathlib import Path
from typing import Annotated, TypeVar

import typer
from typer.core import TyperGroup

from comporta.core.language import Language
from comporta.errors import WrongUse

T = TypeVar("T")


def inherited(context: typer.Context, parameter: typer.CallbackParam, value: T) -> T:
    """Return what stands behind the subcommand, else what stood before it: `comporta alerts --config FILE mute KEY`."""
    above = context.parent.params if context.parent is not None else {}
    return value or above.get(str(parameter.name), value)


Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings file instead of ./comporta.toml.", callback=inherited),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.", callback=inherited)]
Verbose = Annotated[
    bool, typer.Option("--verbose", help="Show the log, and where a fault of ours happened.", callback=inherited)
]
Yes = Annotated[bool, typer.Option("--yes", help="Answer yes to every question.")]
Told = Annotated[Language, typer.Option("--language", help="In which language it is told.")]
Stream = Annotated[str, typer.Argument(metavar="ACCOUNT/STREAM", help="For example matriz/sale.order.")]
"""``as_json`` and ``verbose`` are read from the raw arguments (console.py); declared, they appear in --help."""


def expect_command(context: typer.Context) -> None:
    """Refuse a group that was called alone, in the same form as every other wrong use: also as JSON."""
    if context.invoked_subcommand is None and isinstance(context.command, TyperGroup):
        names = ", ".join(context.command.list_commands(context))
        step = f"See `{context.command_path} --help`."
        raise WrongUse(f"{context.command_path}: what of it? expected one of {names}", next_step=step)
