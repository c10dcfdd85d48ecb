"""Settings: where they come from, in which order, and what is said of those that cannot be used."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comporta.core.rate import duration_text, rate_text
from comporta.errors import BadValue, SettingsError, UnknownKey
from comporta.ledger.sqlite import Pragmas
from comporta.settings.reading import masked, read_log_level, read_settings
from comporta.settings.stored import with_stored
from comporta.settings.tree import Settings, SqliteSettings
from comporta.settings.values import Place, RateLimit, SecretReference, read_duration, read_limit

ACCOUNT = """
[accounts.matriz]
source = "odoo"
url = "https://erp.example.com"
database = "prod"
login = "sync@example.com"
"""
HERE = Place(Path("/here"))


def read(tmp_path: Path, text: str, environ: Mapping[str, str] | None = None) -> Settings:
    """Write a file and read it."""
    path = tmp_path / "comporta.toml"
    path.write_text(text, encoding="utf-8")
    return read_settings(path, environ=environ or {})


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without comporta.toml is not an error."""
    monkeypatch.chdir(tmp_path)
    settings = read_settings(environ={})

    assert settings.path is None
    assert settings.sqlite_path == tmp_path / "comporta.db"
    assert settings.workers == 10
    assert settings.accounts == {}


def test_the_nearer_source_wins(tmp_path: Path) -> None:
    """The environment beats the file, which beats the default."""
    settings = read(
        tmp_path,
        'workers = 2\nlease = "20s"\nport = 1',
        {"COMPORTA_LEASE": "25s"},
    )

    assert (settings.workers, settings.lease, settings.port) == (2, timedelta(seconds=25), 1)
    assert settings.host == "127.0.0.1"


def test_the_environment_reaches_into_accounts(tmp_path: Path) -> None:
    """Two underscores stand for a dot, and an account is found whatever the case of its name."""
    environ = {"COMPORTA_ACCOUNTS__MATRIZ__PAGE_SIZE": "50", "COMPORTA_SQLITE__CACHE_MB": "64"}
    settings = read(tmp_path, ACCOUNT, environ)

    assert settings.accounts["matriz"].options["page_size"] == 50
    assert settings.sqlite.cache_mb == 64


def test_a_variable_that_a_secret_refers_to_is_no_setting(tmp_path: Path) -> None:
    """People name their own variables COMPORTA_… too."""
    settings = read(tmp_path, ACCOUNT + 'api_key = "env:COMPORTA_ODOO_KEY"', {"COMPORTA_ODOO_KEY": "k"})

    assert settings.accounts["matriz"].secrets["api_key"] == SecretReference("env", "COMPORTA_ODOO_KEY")


def test_the_file_may_be_named_in_the_environment(tmp_path: Path) -> None:
    """COMPORTA_CONFIG does what --config does."""
    path = tmp_path / "other.toml"
    path.write_text("workers = 7", encoding="utf-8")

    assert read_settings(environ={"COMPORTA_CONFIG": str(path)}).workers == 7


def test_a_path_is_relative_to_its_file(tmp_path: Path) -> None:
    """Wherever the command is run, it works on the same database."""
    settings = read(tmp_path, 'database = "sqlite:///data/c.db"\nstate_dir = "state"\n')

    assert settings.sqlite_path == tmp_path / "data/c.db"
    assert settings.state_dir == tmp_path / "state"
    assert settings.master_key == SecretReference("file", str(tmp_path / "state/master.key"))


def test_an_editor_that_marks_utf8_does_no_harm(tmp_path: Path) -> None:
    """Windows' Notepad writes a byte order mark."""
    path = tmp_path / "comporta.toml"
    path.write_bytes(b"\xef\xbb\xbfworkers = 3")

    assert read_settings(path, environ={}).workers == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("wrkers = 3", "there is no key wrkers; did you mean workers?"),
        ("[sqlite]\ncach_mb = 1", "there is no key sqlite.cach_mb; did you mean sqlite.cache_mb?"),
        (ACCOUNT + "pagesize = 1", "there is no key accounts.matriz.pagesize; did you mean accounts.matriz.page_size?"),
        (
            ACCOUNT + '[accounts.matriz.streams."sale.order"]\nevry = "1h"',
            'there is no key accounts.matriz.streams."sale.order".evry; did you mean accounts.matriz.streams."sale.',
        ),
        ("zzz = 3", "there is no key zzz; known here: accounts, "),
    ],
)
def test_an_unknown_key_is_named_with_its_nearest(text: str, said: str, tmp_path: Path) -> None:
    """The whole key, the file, and what was probably meant."""
    with pytest.raises(UnknownKey) as caught:
        read(tmp_path, text)

    assert caught.value.message.startswith(f"{tmp_path / 'comporta.toml'}: {said}")


