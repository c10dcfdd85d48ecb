"""From the flags of ``sync`` to the request that the engine knows. Pure: the hour comes in.

What does not go together is refused here, before anything is opened.
"""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path

from comporta.core.window import Kind, Request
from comporta.errors import WrongUse
from comporta.settings_values import Place, read_instant, read_span


@dataclass(frozen=True, slots=True)
class Flags:
    """What a person asked of a sync."""

    since: str | None = None
    until: str | None = None
    full: bool = False
    clear_first: bool = False
    max_records: int | None = None


def request_from(flags: Flags, *, now: datetime, zone: tzinfo) -> Request:
    """Return the request; ``WrongUse`` names two flags that do not go together, or one that cannot be read."""
    wanted = {"--full": flags.full, "--clear-first": flags.clear_first, "--since": flags.since is not None}
    together = [name for name, is_given in wanted.items() if is_given]
    if len(together) > 1:
        raise WrongUse(f"{together[0]} and {together[1]} do not go together; expected one of them")
    if flags.until is not None and flags.since is None:
        raise WrongUse("--until was given without --since; expected both, or --since alone")
    if flags.clear_first and flags.max_records is not None:
        raise WrongUse("--clear-first and --max-records do not go together: a part of the rows would be removed")
    since, until = _instant("--since", flags.since, now, zone), _instant("--until", flags.until, now, zone)
    if since is not None and since >= (until or now):
        raise WrongUse(f"--since {flags.since} is not before {'--until ' + flags.until if flags.until else 'now'}")
    kind = Kind.FULL if flags.full else Kind.CLEAR_FIRST if flags.clear_first else Kind.INCREMENTAL
    return Request(Kind.MANUAL if since else kind, since, until, flags.max_records)


def _instant(name: str, text: str | None, now: datetime, zone: tzinfo) -> datetime | None:
    """Read an instant, or a duration before now."""
    if text is None:
        return None
    place = Place(Path(), zone)
    try:
        return now - read_span(text, place)
    except (ValueError, OverflowError):
        pass
    try:
        return read_instant(text, place)
    except ValueError as error:
        raise WrongUse(f"{name} is {text!r}; expected a duration such as 2h, or {error}") from error
