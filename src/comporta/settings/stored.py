"""The accounts that the database keeps, under what file and environment say of them, key by key.

An account that is connected is whole in the database; a pause or a limit in comporta.toml, or in a variable, is one
key of it that is said anew. Whether an account is whole can therefore be told only here, with both at hand.
"""

from collections.abc import Mapping
from dataclasses import replace

from comporta.settings.keys import Given, read_values
from comporta.settings.reading import account_of, expect_redis, flat, folded
from comporta.settings.tree import AccountSettings, Settings


def with_stored(settings: Settings, kept: Mapping[str, Mapping[str, object]], *, origin: str) -> Settings:
    """Return the settings with all accounts, or raise for one of which neither side says enough."""
    told = {_said_name(name, settings) for name in kept}
    own: dict[str, Mapping[str, object]] = {name: {} for name in settings.said if name not in told}
    accounts = {
        name: read_account(name, table, settings=settings, origin=origin) for name, table in {**kept, **own}.items()
    }
    return expect_redis(replace(settings, accounts=accounts))


def read_account(name: str, table: Mapping[str, object], *, settings: Settings, origin: str) -> AccountSettings:
    """Return one account that was typed in or is kept in the database; each key that the settings give it wins.

    An account that the settings give another source has nothing of the table: it is another of the same name.
    """
    said = settings.said.get(_said_name(name, settings), {})
    source = said.get(("source",))
    kept = table if source is None or source.value == table.get("source") else {}
    given = {key: Given(value, origin, settings.folder) for key, value in flat(kept)} | dict(said)
    whole = {("accounts", name, *key): each for key, each in given.items()}
    return account_of(name, read_values(whole, settings.zone))


def _said_name(name: str, settings: Settings) -> str:
    """Return under which name the settings speak of an account that is kept: a variable has no case and no hyphen."""
    near = folded(name)
    is_variables = all(each.is_text for each in settings.said.get(near, {}).values())
    return near if name not in settings.said and is_variables else name
