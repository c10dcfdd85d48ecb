"""What the tests of the command line stand on: a simulated Odoo, a folder with settings, commands in process."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from comporta.cli.main import run
from comporta.core.outcome import ExitCode
from comporta.sandbox.odoo import OdooSandbox

TOML = """
database = "sqlite:///shop.db"
state_dir = "state"
port = 0
margin = "0s"

[accounts.loja]
source = "odoo"
url = "{url}"
database = "demo"
login = "demo"
api_key = "file:key"
"""


@dataclass(frozen=True)
class Said:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401  whatever the document holds
        """Return the one JSON document on standard output."""
        return json.loads(self.out)


Command = Callable[..., Said]
STREAMS = ["sale.order", "sale.order.line", "res.partner", "product.product", "product.template"]


@pytest.fixture
def odoo() -> Iterator[OdooSandbox]:
    """Serve a small company."""
    with OdooSandbox(records=30) as sandbox:
        yield sandbox


@pytest.fixture
def folder(empty_folder: Path, migrated: Path) -> Path:
    """Make a folder with settings for the simulated company and an empty ledger, and stand in it."""
    (empty_folder / "shop.db").write_bytes(migrated.read_bytes())
    return empty_folder


@pytest.fixture
def empty_folder(tmp_path: Path, odoo: OdooSandbox, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with settings for the simulated company, without a database, and stand in it."""
    (tmp_path / "comporta.toml").write_text(TOML.format(url=odoo.url), encoding="utf-8")
    (tmp_path / "key").write_text("demo\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def comporta(capsys: pytest.CaptureFixture[str]) -> Command:
    """Return a way to run a command in this process, as the installed command does."""

    def call(*arguments: str) -> Said:
        capsys.readouterr()
        code = run(arguments)
        return Said(code, *capsys.readouterr())

    return call


@pytest.fixture
def synced(folder: Path, comporta: Command) -> Path:
    """Sync everything once."""
    assert comporta("sync", "--json").code == ExitCode.DONE
    return folder
