"""docs/reference/settings.md lists the keys that exist, with the defaults they have."""

import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from comporta.settings.keys import (
    ACCOUNT,
    ALERTS,
    CHANNELS,
    OPTION_DEFAULTS,
    OPTIONS,
    POSTGRES,
    SETTINGS,
    SQLITE,
    STREAM,
)
from comporta.settings.tree import (
    AlertSettings,
    EmailSettings,
    PostgresSettings,
    Settings,
    SqliteSettings,
    StreamSettings,
)
from comporta.settings.values import Place, read_duration

PAGE = Path(__file__).parents[2] / "docs/reference/settings.md"
TABLES = (
    "top",
    "sqlite",
    "postgres",
    "alerts",
    "email",
    "webhook",
    "apprise",
    "account",
    "odoo",
    "activecampaign",
    "mercadolivre",
    "stream",
)


@pytest.fixture(scope="module")
def page() -> dict[str, dict[str, str]]:
    """Return the page's tables of keys, each as key and default, in the page's order."""
    text = PAGE.read_text(encoding="utf-8")
    tables = re.findall(r"^\| key \| default \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    rows = [re.findall(r"^\| `(\w+)` \| (.+?) \|", table, re.MULTILINE) for table in tables]
    return dict(zip(TABLES, map(dict, rows), strict=True))


@pytest.mark.parametrize(
    ("table", "known"),
    [
        ("top", SETTINGS),
        ("sqlite", SQLITE),
        ("postgres", POSTGRES),
        ("alerts", ALERTS),
        ("email", CHANNELS["email"]),
        ("webhook", CHANNELS["webhook"]),
        ("apprise", CHANNELS["apprise"]),
        ("account", ACCOUNT),
        ("odoo", OPTIONS["odoo"]),
        ("activecampaign", OPTIONS["activecampaign"]),
        ("mercadolivre", OPTIONS["mercadolivre"]),
        ("stream", STREAM),
    ],
)
def test_the_page_lists_every_key_and_no_other(
    table: str, known: Mapping[str, object], page: dict[str, dict[str, str]]
) -> None:
    """A key that is not on the page does not exist for the person who needs it."""
    assert set(page[table]) == set(known)


@pytest.mark.parametrize(
    ("table", "tree"),
    [
        ("top", Settings()),
        ("sqlite", SqliteSettings()),
        ("postgres", PostgresSettings()),
        ("alerts", AlertSettings()),
        ("email", EmailSettings()),
        ("odoo", OPTION_DEFAULTS["odoo"]),
        ("activecampaign", OPTION_DEFAULTS["activecampaign"]),
        ("mercadolivre", OPTION_DEFAULTS["mercadolivre"]),
        ("stream", StreamSettings("s")),
    ],
)
def test_a_default_on_the_page_is_the_default(table: str, tree: object, page: dict[str, dict[str, str]]) -> None:
    """What stands there as a value is what holds when the key is left out; words explain what no value can."""
    written = {
        key: tomllib.loads(f"value = {default[1:-1]}")["value"]
        for key, default in page[table].items()
        if re.fullmatch(r"`[^`]+`", default)
    }
    actual = tree if isinstance(tree, Mapping) else {key: getattr(tree, key) for key in written}

    assert written
    assert {key: as_read(value, actual[key]) for key, value in written.items()} == {key: actual[key] for key in written}


def as_read(value: object, like: object) -> object:
    """Return a value of the page in the type that the settings hold."""
    if isinstance(like, timedelta):
        return read_duration(value, Place(Path()))
    return tuple(value) if isinstance(value, list) else value
