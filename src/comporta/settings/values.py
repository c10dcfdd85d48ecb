"""The forms a value may have in comporta.toml and in the environment, each read by one function.

A reader gets what TOML gave (or the text of an environment variable) and returns the value to work
with; ``ValueError`` says what is allowed instead. It knows no keys: ``settings`` adds key and place.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import quote, unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from comporta.core.postgres_url import FILES, FORM, SYSTEM_ROOTS, is_postgres, split_url
from comporta.core.rate import UNITS, duration_text
from comporta.errors import WrongUse

T = TypeVar("T")

CRON_FIELDS = 5
DURATION_FORM = 'a duration such as "30m", "2h", "1d", "90s" or "500ms"'
DURATION_MAX = timedelta(days=36_500)
"""A hundred years: longer ones are slips of the finger, and would overflow arithmetic with dates."""
REFERENCE_FORM = 'a reference, "env:NAME" or "file:PATH"; a secret never stands here itself'
SQLITE_FORM = '"sqlite:///FILE", with FILE relative to this file, or "sqlite:////FOLDER/FILE"'
DATABASE_FORM = f'{SQLITE_FORM}; or {FORM}; or "env:NAME" or "file:PATH" of a text with one of these'
REDIS_FORM = (
    '"redis://HOST:6379/0", "rediss://…" with TLS, "unix:///PATH"; or "env:NAME" or "file:PATH" of a text with one'
)
SCHEMA_FORM = "a name of small letters, digits and _, at most 63 and not a digit first"
SCHEMAS_TAKEN = {
    "public": "Supabase's Data API shows the tables in public to the whole internet",
    "graphql_public": "Supabase's Data API shows what is in graphql_public to the whole internet",
    "comporta": "Comporta keeps its own tables in comporta",
    "information_schema": "information_schema belongs to PostgreSQL",
}


@dataclass(frozen=True, slots=True)
class Place:
    """What a value's meaning depends on: the folder of relative paths, the zone of times without one."""

    folder: Path
    zone: tzinfo = UTC


class RateLimit(NamedTuple):
    """At most so many requests in any span of that length."""

    requests: int
    per: timedelta


class Hours(NamedTuple):
    """Hours of the day, perhaps over midnight."""

    since: time
    until: time

    def __str__(self) -> str:
        """Return them as they are written in comporta.toml."""
        return f"{self.since:%H:%M}-{self.until:%H:%M}"


@dataclass(frozen=True, slots=True)
class SecretReference:
    """Where a secret is: ``env`` and a name, ``file`` and a path, ``stored`` and an id in the database."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


Reader = Callable[[object, Place], object]
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
"""No name, path or address has such a letter: what is told it, a system call or a header, breaks on it."""


def read_text(value: object, _: Place) -> str:
    """Return a text that is not empty."""
    if isinstance(value, str) and value.strip():
        return value
    raise ValueError("a text")


def read_flag(value: object, _: Place) -> bool:
    """Return true or false."""
    if isinstance(value, bool):
        return value
    raise ValueError("true or false")


def whole(lowest: int, highest: int) -> Reader:
    """Return a reader of whole numbers within bounds."""

    def read(value: object, _: Place) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest:
            return value
        raise ValueError(f"a whole number from {lowest} to {highest}")

    return read


def read_share(value: object, _: Place) -> float:
    """Return a share of a whole."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise ValueError("a share from 0 to 1, such as 0.05")


def one_of(*allowed: str) -> Reader:
    """Return a reader of one of a few words."""

    def read(value: object, _: Place) -> str:
        if isinstance(value, str) and value in allowed:
            return value
        raise ValueError("one of " + ", ".join(allowed))

    return read


def read_duration(value: object, _: Place) -> timedelta:
    """Return a duration.

    >>> read_duration("1h30m", Place(Path()))
    datetime.timedelta(seconds=5400)
    """
    text = value.strip() if isinstance(value, str) else ""
    if not re.fullmatch(r"(\d{1,9}(\.\d{1,6})?(ms|[dhms]))+", text):
        raise ValueError(DURATION_FORM)
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[dhms])", text)
    length = sum((UNITS[unit] * float(amount) for amount, unit in parts), timedelta())
    if length > DURATION_MAX:
        raise ValueError(f"{DURATION_FORM}, at most {DURATION_MAX.days}d")
    return length


def read_span(value: object, place: Place) -> timedelta:
    """Return a duration that is longer than nothing."""
    length = read_duration(value, place)
    if not length:
        raise ValueError(f"{DURATION_FORM}, longer than nothing")
    return length


def at_least(lowest: timedelta, highest: timedelta = timedelta.max) -> Reader:
    """Return a reader of durations with a bound from below, and perhaps one from above."""

    def read(value: object, place: Place) -> timedelta:
        length = read_duration(value, place)
        if length < lowest:
            raise ValueError(f"{DURATION_FORM}, at least {duration_text(lowest)}")
        if length > highest:
            raise ValueError(f"{DURATION_FORM}, at most {duration_text(highest)}")
        return length

    return read


def read_instant(value: object, place: Place) -> datetime:
    """Return an instant in UTC; without a zone it is meant in the configured timezone."""
    form = "an instant such as 2026-03-01T08:00:00Z, or a date"
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else value
        if isinstance(instant, date) and not isinstance(instant, datetime):
            instant = datetime(instant.year, instant.month, instant.day)  # noqa: DTZ001  its zone comes below
        if isinstance(instant, datetime):
            placed = instant if instant.tzinfo else instant.replace(tzinfo=place.zone)
            return placed.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(form) from error
    raise ValueError(form)


def read_moment(value: object, place: Place, *, now: datetime) -> datetime:
    """Return an instant that is given as such, or as a duration back from now."""
    with suppress(ValueError, OverflowError):
        return now - read_span(value, place)
    try:
        return read_instant(value, place)
    except ValueError as error:
        raise ValueError(f"a duration such as 2h, or {error}") from error


