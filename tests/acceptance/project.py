"""A folder with a comporta.toml, and the command run in it as a person, cron or systemd would run it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.acceptance.databases import PATIENCE_S, Database, Json

import comporta
from comporta.bootstrap.workspaces import open_workspace
from comporta.core.run import Run, RunState
from comporta.settings.reading import read_settings

T = TypeVar("T")
LOOK_S = 0.01
COMMAND = (sys.executable, "-m", "comporta")


@dataclass(frozen=True)
class Told:
    """What one command said, and how it ended."""

    code: int
    document: Json
    errors: str

    def runs(self, stream: str | None = None) -> list[dict[str, Json]]:
        """Return the runs it printed, of one stream or of all."""
        return [run for run in self.document["runs"] if stream in {None, run["stream"]}]

    def run(self, stream: str) -> dict[str, Json]:
        """Return the only run of a stream."""
        (run,) = self.runs(stream)
        return run


class Project:
    """One folder: settings, key, and the database that they name."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder
        self.config = folder / "comporta.toml"
        self.database = database
        (folder / "key").write_text("demo", encoding="utf-8")

    def configure(self, accounts: Mapping[str, str | dict[str, Json]], **settings: Json) -> None:
        """Write comporta.toml; an account is its url, or a table: of what else it sets, of all if it names a source."""
        whole = {"database": self.database.setting, **settings}
        lines = [f"{name} = {_toml(value)}" for name, value in whole.items()]
        for name, told in accounts.items():
            usual = {"source": "odoo", "database": "demo", "login": "demo", "api_key": "file:key"}
            set_here = {"url": told} if isinstance(told, str) else told
            table = set_here if "source" in set_here else usual | set_here
            lines += [f"[accounts.{name}]", *(f'"{key}" = {_toml(value)}' for key, value in table.items())]
        self.config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def bring(self, *names: str, **options: Json) -> list[Run]:
        """Sync through the Python entry point, in this process: how a scene is set."""
        return comporta.sync(*names, config=self.config, **options)

    def reconcile(self, stream: str, *, exact: bool = False) -> dict[str, Json]:
        """Compare a stream of matriz with its source and repair it, in this process; return what was found."""

        async def work() -> dict[str, Json]:
            async with open_workspace(read_settings(self.config)) as workspace:
                (run,) = await workspace.reconcile(f"matriz/{stream}", repair=True, exact=exact)
                assert run.state is RunState.SUCCEEDED, run.error
                return dict((await workspace.store.facts(f"matriz/{stream}")).reconcile_result or {})

        found = asyncio.run(work())
        return {name: found[name] for name in ("missing", "different", "extra")}

    def command(self, *arguments: str) -> Told:
        """Run a command with --json to its end."""
        with self.started(*arguments) as process:
            return told(process)

    @contextmanager
    def started(self, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
        """Start a command with --json; whatever is left of it at the end is killed."""
        line = [*COMMAND, *arguments, "--json"]
        with running(line, self.folder) as process:
            yield process

    def ask(self, query: str, *values: Json) -> list[tuple[Json, ...]]:
        """Return what a query finds in the database, from outside."""
        return self.database.ask(query, *values)

    def value(self, query: str, *values: Json) -> Json:
        """Return the one value that a query finds; ``None`` for no row."""
        found = self.ask(query, *values)
        return found[0][0] if found else None


@contextmanager
def running(line: list[str], folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """Start a process; whatever is left of it at the end is killed."""
    with subprocess.Popen(
        line,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
                with_cont(process)


def with_cont(process: "subprocess.Popen[str]") -> None:
    """Wake a stopped process, so that what was sent to it can happen."""
    if hasattr(signal, "SIGCONT"):
        os.kill(process.pid, signal.SIGCONT)


def told(process: "subprocess.Popen[str]", patience_s: float = PATIENCE_S) -> Told:
    """Wait for a command's end and return what it said."""
    said, errors = process.communicate(timeout=patience_s)
    try:
        return Told(process.returncode, json.loads(said), errors)
    except ValueError:
        raise AssertionError(f"exit {process.returncode}, no JSON but {said!r}\n{errors}") from None


def until(look: Callable[[], T], what: str, *, patience_s: float = PATIENCE_S) -> T:
    """Look again and again until the answer is true, and return it; fail at the deadline."""
    deadline = time.monotonic() + patience_s
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience_s:g} s in vain: {what}")
        time.sleep(LOOK_S)
    return seen


def _toml(value: Json) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{key}" = {_toml(one)}' for key, one in value.items()) + " }"
    return json.dumps(value)
