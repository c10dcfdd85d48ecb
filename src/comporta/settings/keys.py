"""Which keys exist, what each may hold, and what is said of one that does not exist or cannot be used.

Values come in flat, by whole path, each with where it was found; so every layer (file, environment,
database) is checked by the same tables and complained of in the same words.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from comporta.core.lease import TTL_MAX
from comporta.core.postgres_url import shown_database, without_password
from comporta.errors import BadValue, UnknownKey
from comporta.settings.values import (
    CONTROL,
    Place,
    Reader,
    at_least,
    one_of,
    read_cron,
    read_database,
    read_domain,
    read_duration,
    read_flag,
    read_ids,
    read_instant,
    read_limit,
    read_names,
    read_path,
    read_quiet,
    read_redis,
    read_schema,
    read_secret,
    read_share,
    read_span,
    read_text,
    read_timezone,
    read_url,
    whole,
)

KeyPath = tuple[str, ...]
SOURCES = ("odoo", "activecampaign", "mercadolivre")
SITES = ("MLA", "MLB", "MLM", "MLC", "MCO", "MLU", "MPE", "MLV", "MEC", "MBO", "MPY", "MCR")
"""Where Mercado Livre has an address at which access is granted."""

LEASE_LEAST = timedelta(seconds=1)
"""A heartbeat renews three times within a lease; a shorter one is lost to an ordinary pause of the machine."""
STALL_LEAST = timedelta(seconds=1)
BUSY_LEAST = timedelta(milliseconds=100)
RETENTION_LEAST = timedelta(hours=1)
"""Runs that just ended are needed: retries, the rejected records of a pass, `comporta runs`."""
ALERT_LEAST = timedelta(seconds=1)
POOL_LEAST = 2
"""A run's lease is renewed while the run is in the middle of a transaction: one connection for each."""
POOL_WAIT_LEAST = timedelta(seconds=1)
POOL_RECYCLE_LEAST = timedelta(minutes=1)
"""Connecting anew takes longer than most transactions."""
EVERY_LEAST = timedelta(seconds=1)
"""With less, runs of one stream follow one another without a pause, and their history fills the disk."""
NAME_FORM = "1 to 63 letters, digits, - and _, no - in front, not dry"
SETTINGS: Mapping[str, Reader] = {
    "database": read_database,
    "timezone": read_timezone,
    "workers": whole(1, 1_000),
    "state_dir": read_path,
    "master_key": read_secret,
    "host": read_text,
    "port": whole(0, 65_535),
    "otel": read_flag,
    "redis": read_redis,
    "legacy_lock_without_redis": one_of("refuse", "database"),
    "schema": read_schema,
    "retention": at_least(RETENTION_LEAST),
    "lease": at_least(LEASE_LEAST, TTL_MAX),
    "stall_timeout": at_least(STALL_LEAST),
    "reconcile": read_span,
    "margin": read_duration,
    "rejected_share": read_share,
    "deleted_share": read_share,
}
SQLITE: Mapping[str, Reader] = {
    "cache_mb": whole(1, 65_536),
    "mmap_mb": whole(0, 1_048_576),
    "temp_store": one_of("memory", "file", "default"),
    "synchronous": one_of("normal", "full", "extra"),
    "busy_timeout": at_least(BUSY_LEAST),
}
POSTGRES: Mapping[str, Reader] = {
    "pool_size": whole(POOL_LEAST, 1_000),
    "pool_wait": at_least(POOL_WAIT_LEAST),
    "pool_recycle": at_least(POOL_RECYCLE_LEAST),
    "pooler": one_of("auto", "direct", "session", "transaction"),
}
ALERTS: Mapping[str, Reader] = {
    "language": one_of("pt-BR", "en"),
    "stale_after": at_least(ALERT_LEAST),
    "grace": read_duration,
    "over_after": read_duration,
    "slow_after": read_duration,
    "slow_factor": whole(1, 1_000),
    "empty_runs": whole(2, 1_000),
    "failures": whole(1, 1_000),
    "quarantine": whole(1, 1_000_000),
    "clock_apart": at_least(ALERT_LEAST),
    "disk_mb": whole(0, 1_000_000_000),
    "quiet": read_quiet,
}
CHANNELS: Mapping[str, Mapping[str, Reader]] = {
    "email": {
        "host": read_text,
        "port": whole(1, 65_535),
        "tls": one_of("starttls", "tls", "none"),
        "user": read_text,
        "password": read_secret,
        "sender": read_text,
        "to": read_names,
    },
    "webhook": {"url": read_url, "secret": read_secret},
    "apprise": {"urls": read_secret},
}
ACCOUNT: Mapping[str, Reader] = {
    "source": one_of(*SOURCES),
    "url": read_url,
    "api_key": read_secret,
    "limit": read_limit,
    "concurrency": whole(1, 100),
    "start": read_instant,
    "paused": read_flag,
    "timeout": read_span,
    "stall_timeout": at_least(STALL_LEAST),
    "legacy_lock": read_text,
    "legacy_last_run": read_text,
}
STREAMS: Mapping[str, tuple[str, ...]] = {
    "activecampaign": (
        "dealGroups",
        "dealStages",
        "users",
        "accounts",
        "contacts",
        "deals",
        "dealCustomFieldMeta",
        "dealCustomFieldData",
        "dealTasks",
    ),
    "mercadolivre": ("orders", "shipments", "packs", "items"),
}
"""The streams of the sources that have no others, as ``source_kinds`` knows them, which a test compares."""
SPELT = {name.lower(): name for names in STREAMS.values() for name in names}
"""Streams by what is left of their names in the environment, where capitals mean nothing."""
OPTIONS: Mapping[str, Mapping[str, Reader]] = {
    "odoo": {
        "database": read_text,
        "login": read_text,
        "protocol": one_of("jsonrpc", "xmlrpc", "json2"),
        "companies": read_ids,
        "page_size": whole(1, 10_000),
        "request_timeout": read_span,
    },
    "activecampaign": {
        "timezone": read_timezone,
        "page_size": whole(2, 100),
        "request_timeout": read_span,
    },
    "mercadolivre": {
        "client_id": read_secret,
        "client_secret": read_secret,
        "refresh_token": read_secret,
        "site": one_of(*SITES),
        "auth_url": read_url,
        "page_size": whole(1, 50),
        "request_timeout": read_span,
    },
}
OPTION_DEFAULTS: Mapping[str, Mapping[str, object]] = {
    "odoo": {"protocol": None, "companies": None, "page_size": 1_000, "request_timeout": timedelta(seconds=120)},
    "activecampaign": {"timezone": None, "page_size": 100, "request_timeout": timedelta(seconds=55)},
    "mercadolivre": {"site": "MLB", "auth_url": None, "page_size": 50, "request_timeout": timedelta(seconds=60)},
}
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "odoo": ("url", "database", "login"),
    "activecampaign": ("url",),
    "mercadolivre": (),
}
URLS: Mapping[str, str] = {"mercadolivre": "https://api.mercadolibre.com"}
"""Sources that are at one address for everybody."""
KEYS: Mapping[str, tuple[str, ...]] = {
    "odoo": ("api_key",),
    "activecampaign": ("api_key",),
    "mercadolivre": ("client_id", "client_secret"),
}
"""The secrets that an account needs: those that are not named are looked for in the database."""
FIRST_SECRETS: Mapping[str, tuple[str, ...]] = {"mercadolivre": ("refresh_token",)}
"""The secrets that only begin something, and that an account may do without."""
STREAM: Mapping[str, Reader] = {
    "every": at_least(EVERY_LEAST),
    "cron": read_cron,
    "overlap": read_duration,
    "timeout": read_span,
    "fields": read_names,
    "domain": read_domain,
    "start": read_instant,
    "paused": read_flag,
    "legacy_lock": read_text,
    "legacy_last_run": read_text,
}

