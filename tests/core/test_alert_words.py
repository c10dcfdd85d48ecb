"""The catalogue of what people are told: whole in both languages, and every error's next step in Portuguese."""

import re
import shlex
from typing import Any

import pytest
from tests.test_errors import RAISED

from comporta import errors
from comporta.cli.app import commands
from comporta.core.alert import LEVELS, Kind
from comporta.core.alert_steps import SOURCE_STEPS_PT, STEPS_PT
from comporta.core.alert_words import LABELS, PHRASES, step_of
from comporta.core.language import Language
from comporta.sources.activecampaign_errors import ignored, refuse
from comporta.sources.answers import Answer
from comporta.testing.clock import BEGUN

UNTOLD = {
    "CMP-ROW-001": "a record, not a run",
    "CMP-RUN-002": "a person did it",
    "CMP-RUN-005": "a handover",
    "CMP-BUSY-001": "nothing is wrong",
    "CMP-BUSY-002": "nothing is wrong",
    "CMP-SET-005": "of a command only",
    "CMP-SET-007": "of a command only",
}
"""Errors that no alert is about, and why."""


def test_every_kind_has_words_and_a_level() -> None:
    """A kind without words could not be told."""
    assert {kind.value for kind in Kind} <= set(PHRASES)
    assert set(LEVELS) == set(Kind)


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_phrase_says_the_same_in_both_languages(phrase: str) -> None:
    """The same fields in message and next step, no word left in the other language."""
    portuguese, english = (PHRASES[phrase][language] for language in (Language.PT, Language.EN))
    fields = [sorted(set(re.findall(r"{(\w+)}", " ".join(each)))) for each in (portuguese, english)]

    assert fields[0] == fields[1]
    assert all(text[-1] in ".)" for _, text in (portuguese, english))
    assert not re.search(r"[ãçéíóú]", " ".join(english))


def test_the_words_around_them_are_there_in_both_languages() -> None:
    """Subject, next step, since when."""
    assert all(set(each) == set(Language) for each in (*LABELS.values(), *PHRASES.values()))


def test_every_error_that_can_be_told_has_its_next_step_in_portuguese() -> None:
    """And no code is translated that does not exist."""
    tellable = (errors.Retryable, errors.StopRun, errors.StandDown, errors.SettingsError)
    told = {each.code for each in RAISED if issubclass(each, tellable)}
    known = {code for code in told | {"CMP-BUG-001"} if not code.startswith("CMP-WEB")}

    assert known - set(STEPS_PT) - set(UNTOLD) == set()
    assert set(STEPS_PT) - known == set()


@pytest.mark.parametrize(
    ("status", "word"), [(403, "ActiveCampaign"), (401, "api_key"), (402, "assinatura"), (400, "comporta check")]
)
def test_what_activecampaign_refuses_is_not_mended_at_odoo(status: int, word: str) -> None:
    """What a source says of its own is told in Portuguese too: one code stands for many reasons."""
    with pytest.raises(errors.SourceRefused) as refused:
        refuse(Answer(status, {}, b"{}"), subject="deals", now=BEGUN)
    step = step_of(refused.value.code, refused.value.next_step, Language.PT)

    assert word in step
    assert "Odoo" not in step
    assert step != refused.value.next_step


def test_a_filter_that_activecampaign_ignores_is_reported() -> None:
    """Nobody's module stands before that service."""
    error = ignored("other records came", scope="crm/deals")

    assert "--full" in step_of(error.code, error.next_step, Language.PT)


@pytest.mark.parametrize(
    "step", sorted({*STEPS_PT.values(), *SOURCE_STEPS_PT.values(), *(each.next_step for each in RAISED)})
)
def test_a_command_that_a_next_step_names_can_be_given_as_it_is_named(step: str) -> None:
    """With all that it cannot do without: who copies it is not sent to --help."""
    for named in re.findall(r"`comporta ([^`]+)`", step):
        command: Any = commands()
        words = shlex.split(named)
        while words and words[0] in getattr(command, "commands", {}):
            command, words = command.commands[words[0]], words[1:]
        if not hasattr(command, "commands"):
            command.make_context(named, words)
