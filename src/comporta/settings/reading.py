"""Reading the settings: COMPORTA_* environment, comporta.toml, defaults, in this order.

The only reader of the environment and of comporta.toml. Everything is checked before anything starts:
an unknown key, a value that cannot be used, a secret written where a reference belongs. Every message
says where the value came from, the whole key, what was seen and what is allowed.

In the environment ``__`` stands for a dot: COMPORTA_SQLITE__CACHE_MB, COMPORTA_ACCOUNTS__MATRIZ__URL.
A variable that a secret refers to (``env:COMPORTA_KEY``) is not taken for a setting.
"""

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

from comporta.core.instant import short_text
from comporta.core.postgres_url import FORM, without_password
from comporta.core.rate import duration_text, rate_text
from comporta.errors import BadValue, SecretMissing, SettingsError
from comporta.observability.log import LEVELS
from comporta.settings.keys import (
    FIRST_SECRETS,
    KEYS,
    OPTION_DEFAULTS,
    OPTIONS,
    REQUIRED,
    SETTINGS,
    SOURCES,
    SPELT,
    URLS,
    Given,
    KeyPath,
    read_value,
    read_values,
)
from comporta.settings.tree import (
    DATABASE,
    TIMEZONE,
    AccountSettings,
    AlertSettings,
    AppriseSettings,
    EmailSettings,
    PostgresSettings,
    Settings,
    SqliteSettings,
    StreamSettings,
    WebhookSettings,
)
from comporta.settings.values import (
    CONTROL,
    REDIS_FORM,
    Hours,
    Place,
    RateLimit,
    SecretReference,
    read_database,
    read_redis,
    read_secret,
    read_timezone,
)

FILE_NAME = "comporta.toml"
PREFIX = "COMPORTA_"
WRITTEN: tuple[tuple[type, Callable[[Any], object]], ...] = (
    (RateLimit, rate_text),
    (timedelta, duration_text),
    (datetime, short_text),
    (Hours, str),
    (Path, str),
    (str, without_password),
)
"""How values that JSON does not know are shown."""
TABLES = (
    SqliteSettings,
    PostgresSettings,
    StreamSettings,
    AlertSettings,
    EmailSettings,
    WebhookSettings,
    AppriseSettings,
)
STREAM_NAME_AT = 3
"""The place of a stream's name in the path of its keys."""
CHANNELS_MADE: Mapping[str, tuple[Callable[..., object], tuple[str, ...]]] = {
    "email": (EmailSettings, ("host", "sender", "to")),
    "webhook": (WebhookSettings, ("url", "secret")),
    "apprise": (AppriseSettings, ("urls",)),
}
"""How alerts go out, and what each way cannot do without."""
NOT_SETTINGS = frozenset({"COMPORTA_CONFIG", "COMPORTA_LOG"})
"""Read by the command line: which file, and whether the log is shown."""


