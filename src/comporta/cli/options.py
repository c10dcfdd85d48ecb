"""The options that many commands share, written once.

Each is a type to annotate a parameter with; Typer reads it.
"""

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Settings file instead of ./comporta.toml.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show the log, and where a fault of ours happened.")]
Yes = Annotated[bool, typer.Option("--yes", help="Answer yes to every question.")]
Stream = Annotated[str, typer.Argument(metavar="ACCOUNT/STREAM", help="For example matriz/sale.order.")]
"""``as_json`` and ``verbose`` are read from the raw arguments (console.py); declared, they appear in --help."""
