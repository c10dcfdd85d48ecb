"""What a check finds alike at every source: an error of ours, and the server's clock.

A clock that is wrong fails nothing: windows end at the source's own, whatever this machine's says.
"""

from datetime import datetime

from comporta.errors import ComportaError
from comporta.ports.source import Finding

OFFSET_MAX_S = 60
"""Seconds between the clocks before it is worth a word; coverage goes by the server's alone."""


def failed(subject: str, error: ComportaError) -> Finding:
    """Return the finding of what was tried in vain."""
    return Finding(subject, ok=False, message=error.message, next_step=error.next_step, details={"code": error.code})


def found_clock(there: datetime, here: datetime, *, look: str = "this machine's") -> Finding:
    """Return the finding of the server's clock; ``look`` says at which of the two a person can."""
    offset_s = (there - here).total_seconds()
    wrong = f"Nothing is lost by it; but one of the two clocks is wrong: check {look} for NTP."
    return Finding(
        "clock",
        ok=True,
        message=f"the server's clock is {round(offset_s):+d} s from ours",
        next_step="" if abs(offset_s) <= OFFSET_MAX_S else wrong,
        details={"offset_s": offset_s},
    )
