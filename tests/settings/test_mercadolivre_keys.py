"""The keys of a Mercado Livre account: several named secrets, and no api_key."""

from datetime import timedelta
from pathlib import Path

import pytest

from comporta.errors import BadValue
from comporta.settings.keys import SITES
from comporta.settings.reading import read_settings
from comporta.settings.tree import Settings
from comporta.settings.values import SecretReference
from comporta.sources.mercadolivre_config import AUTH_URLS, PAGE_SIZE, SITE, URL


def read(folder: Path, text: str) -> Settings:
    """Return the settings of a file with this text."""
    file = folder / "comporta.toml"
    file.write_text(text, encoding="utf-8")
    return read_settings(file, environ={})


def test_a_mercado_livre_account_needs_no_address_and_no_key(tmp_path: Path) -> None:
    """Client and secret are in the database unless they are named; a first refresh token may be missing."""
    bare = read(tmp_path, '[accounts.a]\nsource = "mercadolivre"').accounts["a"]
    text = '[accounts.a]\nsource = "mercadolivre"\nrefresh_token = "env:FIRST"\nclient_secret = "file:s"\nsite = "MLA"'
    named = read(tmp_path, text).accounts["a"]

    assert (bare.url, bare.options["site"], bare.options["page_size"]) == (URL, SITE, PAGE_SIZE)
    assert bare.stream("orders").overlap == timedelta(hours=1)
    assert {key: str(each) for key, each in bare.secrets.items()} == {
        "client_id": "stored:a/client_id",
        "client_secret": "stored:a/client_secret",
    }
    assert named.secrets["refresh_token"] == SecretReference("env", "FIRST")
    assert named.secrets["client_secret"].kind == "file"
    assert set(SITES) == set(AUTH_URLS)


def test_a_mercado_livre_account_has_no_api_key(tmp_path: Path) -> None:
    """Who writes one took it from another source's account."""
    with pytest.raises(
        BadValue, match="does not belong to source mercadolivre; expected client_id, client_secret, ref"
    ):
        read(tmp_path, '[accounts.a]\nsource = "mercadolivre"\napi_key = "env:KEY"')
