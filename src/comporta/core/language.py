"""The languages in which people are told things, by the names that browsers and systems have for them.

What is stored is always English: a language is chosen when something is shown, not when it happens.
"""

from enum import StrEnum


class Language(StrEnum):
    """A language that there are words in."""

    EN = "en"
    PT = "pt-BR"
