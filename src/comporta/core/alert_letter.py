"""What is told in one look, as a letter: one subject and one text, however many alerts opened and closed.

A network that fails opens an alert for every account; a person gets one e-mail.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from comporta.core.alert import LEVELS, Alert, Kind
from comporta.core.alert_words import label, said, span_text
from comporta.core.language import Language

SUBJECT_LETTERS = 150
ALERTS_MAX = 50
"""Alerts that are written out in one letter; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message for people. ``alerts`` are what it is about, for who reads JSON."""

    subject: str
    body: str
    alerts: Sequence[Alert]


def letter_of(alerts: Sequence[Alert], language: Language, zone: tzinfo) -> Letter:
    """Return the letter about these alerts, open ones first."""
    ordered = sorted(alerts, key=lambda each: (not each.is_open, each.level.value, each.key))
    opened = [each for each in ordered if each.is_open]
    if len(ordered) == 1:
        subject = f"[Comporta] {_word(ordered[0], language)}: {ordered[0].message}"
    else:
        counts = {"opened": len(opened), "closed": len(ordered) - len(opened)}
        subject = f"[Comporta] {label('several', language).format_map(counts)}"
    parts = [_paragraph(each, language, zone) for each in ordered[:ALERTS_MAX]]
    if len(ordered) > ALERTS_MAX:
        parts.append(f"+{len(ordered) - ALERTS_MAX}: comporta alerts")
    if opened:
        parts.append(label("silence", language))
    return Letter(" ".join(subject.split())[:SUBJECT_LETTERS], "\n\n".join(parts) + "\n", ordered)


def trial(language: Language, now: datetime) -> Alert:
    """Return the alert that tries a channel."""
    message, step = said("test", language, {})
    return Alert("test", Kind.TEST, LEVELS[Kind.TEST], message, step, opened_at=now, updated_at=now)


def _word(each: Alert, language: Language) -> str:
    return label(each.level.value if each.is_open else "closed", language)


def _paragraph(each: Alert, language: Language, zone: tzinfo) -> str:
    opened = each.opened_at.astimezone(zone).strftime("%Y-%m-%d %H:%M")
    if each.closed_at is not None:
        lasted = span_text((each.closed_at - each.opened_at).total_seconds())
        return f"{_word(each, language)}: {each.message}\n  ({label('lasted', language)} {lasted})"
    return (
        f"{_word(each, language)}: {each.message}\n"
        f"  {label('todo', language)}: {each.next_step}\n"
        f"  ({label('since', language)} {opened}; {each.key})"
    )
