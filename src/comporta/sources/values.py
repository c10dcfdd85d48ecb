"""What the values of every source have in common: what cannot be stored, and how the rest is written as text.

A source adds how its own values are read; ``UnfitError`` is what one raises that is not of its column's type.
"""

import json
import math
from collections.abc import Sequence

from comporta.core.record import Value

INTEGER_MAX = 2**63 - 1
INTEGER_MIN = -(2**63)


class UnfitError(Exception):
    """The value is not of its field's kind; never leaves ``comporta.sources``."""


def as_text(value: object) -> str:
    """Return what a person reads: texts as they are, numbers by their digits, the rest as JSON text.

    >>> as_text("Site"), as_text(9990), as_text(["Plano A", "Plano C"])
    ('Site', '9990', '["Plano A","Plano C"]')
    """
    return value if isinstance(value, str) else compact(value)


def compact(value: object, *, ascii_only: bool = False) -> str:
    """Return a value as JSON text without idle spaces, also where JSON has no number for it."""
    return json.dumps(_finite(value), ensure_ascii=ascii_only, separators=(",", ":"), allow_nan=False, default=str)


def refuse_halves(values: Sequence[Value]) -> None:
    """Raise ``UnfitError`` where a text holds half a surrogate pair, which no database can store."""
    for value in values:
        if isinstance(value, str) and not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                half = f"\\u{ord(value[error.start]):04x}"
                message = f"a text holds half a surrogate pair ({half}), which no database can store"
                raise UnfitError(message) from error


def _finite(value: object) -> object:
    """Return the value with what JSON has no number for (NaN, infinities) as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, dict):
        return {str(name): _finite(item) for name, item in value.items()}
    return value
