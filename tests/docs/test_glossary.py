"""The Portuguese that people read uses the words of the glossary: one thing has one name there too."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from comporta.cli.words import STATES_PT
from comporta.core.alert_steps import SOURCE_STEPS_PT, STEPS_PT
from comporta.core.alert_words import LABELS, PHRASES
from comporta.core.language import Language
from comporta.observability import gap_words, words

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.pt-BR.md", *sorted((ROOT / "docs/howto/pt-BR").glob("*.md"))]
NOT_SAID = {
    r"\borige(m|ns)\b": "fonte (origem is where a stream begins)",
    r"\bburacos?\b": "lacuna",
    r"\bjanelas?\b": "intervalo",
    r"\bstreams?\b": "fluxo",
    r"\bviews?\b": "visão",
    r"\bbackups?\b": "cópia de segurança",
    r"\bbloqueios?\b": "concessão",
    r"\balertas?\b": "aviso",
    r"\b(o|do|no|ao|pelo) comporta\b(?!\.)": "a Comporta",
}
"""What stands in the place of a word of the glossary, and that word."""


def told() -> Iterator[tuple[str, str]]:
    """Return every Portuguese text of the product, and where it stands."""
    pt = Language.PT
    yield from STEPS_PT.items()
    yield from SOURCE_STEPS_PT.items()
    for name, phrase in PHRASES.items():
        yield from ((name, text) for text in phrase[pt])
    yield from ((name, label[pt]) for name, label in LABELS.items())
    for name, each in words.WORDS.items():
        yield from ((name, text) for text in each[pt])
    yield from words.TERMS_PT.items()
    for table in (gap_words.WHY, gap_words.NEXT):
        yield from ((str(name), each[pt]) for name, each in table.items())


def pages() -> Iterator[tuple[str, str]]:
    """Return every line of the Portuguese pages without its code and the addresses of its links."""
    for page in PAGES:
        prose = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        for line in prose.splitlines():
            yield page.name, re.sub(r"\]\([^)]*\)", "]", line)


@pytest.mark.parametrize("wrong", NOT_SAID)
def test_one_thing_has_one_name_in_portuguese(wrong: str) -> None:
    """Texts of the product and pages alike; in backticks stands a command or a key, in braces a field."""
    found = [
        f"{where}: {text}"
        for where, text in (*told(), *pages())
        if re.search(wrong, re.sub(r"`[^`]*`|{[^}]*}", "", text), re.IGNORECASE)
    ]

    assert found == [], f"the glossary says {NOT_SAID[wrong]}"


def test_the_states_of_a_run_have_the_names_of_the_glossary() -> None:
    """As they are shown beside a run."""
    page = (ROOT / "docs/explanation/glossary.md").read_text("utf-8")
    listed = dict(re.findall(r"^\| (\w+) \| ([^|]+) \|", page.partition("The states of a run:")[2], re.MULTILINE))

    assert {state.value: name for state, name in STATES_PT.items()} == {
        name: word.strip() for name, word in listed.items() if name != "state"
    }


def test_the_portuguese_page_says_what_to_do_as_the_alerts_say_it() -> None:
    """Its last column is what arrives, so that whoever searches for it finds the row."""
    page = (ROOT / "docs/howto/pt-BR/troubleshooting.md").read_text("utf-8").partition("## O que avisamos")[2]
    rows = re.findall(r"^\| [^|]+ \| `([^`]+)` \| [^|]+ \| ([^|]+) \|$", page, re.MULTILINE)
    known = [*STEPS_PT.values(), *(phrase[Language.PT][1] for phrase in PHRASES.values())]
    patterns = [re.sub(r"\\{\w+\\}|NOME", ".+", re.escape(step)) for step in known]

    assert len(rows) >= 12
    assert [step for _, step in rows if not any(re.fullmatch(pattern, step.strip()) for pattern in patterns)] == []


def test_one_word_means_one_thing() -> None:
    """In both languages: what may be two things tells a reader neither."""
    text = (ROOT / "docs/explanation/glossary.md").read_text("utf-8")
    rows = [row.strip("|").split("|") for row in re.findall(r"^\|.+\|.+\|.+\|.+\|$", text, re.MULTILINE)][2:]
    words = [[word.strip() for word in (row[column] for row in rows)] for column in (0, 1)]

    assert len(rows) > 30
    assert [[word for word in each if each.count(word) > 1] for each in words] == [[], []]
