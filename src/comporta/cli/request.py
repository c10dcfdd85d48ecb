"""From the flags of ``sync``, as they are typed, to the request that the engine knows. Pure: the hour comes in.

``core.asked`` decides what goes together; here texts become instants.
"""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import partial
from pathlib import Path

from comporta.core.asked import Asked, request_for
from comporta.core.window import Request
from comporta.settings.values import Place, read_moment, typed


@dataclass(frozen=True, slots=True)
class Flags:
    """What a person typed."""

    since: str | None = None
    until: str | None = None
    full: bool = False
    clear_first: bool = False
    max_records: int | None = None


def request_from(flags: Flags, *, now: datetime, zone: tzinfo) -> Request:
    """Return the request; ``WrongUse`` names two flags that do not go together, or one that cannot be read."""
    read = partial(read_moment, place=Place(Path(), zone), now=now)
    since, until = typed("--since", flags.since, read), typed("--until", flags.until, read)
    asked = Asked(since, until, flags.full, flags.clear_first, flags.max_records)
    return request_for(asked, now=now, written=lambda name: f"--{name.replace('_', '-')}")
