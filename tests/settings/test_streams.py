"""The names of streams in the settings: those that a source has, however the environment spells them."""

from pathlib import Path

import pytest
from tests.settings.test_database_address import read

from comporta.bootstrap.source_kinds import KINDS
from comporta.errors import UnknownKey
from comporta.settings.keys import SOURCES, STREAMS
from comporta.settings.tree import HOUR

CRM = '[accounts.crm]\nsource = "activecampaign"\nurl = "https://a.example.com"\n'
SHOP = '[accounts.shop]\nsource = "mercadolivre"\n'
ERP = '[accounts.erp]\nsource = "odoo"\nurl = "https://o.example.com"\ndatabase = "d"\nlogin = "l"\n'


def test_the_streams_that_may_be_named_are_those_of_the_sources() -> None:
    """The settings cannot know the sources; this keeps the names the same. Any model of Odoo may be a stream."""
    assert dict(STREAMS) == {each: KINDS[each].streams for each in SOURCES if each != "odoo"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            CRM + '[accounts.crm.streams.dealCustomFielddata]\nevery = "1h"',
            "no key accounts.crm.streams.dealCustomFielddata; did you mean accounts.crm.streams.dealCustomFieldData?",
        ),
        (
            CRM + '[accounts.crm.streams.DEALS]\nevery = "1h"',
            "no key accounts.crm.streams.DEALS; did you mean accounts.crm.streams.deals?",
        ),
        (
            SHOP + "[accounts.shop.streams.order]\npaused = true",
            "no key accounts.shop.streams.order; did you mean accounts.shop.streams.orders?",
        ),
        (
            SHOP + "[accounts.shop.streams.xyz]",
            "no key accounts.shop.streams.xyz; known here: items, orders, packs, shipments",
        ),
    ],
)
def test_a_stream_that_the_source_does_not_have_is_named_with_its_nearest(text: str, said: str, tmp_path: Path) -> None:
    """Else what is set there would hold for nothing, and a stream that never runs would be listed."""
    with pytest.raises(UnknownKey, match="there is") as caught:
        read(tmp_path, text)

    assert caught.value.message.endswith(said)
    assert "quotes" not in caught.value.next_step


def test_any_model_of_odoo_may_be_a_stream(tmp_path: Path) -> None:
    """Which models there are, only the server knows."""
    account = read(tmp_path, ERP + '[accounts.erp.streams."x_own.model"]\nevery = "1h"').accounts["erp"]

    assert account.stream("x_own.model").every == HOUR


def test_the_environment_names_a_stream_whatever_the_case(tmp_path: Path) -> None:
    """Variables are in capitals, and some streams' names are in both."""
    environ = {
        "COMPORTA_ACCOUNTS__CRM__STREAMS__DEALCUSTOMFIELDDATA__EVERY": "1h",
        "COMPORTA_ACCOUNTS__CRM__STREAMS__DEALS__EVERY": "1h",
    }
    streams = read(tmp_path, CRM, environ).accounts["crm"].streams

    assert {name: stream.every for name, stream in streams.items()} == {"dealCustomFieldData": HOUR, "deals": HOUR}


def test_a_misspelt_stream_in_the_environment_is_an_error(tmp_path: Path) -> None:
    """As in the file, and the variable is named."""
    environ = {"COMPORTA_ACCOUNTS__CRM__STREAMS__DEALTASK__EVERY": "1h"}
    with pytest.raises(
        UnknownKey, match=r"environment COMPORTA_ACCOUNTS__CRM__STREAMS__DEALTASK__EVERY: .*dealTasks\?"
    ):
        read(tmp_path, CRM, environ)