FIXED: Mapping[KeyPath, Mapping[str, Reader | None]] = {
    ("sqlite",): SQLITE,
    ("postgres",): POSTGRES,
    ("alerts",): {**ALERTS, **dict.fromkeys(CHANNELS)},
    **{("alerts", channel): keys for channel, keys in CHANNELS.items()},
}
"""The tables whose keys are the same wherever they stand."""
SECRETS = frozenset(
    {"api_key", "master_key", "client_id", "client_secret", "refresh_token", "password", "secret", "urls"}
)
"""Keys whose value is never shown, whatever it is: what stands there by mistake is the secret itself."""
SEEN_LETTERS = 200


@dataclass(frozen=True, slots=True)
class Given:
    """One value as somebody gave it: where it was found, and which folder its relative paths are from."""

    value: object
    origin: str
    folder: Path
    is_text: bool = False


def read_values(given: Mapping[KeyPath, Given], zone: ZoneInfo) -> dict[KeyPath, object]:
    """Return every value as read, or raise for the first that is unknown or unusable."""
    read = {}
    # Sources first: which other keys an account may have depends on it.
    for path, each in sorted(given.items(), key=lambda item: item[0][2:] != ("source",)):
        reader = _reader(path, given)
        read[path] = read_value(path, reader, each, Place(each.folder, zone))
    return read


