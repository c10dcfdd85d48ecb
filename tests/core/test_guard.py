"""What an answer about the key of an older program means, every case of it."""

from datetime import timedelta

import pytest

from comporta.core.guard import TOKEN_LETTERS, KeyState, Step, Without, judge_key, judge_silence


@pytest.mark.parametrize(
    ("token", "was_silent", "step"),
    [
        ("ours", False, Step.GO_ON),
        ("ours", True, Step.GO_ON),
        ("theirs", False, Step.STOP),
        ("theirs", True, Step.STOP),
        (None, False, Step.STOP),
        (None, True, Step.TAKE),
    ],
)
def test_a_key_is_judged(token: str | None, was_silent: bool, step: Step) -> None:
    """Only after a silence that was borne is a free key taken again."""
    assert judge_key(KeyState(token), "ours", was_silent=was_silent) is step


@pytest.mark.parametrize(
    ("now", "without", "step"),
    [
        (29.9, Without.REFUSE, Step.GO_ON),
        (30.0, Without.REFUSE, Step.STOP),
        (29.9, Without.DATABASE, Step.GO_ON),
        (3_000.0, Without.DATABASE, Step.GO_ON),
    ],
)
def test_silence_is_judged(now: float, without: Without, step: Step) -> None:
    """The key lives for its time after the last renewal; then the setting decides."""
    assert judge_silence(now=now, renewed=0, ttl_s=30, without=without) is step


@pytest.mark.parametrize(
    ("seen", "text"),
    [
        (KeyState(None), "free"),
        (KeyState("1"), "held by '1', which never runs out"),
        (KeyState("1", timedelta(seconds=1)), "held by '1', which runs out in 1.0 s unless it is renewed"),
    ],
)
def test_a_key_is_told_to_people(seen: KeyState, text: str) -> None:
    """Who, and until when."""
    assert seen.text == text


def test_a_long_token_is_cut() -> None:
    """Some programs keep a whole document there."""
    assert len(KeyState("x" * 10_000).text) < TOKEN_LETTERS + 50
