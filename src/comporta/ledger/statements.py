"""Named SQL: every hot or subtle statement stands in ``queries/<dialect>.sql``; Python names it.

One file is read once, at the first use. A name that is not there is a programming error, seen at the
first test that runs it. Parameters are written ``:name`` in every dialect; PostgreSQL's driver wants
``%(name)s``.
"""

import re
from functools import cache
from pathlib import Path


@cache
def statements(dialect: str) -> dict[str, str]:
    """Return the statements of a dialect by name."""
    text = Path(__file__).with_name("queries").joinpath(f"{dialect}.sql").read_text("utf-8")
    blocks = text.split("-- name: ")[1:]
    named = {name.strip(): body.strip().rstrip(";") for name, _, body in (block.partition("\n") for block in blocks)}
    return named if dialect == "sqlite" else {name: _percent_style(body) for name, body in named.items()}


def _percent_style(statement: str) -> str:
    return re.sub(r":(\w+)", r"%(\1)s", statement.replace("%", "%%"))
