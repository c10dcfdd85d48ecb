"""A folder with settings for a simulated company, whose database the tests move about."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.moving.stage import file_of, settings_of

import comporta
from comporta.cli.main import run as run_command
from comporta.core.run import Run, RunState
from comporta.moving.move import Moved
from comporta.moving.opening import migrate_database, take_back
from comporta.ports.system_clock import SystemClock

TOML = """
database = "{database}"
state_dir = "state"
margin = "0s"
lease = "2s"
reconcile = "365d"

[sqlite]
busy_timeout = "1s"

[accounts.loja]
source = "odoo"
url = "{url}"
database = "demo"
login = "demo"
api_key = "file:key"
"""


@dataclass
class Shop:
    """One folder: settings, key and the database that they name."""

    folder: Path
    url: str
    database: str = ""

    @property
    def config(self) -> Path:
        """Return the settings file."""
        return self.folder / "comporta.toml"

    def use(self, database: str) -> "Shop":
        """Write the settings with this database."""
        self.database = database
        (self.folder / "key").write_text("demo\n", encoding="utf-8")
        self.config.write_text(TOML.format(database=database, url=self.url), encoding="utf-8")
        return self

    def copy_of(self, other: "Shop") -> "Shop":
        """Take over the SQLite database of another shop."""
        shutil.copy(file_of(other.database), self.folder / "shop.db")
        return self.use(f"sqlite:///{(self.folder / 'shop.db').as_posix()}")

    def sync(self, *names: str, full: bool = False) -> dict[str, Run]:
        """Sync, every run ending well; return the runs by stream."""
        runs = comporta.sync(*names, config=self.config, full=full)
        assert {run.state for run in runs} == {RunState.SUCCEEDED}, [run.error for run in runs]
        return {run.stream: run for run in runs}

    def move(self, target: str, told: list[str] | None = None) -> Moved:
        """Move the database, and use the new one."""
        moved = move(self.database, target, told)
        self.use(target)
        return moved

    def command(self, *arguments: str) -> int:
        """Run a command in this process and return its exit code."""
        return run_command([*arguments, "--config", str(self.config)])


def move(source: str, target: str, told: list[str] | None = None) -> Moved:
    """Move a database."""
    tell = (told if told is not None else []).append
    return migrate_database(settings_of(source), settings_of(target), clock=SystemClock(), tell=tell)


def abandon(source: str, target: str) -> str | None:
    """Take a move back."""
    return take_back(settings_of(source), settings_of(target), clock=SystemClock())


class Interrupting(list[str]):
    """What a move tells; at a word of it something else is done first, once."""

    def __init__(self, word: str, act: Callable[[], object]) -> None:
        super().__init__()
        self.word, self.act = word, act

    def append(self, line: str) -> None:
        super().append(line)
        if self.word in line and self.act is not None:
            act, self.act = self.act, lambda: None
            act()