def read_value(path: KeyPath, reader: Reader, given: Given, place: Place) -> object:
    """Return one value as read. Text of the environment may also be what TOML would read from it."""
    if isinstance(given.value, str) and CONTROL.search(given.value.strip()):
        raise _bad(path, given, "a text without control characters")
    try:
        return reader(given.value, place)
    except ValueError as error:
        literal = _literal(str(given.value)) if given.is_text else None
        if literal is None:
            raise _bad(path, given, str(error)) from error
    try:
        return reader(literal, place)
    except ValueError as error:
        raise _bad(path, given, str(error)) from error


def _literal(text: str) -> object:
    """Return what a variable's text means in TOML: a number, true, a list; ``None`` when nothing."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return None


def _reader(path: KeyPath, given: Mapping[KeyPath, Given]) -> Reader:
    """Return the reader of a key, or raise for the first part of it that does not exist."""
    for depth, part in enumerate(path):
        known = _keys(path[:depth], given)
        is_last = depth == len(path) - 1
        if known is None:
            _check_name(path[: depth + 1], given[path])
        elif part not in known:
            raise _unknown(path[: depth + 1], given[path], known)
        elif (reader := known[part]) is not None:
            if is_last:
                return reader
            raise _bad(path[: depth + 1], given[path], "a single value, not a table", seen="a table")
    return _read_table


def _read_table(value: object, _: Place) -> object:
    if value == {}:
        return value
    raise ValueError("a table")


def _keys(table: KeyPath, given: Mapping[KeyPath, Given]) -> Mapping[str, Reader | None] | None:
    """Return the keys a table may have, ``None`` for free names; a key without a reader is a table."""
    if table in FIXED:
        return FIXED[table]
    match table:
        case ():
            return {**SETTINGS, **dict.fromkeys(name for name, *below in FIXED if not below), "accounts": None}
        case ("accounts", name):
            source = given.get(("accounts", name, "source"))
            named = [str(source.value)] if source else list(OPTIONS)
            options = {key: reader for each in named for key, reader in OPTIONS.get(each, {}).items()}
            return {**ACCOUNT, **options, "streams": None}
        case ("accounts", name, "streams") if (source := given.get(("accounts", name, "source"))) is not None:
            names = STREAMS.get(str(source.value))
            return dict.fromkeys(names) if names else None
        case ("accounts", _, "streams", _):
            return STREAM
        case _:
            return None


def is_account_name(name: str) -> bool:
    """Say whether an account may be called so: every command must be able to name it.

    >>> [is_account_name(name) for name in ("loja-1", "-loja", "a/b", "Dry")]
    [True, False, False, False]
    """
    return re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}", name) is not None and name.lower() != "dry"


def expect_account_name(name: str) -> None:
    """Raise unless an account may be called so."""
    if not is_account_name(name):
        raise BadValue(f"account name {name!r}; expected {NAME_FORM}")


def _check_name(path: KeyPath, given: Given) -> None:
    name = path[-1]
    if len(path) == 2 and not is_account_name(name):  # noqa: PLR2004  accounts.NAME
        raise BadValue(f"{given.origin}: the account name {name!r} cannot be used; expected {NAME_FORM}")


def _unknown(path: KeyPath, given: Given, known: Mapping[str, object]) -> UnknownKey:
    spelt = {name.lower(): name for name in known}
    near = [spelt[name] for name in difflib.get_close_matches(path[-1].lower(), spelt, n=1)]
    hint = f"did you mean {dotted((*path[:-1], near[0]))}?" if near else f"known here: {', '.join(sorted(known))}"
    message = f"{given.origin}: there is no key {dotted(path)}; {hint}"
    if path[2:3] == ("streams",) and path[4:]:
        step = f'A stream\'s name with a dot stands in quotes: [accounts.{path[1]}.streams."sale.order"].'
        return UnknownKey(message, next_step=None if near else step)
    return UnknownKey(message)


def _bad(path: KeyPath, given: Given, allowed: str, *, seen: str | None = None) -> BadValue:
    seen = seen or _seen(path, given.value)
    return BadValue(f"{given.origin}: {dotted(path)} is {seen}; expected {allowed}")


def _seen(path: KeyPath, value: object) -> str:
    if path[-1] in SECRETS:
        return f"a text of {len(value)} letters" if isinstance(value, str) else "not a text, and is not shown"
    if path == ("database",):
        return repr(shown_database(value))[:SEEN_LETTERS] if isinstance(value, str) else "not a text"
    # Masked before it is cut: a cut may take the host away, and with it the sign that a password stands before.
    return without_password(repr(value))[:SEEN_LETTERS]


def dotted(path: Sequence[str]) -> str:
    """Return a key as a person would write it, parts with dots in quotes."""
    return ".".join(part if re.fullmatch(r"[\w-]+", part) else f'"{part}"' for part in path)
