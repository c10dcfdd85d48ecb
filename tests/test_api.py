"""``comporta.sync``, the call for scripts and notebooks."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from inspect import signature
from pathlib import Path

import pytest

import comporta
from comporta.core.run import RunState
from comporta.errors import WrongUse
from comporta.sandbox.odoo import OdooSandbox

pytestmark = pytest.mark.timeout(60)
TOML = """
state_dir = "state"
margin = "0s"

[accounts.loja]
source = "odoo"
url = "{url}"
database = "demo"
login = "demo"
api_key = "file:key"
limit = "50/1s"
"""
START = datetime(2026, 3, 1, tzinfo=UTC)
PAGE = Path(__file__).parent.parent / "docs/reference/python.md"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Serve a small company while settings for it are in use."""
    (tmp_path / "key").write_text("demo\n", encoding="utf-8")
    return tmp_path / "comporta.toml"


def test_it_works_with_and_without_a_running_loop(config: Path) -> None:
    """A notebook's cells run inside one."""

    async def cell() -> list[str]:
        return [run.state for run in comporta.sync("loja/res.partner", config=config)]

    with OdooSandbox(records=5) as odoo:
        config.write_text(TOML.format(url=odoo.url), encoding="utf-8")
        states = [[run.state for run in comporta.sync("loja/res.partner", config=config)], asyncio.run(cell())]

    assert states == [[RunState.SUCCEEDED]] * 2


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"until": START}, "until was given without since"),
        ({"since": datetime(2026, 3, 1)}, "without a time zone"),  # noqa: DTZ001  what is refused
        ({"since": timedelta(0)}, "is not before now"),
    ],
)
def test_what_does_not_go_together_is_refused(asked: dict[str, object], said: str) -> None:
    """In the same words as on the command line, before anything is opened."""
    with pytest.raises(WrongUse, match=said):
        comporta.sync(**asked)  # type: ignore[arg-type]  # one case at a time


def test_the_page_names_every_argument() -> None:
    """``names`` are what is given without a name."""
    named = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.+?) \|", PAGE.read_text("utf-8"), re.MULTILINE)))

    assert {"names", *named} == set(signature(comporta.sync).parameters)


def test_the_example_on_the_page_works(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it stands there, in the folder of comporta.toml."""
    [example] = re.findall(r"^```py\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(config.parent)
    with OdooSandbox(records=5) as odoo:
        config.write_text(TOML.format(url=odoo.url).replace("loja", "matriz"), encoding="utf-8")
        exec(example, {})

    assert capsys.readouterr().out.startswith("matriz sale.order succeeded ")