def typed(name: str, text: str | None, read: Callable[[str], T]) -> T | None:
    """Return what somebody gave as ``name``, if anything; ``WrongUse`` says what is expected there."""
    if text is None:
        return None
    try:
        return read(text)
    except ValueError as error:
        raise WrongUse(f"{name} is {text!r}; expected {error}") from error


def read_quiet(value: object, _: Place) -> Hours:
    """Return the hours of a day from one time to another, perhaps over midnight.

    >>> str(read_quiet("22:00 - 07:30", Place(Path())))
    '22:00-07:30'
    """
    form = 'hours of the day, such as "22:00-07:00"'
    found = re.fullmatch(r"(\d\d:\d\d) ?- ?(\d\d:\d\d)", value.strip()) if isinstance(value, str) else None
    try:
        since, until = (time.fromisoformat(each) for each in found.groups()) if found else (time(), time())
    except ValueError as error:
        raise ValueError(form) from error
    if since == until:
        raise ValueError(form)
    return Hours(since, until)


def read_limit(value: object, place: Place) -> RateLimit:
    """Return a limit.

    >>> read_limit("5/1s", Place(Path())).requests
    5
    """
    form = 'requests per time, such as "5/1s" or "100/1m"'
    amount, slash, length = value.partition("/") if isinstance(value, str) else ("", "", "")
    if not slash or not re.fullmatch(r"\d{1,6}", amount.strip()) or not int(amount):
        raise ValueError(form)
    try:
        return RateLimit(int(amount), read_span(length, place))
    except ValueError as error:
        raise ValueError(form) from error


def read_secret(value: object, place: Place) -> SecretReference:
    """Return where a secret is; refuse the secret itself."""
    kind, colon, name = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not colon or not name.strip() or kind not in {"env", "file"}:
        raise ValueError(REFERENCE_FORM)
    return SecretReference(kind, name if kind == "env" else str(place.folder / Path(name).expanduser()))


def read_path(value: object, place: Place) -> Path:
    """Return a path, relative ones from the place's folder."""
    return place.folder / Path(read_text(value, place)).expanduser()


def read_database(value: object, place: Place) -> str:
    """Return the database's address with its paths made absolute."""
    text = value.strip() if isinstance(value, str) else ""
    if is_postgres(text):
        split_url(text)
        return _with_whole_paths(text, place)
    name = text.removeprefix("sqlite:///")
    if name == text or not name or name.endswith("/"):
        raise ValueError(DATABASE_FORM)
    return "sqlite:///" + (place.folder / name).as_posix()


def _with_whole_paths(url: str, place: Place) -> str:
    """Return an address whose certificates are found wherever the command is run."""

    def whole_path(found: re.Match[str]) -> str:
        name = unquote(found[2])
        path = name if name == SYSTEM_ROOTS else (place.folder / Path(name).expanduser()).as_posix()
        return found[1] + quote(path, safe="/:")

    return re.sub(rf"([?&](?:{'|'.join(FILES)})=)([^&]+)", whole_path, url)


def read_redis(value: object, place: Place) -> str | SecretReference:
    """Return the address of a Redis, or where it stands: it may hold a password."""
    text = value.strip() if isinstance(value, str) else ""
    if text.startswith(("env:", "file:")):
        return read_secret(text, place)
    parts = urlsplit(text)
    if (parts.scheme in {"redis", "rediss"} and parts.hostname) or (parts.scheme == "unix" and parts.path):
        return text
    raise ValueError(REDIS_FORM)


def read_schema(value: object, _: Place) -> str:
    """Return the name of the schema of mirrored tables, one that is nobody else's."""
    name = value if isinstance(value, str) else ""
    if name in SCHEMAS_TAKEN:
        raise ValueError(f"a schema of its own: {SCHEMAS_TAKEN[name]}")
    if name.startswith("pg_"):
        raise ValueError("a schema of its own: names with pg_ in front belong to PostgreSQL")
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", name):
        raise ValueError(SCHEMA_FORM)
    return name


def read_timezone(value: object, place: Place) -> str:
    """Return the name of a time zone that this machine knows."""
    name = read_text(value, place)
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError('a time zone of the IANA list, such as "America/Sao_Paulo" or "UTC"') from error
    return name


def read_url(value: object, _: Place) -> str:
    """Return the address of a server."""
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("an address, https://host or http://host:port")
    return str(value)


def read_names(value: object, _: Place) -> tuple[str, ...]:
    """Return a list of names."""
    if isinstance(value, list) and all(isinstance(each, str) and each and not CONTROL.search(each) for each in value):
        return tuple(value)
    raise ValueError('a list of names, such as ["id", "name"]')


def read_ids(value: object, _: Place) -> tuple[int, ...]:
    """Return a list of ids."""
    if isinstance(value, list) and value and all(type(each) is int and each > 0 for each in value):
        return tuple(value)
    raise ValueError("a list of ids, such as [1, 3]")


def read_domain(value: object, _: Place) -> tuple[object, ...]:
    """Return a search domain; the source checks what is in it."""
    if isinstance(value, list):
        return tuple(value)
    raise ValueError('a domain such as [["state", "=", "sale"]]')


def read_cron(value: object, _: Place) -> str:
    """Return a cron expression of five fields, of a time that comes."""
    if isinstance(value, str) and len(value.split()) == CRON_FIELDS:
        with suppress(CronSimError, StopIteration):
            next(CronSim(value, datetime(2026, 1, 1, tzinfo=UTC)))
            return " ".join(value.split())
    raise ValueError('a cron expression of five fields, of a time that comes, such as "*/30 * * * *"')
