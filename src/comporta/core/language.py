"""The languages in which people are told things, by the names that browsers and systems have for them."""

from enum import StrEnum


class Language(StrEnum):
    """A language; what is stored is English, whoever reads it."""

    EN = "en"
    PT = "pt-BR"
