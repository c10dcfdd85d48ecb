"""What a person sees of the lock of an older program: in check, doctor and sync."""

import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Command
from tests.servers.redis_server import OwnRedis

from comporta.core.outcome import ExitCode

KEY = "carteira:sync:incremental:lock"


@pytest.fixture
def locked(folder: Path, redis_server: OwnRedis, comporta: Command) -> Path:
    """Sync once, then have the account honour a key, which the older program holds."""
    assert comporta("sync", "loja/res.partner").code == ExitCode.DONE
    settings = folder / "comporta.toml"
    text = settings.read_text("utf-8")
    settings.write_text(f'redis = "{redis_server.url}"\n{text}legacy_lock = "{KEY}"\n', encoding="utf-8")
    redis_server.lock(KEY, "cron:17", ttl_ms=60_000)
    return folder


@pytest.mark.parametrize("command", ["check", "doctor"])
def test_it_is_said_who_holds_the_key(locked: Path, comporta: Command, command: str) -> None:
    """Redis answers, the token, the time left."""
    said = comporta(command)

    assert said.code == ExitCode.DONE, said.out + said.err
    assert f"Redis answers; the key {KEY!r} is held by 'cron:17', which runs out in " in " ".join(said.out.split())


@pytest.mark.parametrize("command", ["check", "doctor"])
def test_it_is_said_that_redis_does_not_answer(
    locked: Path, comporta: Command, redis_server: OwnRedis, command: str
) -> None:
    """Where nothing runs without it, that is a fault, with what to do."""
    redis_server.kill()
    refusing = comporta(command)
    settings = locked / "comporta.toml"
    settings.write_text('legacy_lock_without_redis = "database"\n' + settings.read_text("utf-8"), encoding="utf-8")
    content = comporta(command)

    assert (refusing.code, content.code) == (ExitCode.FAILED, ExitCode.DONE)
    assert "legacy_lock_without_redis" in refusing.out
    assert str(redis_server.port) in content.out


def test_doctor_says_that_the_package_is_missing(
    locked: Path, comporta: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that installs it; everything else that doctor finds is there too."""
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    said = comporta("doctor", "--json")

    assert said.code == ExitCode.FAILED
    assert "pip install 'comporta[redis]'" in said.json["problems"][0]
    assert "database_mb" in said.json["doctor"]


def test_sync_is_skipped_and_says_who_holds_the_key(locked: Path, comporta: Command) -> None:
    """The exit code is that of a stream somebody else works on."""
    shown, said = (comporta("sync", "loja/sale.order", *form) for form in ((), ("--json",)))

    (run,) = said.json["runs"]
    assert said.code == ExitCode.BUSY
    assert (run["state"], run["error"]["code"]) == ("skipped", "CMP-BUSY-002")
    assert "cron:17" in run["error"]["message"]
    assert "cron:17" in shown.out + shown.err
    assert "already running - skipped: the key" in comporta("log", run["id"]).out


def test_without_redis_sync_fails(locked: Path, comporta: Command, redis_server: OwnRedis) -> None:
    """A script that calls it, or a person, must know: nothing was synced."""
    redis_server.kill()
    said = comporta("sync", "loja/sale.order", "--json")

    (run,) = said.json["runs"]
    assert said.code == ExitCode.FAILED
    assert (run["state"], run["error"]["code"]) == ("skipped", "CMP-NET-008")
    assert "skipped: Redis at redis://127.0.0.1" in comporta("log", run["id"]).out


@pytest.mark.full
def test_that_the_database_is_enough_stands_in_the_log(locked: Path, comporta: Command, redis_server: OwnRedis) -> None:
    """The run's own, and the program's."""
    redis_server.kill()
    settings = locked / "comporta.toml"
    settings.write_text('legacy_lock_without_redis = "database"\n' + settings.read_text("utf-8"), encoding="utf-8")
    said = comporta("sync", "loja/sale.order", "--json", "--verbose")

    told = comporta("log", said.json["runs"][0]["id"]).out
    assert said.code == ExitCode.DONE
    assert '"event": "legacy_lock_unreachable"' in said.err
    assert told.count("Redis does not answer; goes on with the lease in the database alone") == 1
