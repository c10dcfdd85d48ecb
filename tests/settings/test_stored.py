"""What file and environment say of an account that the database keeps: each key for itself, none of it twice."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from comporta.errors import BadValue, UnknownKey
from comporta.settings.reading import masked, read_settings
from comporta.settings.stored import with_stored
from comporta.settings.tree import AccountSettings, Settings
from comporta.settings.values import SecretReference

CRM = {"source": "activecampaign", "url": "https://acme.api-us1.com", "timezone": "America/Sao_Paulo"}


def read(folder: Path, text: str, environ: Mapping[str, str] = {}, **kept: Mapping[str, object]) -> Settings:
    """Return the settings of a file with this text, with these accounts in the database."""
    file = folder / "comporta.toml"
    file.write_text(text, encoding="utf-8")
    return with_stored(read_settings(file, environ=environ), kept, origin="the database")


def crm(folder: Path, text: str, environ: Mapping[str, str] = {}) -> AccountSettings:
    """Return the account that was connected, under what is said of it."""
    return read(folder, text, environ, crm=CRM).accounts["crm"]


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ('[accounts.crm]\nlimit = "3/1s"', {}),
        ("", {"COMPORTA_ACCOUNTS__CRM__LIMIT": "3/1s"}),
        ('[accounts.crm]\nlimit = "5/1s"', {"COMPORTA_ACCOUNTS__CRM__LIMIT": "3/1s"}),
        ('[accounts.crm]\nsource = "activecampaign"\nlimit = "3/1s"', {}),
    ],
)
def test_one_key_is_said_anew_and_the_others_stay(text: str, environ: Mapping[str, str], tmp_path: Path) -> None:
    """By the file, by a variable, by both; the source may be said or not."""
    account = crm(tmp_path, text, environ)

    assert account.limit == (3, timedelta(seconds=1))
    assert (account.source, account.url) == ("activecampaign", "https://acme.api-us1.com")
    assert account.options["timezone"] == "America/Sao_Paulo"
    assert account.secrets["api_key"] == SecretReference("stored", "crm/api_key")


def test_a_stream_of_a_connected_account_is_paused_by_the_file(tmp_path: Path) -> None:
    """As the page about ActiveCampaign has it."""
    account = crm(
        tmp_path, '[accounts.crm.streams.contacts]\npaused = true\n[accounts.crm.streams.deals]\nevery = "1h"'
    )

    assert [account.stream(name).paused for name in ("contacts", "deals", "users")] == [True, False, False]
    assert account.stream("deals").every == timedelta(hours=1)
    assert account.stream("deals").overlap == timedelta(days=1)


def test_an_account_of_another_source_has_nothing_of_the_one_that_is_kept(tmp_path: Path) -> None:
    """The name alone is the same: an address of ActiveCampaign is none of Mercado Livre's."""
    account = crm(tmp_path, '[accounts.crm]\nsource = "mercadolivre"')

    assert (account.source, account.url) == ("mercadolivre", "https://api.mercadolibre.com")
    with pytest.raises(BadValue, match=r"accounts\.crm\.url is missing"):
        crm(tmp_path, '[accounts.crm]\nsource = "odoo"')


def test_a_key_is_read_as_the_source_that_is_kept_has_it(tmp_path: Path) -> None:
    """A page of 100 is allowed there and nowhere else; a key of another source is none."""
    assert crm(tmp_path, "[accounts.crm]\npage_size = 100").options["page_size"] == 100
    with pytest.raises(UnknownKey, match=r"accounts\.crm\.login"):
        crm(tmp_path, '[accounts.crm]\nlogin = "me"')
    with pytest.raises(UnknownKey, match=r"comporta\.toml: there is no key accounts\.crm\.pausd; did you mean"):
        crm(tmp_path, "[accounts.crm]\npausd = true")


def test_a_variable_finds_the_account_whose_name_it_cannot_spell(tmp_path: Path) -> None:
    """It has neither small letters nor hyphens; a file has both, and means what it writes."""
    names = {"Loja-1": {"source": "mercadolivre"}}
    said = read(tmp_path, "", {"COMPORTA_ACCOUNTS__LOJA_1__PAUSED": "true"}, **names).accounts
    other = read(tmp_path, '[accounts.loja_1]\nsource = "mercadolivre"\npaused = true', **names).accounts

    assert {name: account.paused for name, account in said.items()} == {"Loja-1": True}
    assert {name: account.paused for name, account in other.items()} == {"Loja-1": False, "loja_1": True}


def test_a_key_of_no_account_at_all_says_both_ways_out(tmp_path: Path) -> None:
    """A slip in the name, or an account that was not connected yet."""
    with pytest.raises(BadValue, match=r"accounts\.crn\.source is missing; expected one of odoo") as caught:
        read(tmp_path, "[accounts.crn]\npaused = true", crm=CRM)

    assert "`comporta connect SOURCE crn`" in caught.value.next_step


def test_an_older_programs_key_of_a_connected_account_needs_a_redis_too(tmp_path: Path) -> None:
    """Else nobody would be kept out, and nobody told."""
    with pytest.raises(BadValue, match="legacy_lock, but redis is not set"):
        crm(tmp_path, '[accounts.crm]\nlegacy_lock = "k"')


def test_what_is_shown_is_what_holds(tmp_path: Path) -> None:
    """One account, with both sides' keys; how it came together is nobody's setting."""
    shown = masked(read(tmp_path, '[accounts.crm]\nlimit = "3/1s"', crm=CRM))

    assert "said" not in shown
    assert shown["accounts"]["crm"]["limit"] == "3/1s"  # type: ignore[index]  # shown as JSON
    assert shown["accounts"]["crm"]["url"] == "https://acme.api-us1.com"  # type: ignore[index]  # shown as JSON