def read_settings(path: Path | None = None, *, environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings; ``path`` names a file that must be there, else ./comporta.toml is read if it is."""
    here = Path.cwd()
    file = _file(path, environ, here)
    given: dict[KeyPath, Given] = {}
    if file is not None:
        given |= {key: Given(value, str(file), file.parent) for key, value in flat(_parsed(file))}
    given |= _from_environment(given, environ, here)
    reference = _database_reference(given)
    if reference is not None:
        given["database",] = _referred(given["database",], reference, environ)
    return replace(_settings(given, file, here), database_from=reference)


def expect_redis(known: Settings) -> Settings:
    """Return the settings, or raise where an older program's key is honoured and nothing says where the keys are."""
    if known.has_legacy_locks and known.redis is None:
        raise BadValue(f"an account has legacy_lock, but redis is not set; expected {REDIS_FORM}")
    return known


def reveal(reference: SecretReference, *, what: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return the secret that a reference to the environment or to a file leads to; the one place that does."""
    if reference.kind == "env":
        secret = environ.get(reference.name, "").strip("\r\n")
        missing = f"{what}: the environment variable {reference.name} is not set"
        connect = ", or store the secret with `comporta connect`" if what.startswith("account ") else ""
        step = f"Set {reference.name} for the process that runs comporta{connect}."
    else:
        try:
            secret = Path(reference.name).read_text("utf-8-sig").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = f"{what}: the file {reference.name} cannot be read: {error}"
            closed = f"Give the user that runs comporta the right to read {reference.name}."
            step = closed if isinstance(error, PermissionError) else f"Write the secret into {reference.name}."
            raise SecretMissing(reason, next_step=step) from error
        missing = f"{what}: the file {reference.name} is empty"
        step = f"Write the secret into {reference.name}, and nothing else."
    if not secret:
        raise SecretMissing(missing, next_step=step)
    if CONTROL.search(secret):
        message = f"{what}: {reference} holds more than one line, or a control character; expected the secret alone"
        raise SecretMissing(message, next_step=step)
    return secret


def is_there(reference: SecretReference, *, environ: Mapping[str, str] = os.environ) -> bool:
    """Say whether a reference to the environment or to a file leads anywhere."""
    return bool(environ.get(reference.name)) if reference.kind == "env" else Path(reference.name).is_file()


def masked(settings: Settings, *, environ: Mapping[str, str] = os.environ) -> dict[str, object]:
    """Return the whole tree for people and JSON, with secrets as where they are and whether they are there."""
    shown = {key.name: _masked(getattr(settings, key.name), environ) for key in fields(settings) if key.name != "said"}
    reference = shown.pop("database_from")
    database = settings.database_shown if settings.is_postgres else settings.database
    return {**shown, "database": f"{database} (from {settings.database_from})" if reference else database}


def read_log_level(*, is_verbose: bool, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the level from which the log is shown, ``None`` for silence; COMPORTA_LOG names it."""
    level = environ.get("COMPORTA_LOG", "").lower() or ("info" if is_verbose else None)
    if level is not None and level not in LEVELS:
        raise BadValue(f"environment COMPORTA_LOG is {level!r}; expected one of {', '.join(LEVELS)}")
    return level


def read_supervision(
    *, environ: Mapping[str, str] = os.environ, pid: int | None = None
) -> tuple[str | None, timedelta | None]:
    """Return the socket on which a service manager wants to hear of us, and how often: twice in its patience."""
    microseconds = environ.get("WATCHDOG_USEC", "")
    is_ours = environ.get("WATCHDOG_PID", str(pid or os.getpid())) == str(pid or os.getpid())
    every = timedelta(microseconds=int(microseconds) // 2) if microseconds.isdecimal() and is_ours else None
    return environ.get("NOTIFY_SOCKET") or None, every


def _masked(value: object, environ: Mapping[str, str]) -> object:
    if isinstance(value, SecretReference):
        return _masked_secret(value, environ)
    if isinstance(value, AccountSettings):
        shown = {each.name: _masked(getattr(value, each.name), environ) for each in fields(value)}
        secrets = cast("dict[str, object]", shown.pop("secrets"))
        return {**shown, **secrets}
    if isinstance(value, TABLES):
        return {each.name: _masked(getattr(value, each.name), environ) for each in fields(value)}
    if isinstance(value, Mapping):
        return {key: _masked(each, environ) for key, each in value.items()}
    for kind, written in WRITTEN:
        if isinstance(value, kind):
            return written(value)
    return [_masked(each, environ) for each in value] if isinstance(value, tuple | list) else value


def _masked_secret(reference: SecretReference, environ: Mapping[str, str]) -> str:
    if reference.kind == "stored":
        return str(reference)
    return f"{reference} ({'set' if is_there(reference, environ=environ) else 'missing'})"


def _file(path: Path | None, environ: Mapping[str, str], here: Path) -> Path | None:
    named = path or (Path(environ["COMPORTA_CONFIG"]) if environ.get("COMPORTA_CONFIG") else None)
    file = (here / (named or FILE_NAME)).absolute()
    if file.is_file():
        return file
    if named is None:
        return None
    seen = "is a folder" if file.is_dir() else "does not exist"
    raise SettingsError(
        f"settings file {file}: {seen}; expected a file such as {FILE_NAME}",
        next_step="Correct --config (or COMPORTA_CONFIG), or write a new file with `comporta init`.",
    )


def _parsed(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"settings file {file}: cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        raise BadValue(f"{file}: not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise BadValue(f"{file}: not valid TOML: {error}; texts stand in double quotes") from error


def flat(table: Mapping[str, object], path: KeyPath = ()) -> Iterator[tuple[KeyPath, object]]:
    """Yield every value with its whole path; a table without any is yielded itself."""
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from flat(value, (*path, key))
        else:
            yield (*path, key), value


def _from_environment(given: Mapping[KeyPath, Given], environ: Mapping[str, str], here: Path) -> dict[KeyPath, Given]:
    referred = {str(each.value).removeprefix("env:") for each in given.values()}
    referred |= {value.removeprefix("env:") for name, value in environ.items() if name.startswith(PREFIX)}
    names = {folded(path[1]): path[1] for path in given if path[0] == "accounts" and len(path) > 1}
    found = {}
    for variable, value in environ.items():
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS or variable in referred:
            continue
        path = variable.removeprefix(PREFIX).lower().split("__")
        if path[0] == "accounts" and len(path) > 1:
            path[1] = names.get(path[1], path[1])
        if path[0] == "accounts" and path[2:3] == ["streams"] and path[STREAM_NAME_AT:]:
            path[STREAM_NAME_AT] = SPELT.get(path[STREAM_NAME_AT], path[STREAM_NAME_AT])
        found[tuple(path)] = Given(value, f"environment {variable}", here, is_text=True)
    return found


def _database_reference(given: Mapping[KeyPath, Given]) -> SecretReference | None:
    """Return where the database's address stands, when it does not stand in the settings themselves."""
    found = given.get(("database",))
    value = found.value if found else None
    # An address after env: or file: is a slip, and must not be shown as a name.
    if found is None or not isinstance(value, str) or not re.fullmatch(r"env:\w+|file:(?!.*:/)[^@]+", value.strip()):
        return None
    return cast("SecretReference", read_value(("database",), read_secret, found, Place(found.folder)))


def _referred(given: Given, reference: SecretReference, environ: Mapping[str, str]) -> Given:
    try:
        address = reveal(reference, what=f"{given.origin}: database", environ=environ)
    except SecretMissing as error:
        step = f"Put the database's address there, {FORM}; percent-encode its password."
        raise SecretMissing(error.message, next_step=step) from error
    return Given(address, f"{given.origin}, through {reference}", given.folder)


def _settings(given: Mapping[KeyPath, Given], file: Path | None, here: Path) -> Settings:
    folder = file.parent if file else here
    zone = given.get(("timezone",))
    name = read_value(("timezone",), read_timezone, zone, Place(folder)) if zone else TIMEZONE
    values = read_values({path: each for path, each in given.items() if not _waits(path, given)}, ZoneInfo(str(name)))
    top: dict[str, Any] = {path[0]: value for path, value in values.items() if len(path) == 1 and path[0] in SETTINGS}
    top.setdefault("database", read_database(DATABASE, Place(folder)))
    top["state_dir"] = top.get("state_dir") or _state_dir()
    top.setdefault("master_key", SecretReference("file", str(top["state_dir"] / "master.key")))
    sqlite, postgres = _table("sqlite", values), _table("postgres", values)
    alerts = _alerts(values)
    said = _said(given)
    accounts = {each: account_of(each, values) for each in said if _is_whole(each, values)}
    known = Settings(
        path=file,
        folder=folder,
        sqlite=SqliteSettings(**sqlite),
        postgres=PostgresSettings(**postgres),
        alerts=alerts,
        accounts=accounts,
        said=said,
        **top,
    )
    return expect_redis(known)


def folded(name: str) -> str:
    """Return an account's name as far as a variable can say it: without case and without hyphens."""
    return name.lower().replace("-", "_")


def _said(given: Mapping[KeyPath, Given]) -> dict[str, dict[KeyPath, Given]]:
    """Return by account what is given of it, by key; an account without any key is there too."""
    said: dict[str, dict[KeyPath, Given]] = {}
    for path, each in given.items():
        if path[0] == "accounts" and path[1:]:
            said.setdefault(path[1], {})[path[2:]] = each
    return said


def _waits(path: KeyPath, given: Mapping[KeyPath, Given]) -> bool:
    """Say whether a key is read with what the database keeps: of an account whose source is not given here."""
    return path[0] == "accounts" and bool(path[1:]) and (*path[:2], "source") not in given


def _is_whole(name: str, values: Mapping[KeyPath, object]) -> bool:
    """Say whether an account can do without what the database may keep of it."""
    source = values.get(("accounts", name, "source"))
    return source is not None and all(("accounts", name, key) in values for key in REQUIRED[str(source)])


def redis_address(settings: Settings, *, environ: Mapping[str, str] = os.environ) -> str:
    """Return the address of Redis, which may hold a password; ask only where one is set."""
    if not isinstance(settings.redis, SecretReference):
        return str(settings.redis)
    address = reveal(settings.redis, what="redis", environ=environ)
    try:
        return str(read_redis(address, Place(settings.folder)))
    except ValueError as error:
        raise BadValue(f"redis: what {settings.redis} leads to is not an address; expected {REDIS_FORM}") from error


def _table(name: str, values: Mapping[KeyPath, object]) -> dict[str, Any]:
    return {path[1]: value for path, value in values.items() if path[0] == name and path[1:]}


def _alerts(values: Mapping[KeyPath, object]) -> AlertSettings:
    """Return how people are told; a channel that is named must be whole."""
    own = {path[1]: value for path, value in values.items() if path[0] == "alerts" and path[1:] and not path[2:]}
    made = {}
    for channel, (kind, needed) in CHANNELS_MADE.items():
        told = {path[2]: value for path, value in values.items() if path[:2] == ("alerts", channel) and path[2:]}
        missing = [key for key in needed if not told.get(key)]
        if missing and (told or channel in own):
            raise BadValue(f"alerts.{channel}.{missing[0]} is missing; alerts by {channel} need it")
        made[channel] = kind(**told)
    return AlertSettings(**{**own, **made})  # type: ignore[arg-type]  # fields of AlertSettings, as read


def _state_dir() -> Path:
    import platformdirs  # noqa: PLC0415  not needed where state_dir is set, and it takes its time

    return Path(platformdirs.user_state_dir("comporta", appauthor=False))


def account_of(name: str, values: Mapping[KeyPath, object]) -> AccountSettings:
    """Return an account from its keys as read, or raise for what it lacks."""
    own: dict[str, Any] = {
        path[2]: value for path, value in values.items() if path[:2] == ("accounts", name) and path[2:] and not path[3:]
    }
    source = own.get("source")
    if source is None:
        step = f"Say the source, or keep the account in the database with `comporta connect SOURCE {name}`."
        raise BadValue(f"accounts.{name}.source is missing; expected one of {', '.join(SOURCES)}", next_step=step)
    missing = [key for key in REQUIRED[source] if key not in own]
    if missing:
        raise BadValue(f"accounts.{name}.{missing[0]} is missing; an account of source {source} needs it")
    secrets = _secrets(name, str(source), own)
    options = {key: own.pop(key) for key in OPTIONS[source] if key in own}
    own.setdefault("url", URLS.get(source))
    own.pop("streams", None)
    account = AccountSettings(name=name, options={**OPTION_DEFAULTS[source], **options}, secrets=secrets, **own)
    return _with_streams(account, values)


def _secrets(name: str, source: str, own: dict[str, Any]) -> dict[str, SecretReference]:
    """Take the secrets out of an account's keys; what it needs and does not name is in the database."""
    needed, first = KEYS[source], FIRST_SECRETS.get(source, ())
    if "api_key" in own and "api_key" not in needed:
        expected = ", ".join([*needed, *first])
        raise BadValue(f"accounts.{name}.api_key does not belong to source {source}; expected {expected}")
    return {
        key: own.pop(key, SecretReference("stored", f"{name}/{key}"))
        for key in (*needed, *first)
        if key in own or key in needed
    }


def _with_streams(account: AccountSettings, values: Mapping[KeyPath, object]) -> AccountSettings:
    """Return the account with its named streams; what a stream leaves out is the account's."""
    named: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        if path[:2] == ("accounts", account.name) and path[2:3] == ("streams",) and len(path) > STREAM_NAME_AT:
            own = named.setdefault(path[STREAM_NAME_AT], {})
            if len(path) > STREAM_NAME_AT + 1:
                own[path[-1]] = value
    for name, own in named.items():
        if "every" in own and "cron" in own:
            key = f'accounts.{account.name}.streams."{name}"'
            raise BadValue(f"{key} has both every and cron; expected one of them")
    streams = {name: replace(account.stream(name), **own) for name, own in named.items()}
    return replace(account, streams=streams)
