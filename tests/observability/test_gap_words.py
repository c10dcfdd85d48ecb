"""The words for why something is not covered: in both languages, for each reason, on its page."""

import re
from pathlib import Path

import pytest

from comporta.core.gaps import Why
from comporta.core.language import Language
from comporta.core.run import TERMINAL, RunState
from comporta.observability.gap_words import NEXT, STATES, WHY
from comporta.observability.words import placeholders

PAGE = Path(__file__).parent.parent.parent / "docs/reference/commands.md"


@pytest.mark.parametrize("words", [*WHY.values(), *NEXT.values()])
def test_each_reason_is_told_in_both_languages_with_the_same_fields(words: dict[Language, str]) -> None:
    """Nobody hears less in one of them."""
    assert placeholders(words[Language.EN]) == placeholders(words[Language.PT])


def test_no_reason_is_without_words() -> None:
    """Nor an end that a run may have come to."""
    assert set(WHY) == set(Why)
    assert TERMINAL - {RunState.SUCCEEDED, RunState.SKIPPED} <= set(STATES)


def test_the_page_lists_every_code_and_no_other() -> None:
    """Scripts go by them."""
    table = PAGE.read_text(encoding="utf-8").partition("## `comporta coverage`")[2].partition("\n## ")[0]

    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == ["why_code", *(why.value for why in Why)]