def test_a_stream_without_quotes_is_explained(tmp_path: Path) -> None:
    """A dot in a stream's name makes two keys of it in TOML."""
    with pytest.raises(UnknownKey) as caught:
        read(tmp_path, ACCOUNT + '[accounts.matriz.streams.sale.order]\nevery = "1h"')

    assert 'streams."sale.order"' in caught.value.next_step


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('workers = "many"', "workers is 'many'; expected a whole number from 1 to 1000"),
        ("workers = true", "workers is True; expected a whole number from 1 to 1000"),
        ("workers = {a = 1}", "workers is a table; expected a single value, not a table"),
        ('lease = "30"', "lease is '30'; expected a duration"),
        ('lease = "0s"', "lease is '0s'; expected a duration"),
        ('timezone = "Mars/Base"', "timezone is 'Mars/Base'; expected a time zone of the IANA list"),
        ('database = "comporta.db"', "database is 'comporta.db'; expected \"sqlite:///FILE\""),
        ('database = "postgresql://u:p@w@h/d"', "database is 'postgresql://***@h/d'; expected"),
        ("accounts = 3", "accounts is 3; expected a table"),
        ("rejected_share = 5", "rejected_share is 5; expected a share from 0 to 1"),
        ('[sqlite]\nsynchronous = "off"', "sqlite.synchronous is 'off'; expected one of normal, full, extra"),
        (ACCOUNT + 'api_key = "secret"', "accounts.matriz.api_key is a text of 6 letters; expected a reference"),
        (ACCOUNT + 'limit = "5"', "accounts.matriz.limit is '5'; expected requests per time"),
        (ACCOUNT + "start = 5", "accounts.matriz.start is 5; expected an instant"),
        (ACCOUNT + "companies = [true]", "accounts.matriz.companies is [True]; expected a list of ids"),
        (
            ACCOUNT.replace("https://", ""),
            "accounts.matriz.url is 'erp.example.com'; expected an address, https://host",
        ),
        (ACCOUNT + "page_size = 0", "accounts.matriz.page_size is 0; expected a whole number from 1 to 10000"),
        (ACCOUNT + 'protocol = "rest"', "accounts.matriz.protocol is 'rest'; expected one of jsonrpc, xmlrpc, json2"),
        (
            ACCOUNT + '[accounts.matriz.streams.x]\nfields = "id"',
            "accounts.matriz.streams.x.fields is 'id'; expected a list of names",
        ),
        (
            ACCOUNT + '[accounts.matriz.streams.x]\ncron = "hourly"',
            "accounts.matriz.streams.x.cron is 'hourly'; expected a cron expression",
        ),
        *(
            (
                ACCOUNT + f'[accounts.matriz.streams.x]\ncron = "{cron}"',
                f"accounts.matriz.streams.x.cron is '{cron}'; expected a cron expression of five fields, of a time",
            )
            for cron in ("0 0 30 2 *", "99 * * * *", "* * * * bogus", "* * * * * *", "@daily")
        ),
        ('[accounts."a/b"]\nsource = "odoo"', "the account name 'a/b' cannot be used"),
        (f'[accounts.{64 * "a"}]\nsource = "odoo"', f"the account name {64 * 'a'!r} cannot be used; expected 1 to 63"),
        ('state_dir = "a\\u0000b"', "state_dir is 'a\\x00b'; expected a text without control characters"),
        (ACCOUNT.replace("prod", "p\\nd"), "accounts.matriz.database is 'p\\nd'; expected a text without control"),
        ('[alerts.email]\nto = ["a\\nb"]', "alerts.email.to is ['a\\nb']; expected a list of names"),
        ('[accounts.dry]\nsource = "odoo"', "the account name 'dry' cannot be used"),
        ('[accounts.-x]\nsource = "odoo"', "the account name '-x' cannot be used"),
    ],
)
def test_a_value_that_cannot_be_used_is_shown_with_what_can(text: str, said: str, tmp_path: Path) -> None:
    """Key, value seen and values allowed; a secret is never shown."""
    with pytest.raises(BadValue) as caught:
        read(tmp_path, text)

    assert caught.value.message.startswith(f"{tmp_path / 'comporta.toml'}: {said}")


