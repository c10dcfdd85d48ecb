"""From what a person asked of a sync to a request, the same for the command line and for Python.

What does not go together is refused here, before anything is opened. The two doors write the names of
what was asked in their own way (``--since``, ``since``), so they say how.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from comporta.core.instant import short_text
from comporta.core.window import Kind, Request
from comporta.errors import WrongUse


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asked of a sync. Instants are aware."""

    since: datetime | None = None
    until: datetime | None = None
    full: bool = False
    clear_first: bool = False
    max_records: int | None = None


def request_for(asked: Asked, *, now: datetime, written: Callable[[str], str] = str) -> Request:
    """Return the request; ``WrongUse`` names what does not go together, each name as ``written`` gives it.

    >>> request_for(Asked(full=True, max_records=10), now=datetime.min).text
    'full max=10'
    """
    since, until = asked.since, asked.until
    wanted = {"full": asked.full, "clear_first": asked.clear_first, "since": since is not None}
    together = [written(name) for name, is_given in wanted.items() if is_given]
    if len(together) > 1:
        raise WrongUse(f"{together[0]} and {together[1]} do not go together; expected one of them")
    if until is not None and since is None:
        both, alone = written("until"), written("since")
        raise WrongUse(f"{both} was given without {alone}; expected both, or {alone} alone")
    if asked.max_records is not None and asked.max_records < 1:
        raise WrongUse(f"{written('max_records')} is {asked.max_records}; expected 1 or more")
    if asked.clear_first and asked.max_records is not None:
        names = f"{written('clear_first')} and {written('max_records')}"
        raise WrongUse(f"{names} do not go together: a part of the rows would be removed")
    if since is not None and since >= (until or now):
        end = f"{written('until')} {short_text(until)}" if until else "now"
        raise WrongUse(f"{written('since')} {short_text(since)} is not before {end}")
    kind = Kind.FULL if asked.full else Kind.CLEAR_FIRST if asked.clear_first else Kind.INCREMENTAL
    return Request(Kind.MANUAL if since else kind, since, until, asked.max_records)
