"""What README promises in commands is what CI runs, in both languages; no page leads to nowhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def blocks(page: str, language: str) -> list[str]:
    """Return the code blocks of one language, without their comments."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [re.sub(r"\s+#.*", "", block).strip() for block in found]


def test_ci_runs_the_test_command_of_the_readme() -> None:
    """The second command of README is, letter by letter, a line of .ci/run."""
    _, test_command, *_ = blocks("README.md", "bash")

    assert test_command in (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("language", ["bash", "toml", "sql"])
def test_both_languages_give_the_same_commands(language: str) -> None:
    """Only words are translated; comments may be."""
    assert blocks("README.pt-BR.md", language) == blocks("README.md", language)


PAGES = sorted(path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("page", PAGES)
def test_links_between_documents_lead_somewhere(page: str) -> None:
    """A link to a file of the checkout names one that is there."""
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / page).read_text(encoding="utf-8"))

    assert [target for target in targets if not (ROOT / page).parent.joinpath(target).exists()] == []


def test_the_table_of_pages_leads_to_each() -> None:
    """Who does not know what a page is called finds it there; decisions are listed by their folder."""
    index = ROOT / "docs/README.md"
    named = re.findall(r"\]\(([^)#:]+)", index.read_text(encoding="utf-8"))
    pages = {page for page in ROOT.glob("docs/**/*.md") if page.parent.name != "decisions"}

    assert pages - {index.parent.joinpath(target).resolve() for target in named} == {index}


def test_pages_that_the_code_sends_people_to_are_there() -> None:
    """A message or a comment that names a page names one of the checkout, by its path."""
    files = [
        path
        for folder in ("src", "tests", "bench")
        for end in ("py", "sql")
        for path in ROOT.glob(f"{folder}/**/*.{end}")
    ]
    here = Path(__file__)
    texts = [path.read_text(encoding="utf-8") for path in files if path != here]
    named = {page for text in texts for page in re.findall(r"(?<![\w/.])[a-zA-Z_/0-9-]+(?:\.pt-BR)?\.md\b", text)}
    named -= {"FILE.md", "report.md", "nowhere/report.md"}  # what `comporta compare` writes

    assert sorted(page for page in named if not (ROOT / page).exists()) == []
