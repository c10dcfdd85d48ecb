"""The settings as they are once read: one frozen tree, of which each room is handed its own part.

Defaults stand here and nowhere else. No secret is in it, only where to find one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from comporta.core.alert_facts import AlertBounds
from comporta.core.postgres_url import is_postgres, shown_database
from comporta.errors import SettingsError
from comporta.settings.keys import Given, KeyPath
from comporta.settings.values import Hours, RateLimit, SecretReference

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
STREAM_DEFAULTS: Mapping[str, Mapping[str, Mapping[str, timedelta]]] = {
    "activecampaign": {"": {"overlap": DAY}, "dealCustomFieldData": {"every": 6 * HOUR}},
    "mercadolivre": {"": {"overlap": HOUR}},
}
"""By source and stream, what differs from ``StreamSettings``; without a name, of all its streams.

Nobody knows how exactly ActiveCampaign's filter goes by the time; its custom field values, of
which those of changed deals are read after them, have none. Mercado Livre's goes by whole hours.
"""
DATABASE = "sqlite:///comporta.db"
TIMEZONE = "UTC"


@dataclass(frozen=True, slots=True)
class SqliteSettings:
    """How SQLite works; the same names and defaults as ``ledger.sqlite.Pragmas``, which a test compares."""

    cache_mb: int = 16
    mmap_mb: int = 0
    temp_store: str = "memory"
    synchronous: str = "normal"
    busy_timeout: timedelta = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class PostgresSettings:
    """How PostgreSQL is connected to. ``pooler`` says what stands between, where the address does not tell."""

    pool_size: int = 15
    pool_wait: timedelta = timedelta(seconds=30)
    pool_recycle: timedelta = HOUR
    pooler: str = "auto"


@dataclass(frozen=True, slots=True)
class EmailSettings:
    """How alerts go out by e-mail; without ``host`` they do not. ``tls`` is starttls, tls or none."""

    host: str | None = None
    port: int = 587
    tls: str = "starttls"
    user: str | None = None
    password: SecretReference | None = None
    sender: str | None = None
    to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Where alerts are posted to, and the secret that they are signed with."""

    url: str | None = None
    secret: SecretReference | None = None


@dataclass(frozen=True, slots=True)
class AppriseSettings:
    """Where the addresses for apprise are, separated by spaces or lines: they hold tokens."""

    urls: SecretReference | None = None


@dataclass(frozen=True, slots=True)
class AlertSettings(AlertBounds):
    """What matters to a person and how they are told."""

    language: str = "pt-BR"
    quiet: Hours | None = None
    email: EmailSettings = field(default_factory=EmailSettings)
    webhook: WebhookSettings = field(default_factory=WebhookSettings)
    apprise: AppriseSettings = field(default_factory=AppriseSettings)


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """One stream of one account. ``every`` holds unless ``cron`` is set; ``start`` None is everything."""

    name: str
    every: timedelta = 30 * MINUTE
    cron: str | None = None
    overlap: timedelta = 10 * MINUTE
    timeout: timedelta = 2 * HOUR
    fields: tuple[str, ...] | None = None
    domain: tuple[object, ...] = ()
    start: datetime | None = None
    paused: bool = False
    legacy_lock: str | None = None
    legacy_last_run: str | None = None


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """One set of credentials at a source. ``options`` are the source's own; ``streams`` those named here.

    ``secrets`` are where its keys and tokens are, by the name of the setting.
    A stream that is not named runs with the source's defaults: ask ``stream``, which answers for any.
    """

    name: str
    source: str
    url: str
    secrets: Mapping[str, SecretReference]
    options: Mapping[str, object] = field(default_factory=dict)
    limit: RateLimit | None = None
    concurrency: int | None = None
    start: datetime | None = None
    paused: bool = False
    timeout: timedelta = 2 * HOUR
    stall_timeout: timedelta | None = None
    legacy_lock: str | None = None
    legacy_last_run: str | None = None
    streams: Mapping[str, StreamSettings] = field(default_factory=dict)

    def stream(self, name: str) -> StreamSettings:
        """Return how a stream is synced, whether or not it is named in the settings."""
        known = STREAM_DEFAULTS.get(self.source, {})
        own: dict[str, timedelta] = {**known.get("", {}), **known.get(name, {})}
        usual = StreamSettings(
            name,
            timeout=self.timeout,
            start=self.start,
            paused=self.paused,
            legacy_lock=self.legacy_lock,
            legacy_last_run=self.legacy_last_run,
        )
        usual = replace(usual, **own)  # type: ignore[arg-type]  # fields of StreamSettings
        return self.streams.get(name, usual)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything. ``path`` is the file it was read from, ``None`` without one; ``folder`` is where that lies.

    ``database`` is whole, and so may hold a password: what people see is ``database_shown``.
    ``database_from`` is the reference that it was read from, if it was not written here itself.

    ``accounts`` are those that are whole; of these and of all others ``said`` is what file and environment give,
    which may be no more than a key for an account that the database keeps (``settings_stored``).
    """

    path: Path | None = None
    folder: Path = field(default_factory=Path.cwd)
    database: str = field(default=DATABASE, repr=False)
    database_from: SecretReference | None = None
    timezone: str = TIMEZONE
    workers: int = 10
    state_dir: Path = Path()
    master_key: SecretReference = field(default_factory=lambda: SecretReference("file", "master.key"))
    host: str = "127.0.0.1"
    port: int = 8000
    otel: bool = False
    redis: str | SecretReference | None = field(default=None, repr=False)
    legacy_lock_without_redis: str = "refuse"
    schema: str = "mirror"
    retention: timedelta = 90 * DAY
    lease: timedelta = timedelta(seconds=30)
    stall_timeout: timedelta = 5 * MINUTE
    reconcile: timedelta = DAY
    margin: timedelta = 2 * MINUTE
    rejected_share: float = 0.05
    deleted_share: float = 0.05
    sqlite: SqliteSettings = field(default_factory=SqliteSettings)
    postgres: PostgresSettings = field(default_factory=PostgresSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    accounts: Mapping[str, AccountSettings] = field(default_factory=dict)
    said: Mapping[str, Mapping[KeyPath, Given]] = field(default_factory=dict, repr=False)

    @property
    def is_postgres(self) -> bool:
        """Say whether the database is PostgreSQL; else it is an SQLite file."""
        return is_postgres(self.database)

    @property
    def database_shown(self) -> str:
        """Return where the database is, for messages: the SQLite file, or the address without its password."""
        return shown_database(self.database) if self.is_postgres else str(self.sqlite_path)

    @property
    def sqlite_path(self) -> Path:
        """Return the SQLite file; ask ``is_postgres`` first, for with PostgreSQL there is none and this raises."""
        if self.is_postgres:
            raise SettingsError(
                f"database is {self.database_shown}; expected an SQLite file, which is all that this part works on",
                next_step='Use it with a database = "sqlite:///FILE".',
            )
        return Path(self.database.removeprefix("sqlite:///"))

    @property
    def has_legacy_locks(self) -> bool:
        """Say whether an older program's key is honoured anywhere."""
        accounts = self.accounts.values()
        return any(each.legacy_lock or any(stream.legacy_lock for stream in each.streams.values()) for each in accounts)

    @property
    def zone(self) -> ZoneInfo:
        """Return the time zone in which people read times."""
        return ZoneInfo(self.timezone)
