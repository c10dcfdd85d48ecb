"""The commands in the pages for people who run Comporta: those in ```bash are executed, those in ```sh exist.

One folder for each page, with a simulated account that is called as in the pages; a page is read from top to bottom.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from comporta.cli import app
from comporta.cli.main import run
from comporta.ledger.sqlite_schema import migrate
from comporta.sandbox.odoo import OdooSandbox

HOWTO = Path(__file__).parent.parent.parent / "docs/howto"
PAGES = ("deploy", "upgrade", "troubleshooting", "from-your-scripts")
TRANSLATED = (*PAGES, "connect-mercadolivre", "connect-odoo")
"""The last ones are about a person at a browser or another's server, and are not executed."""
LANGUAGES = ("", "pt-BR/")
TOML = """
database = "sqlite:///comporta.db"
state_dir = "state"
margin = "0s"
port = 0

[accounts.matriz]
source = "odoo"
url = "{url}"
database = "demo"
login = "demo"
api_key = "file:key"
"""


def blocks(page: str, language: str) -> list[str]:
    """Return the code blocks of one language."""
    text = (HOWTO / f"{page}.md").read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def lines(page: str, language: str) -> list[str]:
    """Return the lines of those blocks, without comments."""
    found = [re.sub(r"\s+#.*", "", line).strip() for block in blocks(page, language) for line in block.splitlines()]
    return [line for line in found if line]


def named(page: str) -> list[list[str]]:
    """Return each call of ours on a page, as its words: in blocks by line, elsewhere between backticks."""
    in_blocks = [*lines(page, "bash"), *lines(page, "sh")]
    found = [re.search(r"(?:^|/bin/|exec comporta )comporta ([^|>&;]*)", line) for line in in_blocks]
    calls = [each[1] for each in found if each]
    calls += re.findall(r"`comporta ([^`]+)`", (HOWTO / f"{page}.md").read_text("utf-8"))
    return [shlex.split(call) for call in calls]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stand in a folder with settings for a small company."""
    with OdooSandbox(records=20) as odoo:
        (tmp_path / "comporta.toml").write_text(TOML.format(url=odoo.url), encoding="utf-8")
        (tmp_path / "key").write_text("demo\n", encoding="utf-8")
        migrate(tmp_path / "comporta.db")
        monkeypatch.chdir(tmp_path)
        run(["sync", "--json"])
        yield tmp_path


@pytest.mark.full
@pytest.mark.timeout(120)
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_do_what_it_says(page: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every line of a ```bash block is ours, and ends with 0."""
    told = lines(page, "bash")
    assert told
    for line in told:
        program, *arguments = shlex.split(line)
        capsys.readouterr()
        code = run(arguments)
        said = capsys.readouterr()

        assert (program, line, code) == ("comporta", line, 0), said.err + said.out


@pytest.mark.parametrize("page", TRANSLATED)
def test_both_languages_give_the_same_commands(page: str) -> None:
    """Only the words around them differ, so what is executed of one is executed of both."""
    for language in ("bash", "sh"):
        assert lines(f"pt-BR/{page}", language) == lines(page, language)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", TRANSLATED)
def test_every_command_that_is_named_exists(page: str, language: str) -> None:
    """With the options that it is named with; in text, in tables and where it cannot be executed."""
    commands = app.commands().commands
    calls = named(language + page)

    assert calls
    for words in calls:
        assert words[0] in commands, words
        command = commands[words[0]]
        if len(words) > 1 and words[1] in getattr(command, "commands", {}):
            command = command.commands[words[1]]  # type: ignore[attr-defined]  # a group, which has commands
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, words


def test_a_portuguese_page_is_in_portuguese() -> None:
    """With its accents, and as much of it as of the English one."""
    for page in TRANSLATED:
        there, here = ((HOWTO / f"{name}.md").read_text("utf-8") for name in (f"pt-BR/{page}", page))

        assert len(re.findall("[áàâãéêíóôõúç]", there)) > len(there) / 100
        assert 0.8 < len(there) / len(here) < 1.5
        assert there.count("\n## ") == here.count("\n## ")