@pytest.mark.parametrize("value", ['"K3Y"', '["K3Y"]', "12345678", '{x = "K3Y"}', "1.5e300", "1979-05-27"])
@pytest.mark.parametrize("key", ["api_key", "client_secret", "refresh_token", "master_key"])
def test_what_stands_where_a_secret_belongs_is_never_shown(key: str, value: str, tmp_path: Path) -> None:
    """Whatever its type, known key or not: it may be the secret itself."""
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, f"{key} = {value}" if key == "master_key" else f"{ACCOUNT}{key} = {value}")

    said = caught.value.message.removeprefix(str(tmp_path))
    assert not [part for part in ("K3Y", "12345678", "1.5e", "1e+300", "1979") if part in said]


@pytest.mark.parametrize("password", ["p4ss", "p4ss@KEY", "p4ss/KEY", "p4ss KEY", "KEY//p4ss@", "KEY" + "p4ss" * 99])
@pytest.mark.parametrize(
    "text",
    [
        'database = "postgresql://u:{}@h:99999/d"',
        'database = "postgres:u:{}@h/d"',
        'database = "postgresql+driver://u:{}@h/d"',
        ACCOUNT + 'start = "ftp://u:{}@h"',
    ],
)
def test_a_password_in_an_address_is_never_shown(text: str, password: str, tmp_path: Path) -> None:
    """All up to the last @ goes, for a password may hold what should have been written otherwise."""
    with pytest.raises(BadValue) as caught:
        read(tmp_path, text.format(password))

    said = caught.value.message.removeprefix(str(tmp_path))
    assert "p4ss" not in said
    assert "KEY" not in said
    assert "***@h" in said


def test_a_password_in_an_address_that_works_is_masked_too(tmp_path: Path) -> None:
    """`comporta settings` is pasted into reports of faults."""
    text = ACCOUNT.replace("https://erp", "https://user:p@ss wo@erp")
    shown = masked(read(tmp_path, text), environ={})["accounts"]

    assert shown["matriz"]["url"] == "https://***@erp.example.com"  # type: ignore[index]  # shown as JSON
    assert shown["matriz"]["options"]["login"] == "sync@example.com"  # type: ignore[index]  # shown as JSON


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ('lease = "999ms"', "1s"),
        ('stall_timeout = "500ms"', "1s"),
        ('retention = "59m"', "1h"),
        ('[sqlite]\nbusy_timeout = "50ms"', "100ms"),
        (ACCOUNT + '[accounts.matriz.streams.x]\nevery = "1ms"', "1s"),
    ],
)
def test_a_duration_too_short_to_work_with_is_refused(text: str, least: str, tmp_path: Path) -> None:
    """A lease of a millisecond is lost before it is held; history of a second is none."""
    with pytest.raises(BadValue, match=f"at least {least}$"):
        read(tmp_path, text)


def test_a_lease_longer_than_an_hour_is_refused(tmp_path: Path) -> None:
    """So long would a stream stand still after each crash."""
    with pytest.raises(BadValue, match=r"lease is '61m'; .* at most 1h$"):
        read(tmp_path, 'lease = "61m"')


@pytest.mark.parametrize("missing", ["source", "url", "database", "login"])
def test_an_incomplete_account_says_what_is_missing(missing: str, tmp_path: Path) -> None:
    """One key at a time."""
    lines = [line for line in ACCOUNT.splitlines() if not line.startswith(missing)]
    settings = read(tmp_path, "\n".join(lines))
    with pytest.raises(BadValue, match=rf"accounts\.matriz\.{missing} is missing"):
        with_stored(settings, {}, origin="the database")


def test_every_and_cron_exclude_each_other(tmp_path: Path) -> None:
    """Two schedules for one stream are a slip."""
    with pytest.raises(BadValue, match="both every and cron"):
        read(tmp_path, ACCOUNT + '[accounts.matriz.streams.x]\nevery = "1h"\ncron = "0 * * * *"')


def test_invalid_toml_says_the_line(tmp_path: Path) -> None:
    """The parser's own place is passed on."""
    with pytest.raises(BadValue, match="line 2"):
        read(tmp_path, "workers = 1\nhost = localhost")


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    """PowerShell's `>` writes UTF-16."""
    path = tmp_path / "comporta.toml"
    path.write_bytes("workers = 1".encode("utf-16"))
    with pytest.raises(BadValue, match="not UTF-8"):
        read_settings(path, environ={})


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    """Falling back to defaults would sync the wrong database."""
    with pytest.raises(SettingsError, match=r"missing\.toml: does not exist"):
        read_settings(tmp_path / "missing.toml", environ={})


def test_a_bad_variable_is_named(tmp_path: Path) -> None:
    """What comes from the environment is not blamed on the file."""
    with pytest.raises(BadValue, match="environment COMPORTA_WORKERS: workers is 'x'"):
        read(tmp_path, "", {"COMPORTA_WORKERS": "x"})


