"""What is told of several alerts at once, and of one that only tries a channel."""

from datetime import UTC
from zoneinfo import ZoneInfo

from tests.core.hours import hour as at

from comporta.core.alert import LEVELS, Alert, Kind, Level
from comporta.core.alert_letter import ALERTS_MAX, letter_of, trial
from comporta.core.language import Language


def alert(number: int, *, is_open: bool = True) -> Alert:
    """Return an alert about one of many streams."""
    kind = Kind.STALE
    ended = None if is_open else at(10)
    return Alert(
        f"stale/a{number:03}", kind, LEVELS[kind], f"a{number:03} is late", "Look.", opened_at=at(9), updated_at=at(9),
        closed_at=ended,
    )  # fmt: skip


def test_a_letter_of_very_many_names_as_many_as_one_reads_and_says_how_many_more() -> None:
    """The list has the rest."""
    letter = letter_of([alert(number) for number in range(ALERTS_MAX + 7)], Language.EN, ZoneInfo("UTC"))

    assert letter.body.count("is late") == ALERTS_MAX
    assert "+7: comporta alerts" in letter.body
    assert len(letter.alerts) == ALERTS_MAX + 7


def test_what_is_open_comes_before_what_is_over_and_both_are_counted() -> None:
    """Whoever reads the first line alone knows whether to read on."""
    letter = letter_of([alert(1, is_open=False), alert(2)], Language.EN, ZoneInfo("UTC"))

    assert letter.body.index("a002") < letter.body.index("a001")
    assert "1" in letter.subject


def test_a_trial_is_an_alert_of_its_own_kind_in_the_language_that_is_set() -> None:
    """It opens nothing."""
    tried = [trial(language, at(9)) for language in Language]

    assert {each.kind for each in tried} == {Kind.TEST}
    assert len({each.message for each in tried}) == len(Language)


def test_an_alert_is_one_object_for_command_webhook_and_page() -> None:
    """Its id tells this opening from the next of the same key."""
    told = alert(1).as_json()

    assert told["id"] == f"stale/a001@{at(9).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    assert (told["key"], told["level"]) == ("stale/a001", Level(LEVELS[Kind.STALE]).value)
