"""The keys about an older program's lock: per account or per stream, and only with a Redis."""

from pathlib import Path

import pytest

from comporta.errors import BadValue, SecretMissing
from comporta.settings.reading import masked, read_settings, redis_address
from comporta.settings.tree import Settings

ACCOUNT = '[accounts.a]\nsource = "activecampaign"\nurl = "https://a.example.com"\n'


def read(folder: Path, top: str, account: str = "") -> Settings:
    """Return the settings of a file with this text."""
    file = folder / "comporta.toml"
    file.write_text(f"{top}\n{ACCOUNT}{account}", encoding="utf-8")
    return read_settings(file, environ={})


def test_a_stream_has_its_own_key_or_the_accounts(tmp_path: Path) -> None:
    """An older program has one key for all, or one for each stream."""
    text = 'legacy_lock = "all"\n[accounts.a.streams.deals]\nlegacy_lock = "deals"\nlegacy_last_run = "deals:last"'
    account = read(tmp_path, 'redis = "redis://127.0.0.1"', text).accounts["a"]

    assert [account.stream(name).legacy_lock for name in ("deals", "users")] == ["deals", "all"]
    assert [account.stream(name).legacy_last_run for name in ("deals", "users")] == ["deals:last", None]


@pytest.mark.parametrize("account", ['legacy_lock = "k"', '[accounts.a.streams.deals]\nlegacy_lock = "k"'])
def test_a_key_needs_a_redis(tmp_path: Path, account: str) -> None:
    """Else nobody would be kept out, and nobody told."""
    with pytest.raises(BadValue, match="legacy_lock, but redis is not set; expected"):
        read(tmp_path, "", account)


@pytest.mark.parametrize("address", ["http://127.0.0.1", "redis://", "127.0.0.1:6379", ""])
def test_what_is_no_address_is_refused(tmp_path: Path, address: str) -> None:
    """The forms that work are named."""
    with pytest.raises(BadValue, match="redis://HOST:6379/0"):
        read(tmp_path, f'redis = "{address}"')


@pytest.mark.parametrize("address", ["redis://h:6379/1", "rediss://:pw@h", "unix:///run/redis.sock"])
def test_an_address_is_read(tmp_path: Path, address: str) -> None:
    """Plain, with TLS and a password, a socket."""
    assert redis_address(read(tmp_path, f'redis = "{address}"')) == address


def test_a_password_is_shown_nowhere(tmp_path: Path) -> None:
    """Neither where it stands in the file, nor where a reference leads to it."""
    known = read(tmp_path, 'redis = "redis://:s3cret@h"')
    referred = read(tmp_path, 'redis = "env:REDIS_URL"')

    assert masked(known)["redis"] == "redis://***@h"
    assert "s3cret" not in repr(known)
    assert masked(referred, environ={})["redis"] == "env:REDIS_URL (missing)"
    assert redis_address(referred, environ={"REDIS_URL": "redis://:s3cret@h"}) == "redis://:s3cret@h"


def test_a_reference_must_lead_to_an_address(tmp_path: Path) -> None:
    """The message says which reference, and not what it leads to."""
    known = read(tmp_path, 'redis = "env:REDIS_URL"')

    with pytest.raises(BadValue, match="what env:REDIS_URL leads to is not an address") as raised:
        redis_address(known, environ={"REDIS_URL": "s3cret"})
    assert "s3cret" not in raised.value.message
    with pytest.raises(SecretMissing):
        redis_address(known, environ={})


def test_what_to_do_without_redis_is_one_of_two(tmp_path: Path) -> None:
    """And to refuse unless told otherwise."""
    assert read(tmp_path, "").legacy_lock_without_redis == "refuse"
    with pytest.raises(BadValue, match="one of refuse, database"):
        read(tmp_path, 'legacy_lock_without_redis = "ignore"')