def test_a_time_without_zone_is_meant_in_the_timezone(tmp_path: Path) -> None:
    """Midnight is midnight where the people are."""
    text = 'timezone = "America/Sao_Paulo"\n' + ACCOUNT + "start = 2025-01-01"

    assert read(tmp_path, text).accounts["matriz"].start == datetime(2025, 1, 1, 3, tzinfo=UTC)


def test_a_named_stream_adds_to_the_accounts_rules(tmp_path: Path) -> None:
    """What a stream leaves out is the account's; a stream that is not named has the account's rules too."""
    account = read(
        tmp_path, ACCOUNT + 'timeout = "1h"\n[accounts.matriz.streams."sale.order"]\noverlap = "1d"'
    ).accounts["matriz"]

    assert account.stream("sale.order").overlap == timedelta(days=1)
    assert account.stream("sale.order").timeout == timedelta(hours=1)
    assert account.stream("res.partner").overlap == timedelta(minutes=10)
    assert account.stream("res.partner").timeout == timedelta(hours=1)


def test_the_file_wins_over_the_database(tmp_path: Path) -> None:
    """Key by key, of an account that stands in both; others stand beside it."""
    settings = read(tmp_path, ACCOUNT)
    kept = {"source": "odoo", "url": "http://kept", "database": "d", "login": "l", "page_size": 7}

    both = with_stored(settings, {"matriz": kept, "filial": kept}, origin="the database").accounts

    assert {name: account.url for name, account in both.items()} == {
        "matriz": "https://erp.example.com",
        "filial": "http://kept",
    }
    assert both["matriz"].options["page_size"] == 7
    assert both["filial"].secrets["api_key"] == SecretReference("stored", "filial/api_key")


def test_secrets_are_shown_as_where_they_are(tmp_path: Path) -> None:
    """Never what they are, but whether they are there."""
    text = ACCOUNT + 'api_key = "env:KEY"'
    shown = [masked(read(tmp_path, text), environ=environ)["accounts"] for environ in ({"KEY": "k"}, {})]

    assert [each["matriz"]["api_key"] for each in shown] == ["env:KEY (set)", "env:KEY (missing)"]  # type: ignore[index]  # shown as JSON


def test_sqlite_settings_are_what_the_ledger_takes() -> None:
    """The two halves cannot know each other; this keeps names and defaults the same."""
    ours, theirs = SqliteSettings(), Pragmas()

    assert (ours.cache_mb, ours.mmap_mb, ours.temp_store, ours.synchronous) == (
        theirs.cache_mb,
        theirs.mmap_mb,
        theirs.temp_store,
        theirs.synchronous,
    )
    assert ours.busy_timeout.total_seconds() == theirs.busy_timeout_s


@given(st.integers(min_value=0, max_value=10**12))
def test_a_duration_is_read_as_it_is_written(milliseconds: int) -> None:
    """Every duration of whole milliseconds has a text, and the text means it."""
    length = timedelta(milliseconds=milliseconds)

    assert read_duration(duration_text(length), HERE) == length


@given(st.text(max_size=20))
def test_no_text_breaks_the_reader_of_durations(text: str) -> None:
    """Whatever is written, the answer is a duration or a sentence."""
    try:
        seen: object = read_duration(text, HERE)
    except ValueError as error:
        seen = str(error)

    assert isinstance(seen, timedelta) or str(seen).startswith("a duration")


@given(st.integers(min_value=1, max_value=999_999), st.integers(min_value=1, max_value=10**9))
def test_a_limit_is_read_as_it_is_written(requests: int, milliseconds: int) -> None:
    """As durations."""
    limit = RateLimit(requests, timedelta(milliseconds=milliseconds))

    assert read_limit(rate_text(limit), HERE) == limit


@pytest.mark.parametrize(
    ("environ", "is_verbose", "level"),
    [({}, False, None), ({}, True, "info"), ({"COMPORTA_LOG": "DEBUG"}, False, "debug")],
)
def test_the_log_is_silent_unless_asked_for(environ: dict[str, str], is_verbose: bool, level: str | None) -> None:
    """A command speaks to a person; the log to whoever looks into it."""
    assert read_log_level(is_verbose=is_verbose, environ=environ) == level


def test_a_wrong_level_is_refused() -> None:
    """A log that stays silent because of a typing mistake would be missed when it is needed."""
    with pytest.raises(BadValue, match="COMPORTA_LOG"):
        read_log_level(is_verbose=False, environ={"COMPORTA_LOG": "loud"})
