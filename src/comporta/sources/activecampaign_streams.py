"""Which ActiveCampaign streams there are, and how the API names and filters each.

Only constants, so that the settings of an account can be planned without importing the HTTP client.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One list of the API.

    ``singular`` is the envelope of one record. ``stamp`` names the field that ``filters[updated_after]`` goes by, where
    there is such a filter. ``orders`` are sent with every page; ``is_keyset`` says that ``id_greater`` works too.
    ``order_field`` is what the list comes in order of, beside the id: it never changes. ``always`` is sent with every
    request; ``counted`` are the columns that come of it, which a record that is asked for alone may lack.
    """

    name: str
    singular: str
    stamp: str | None = None
    orders: Mapping[str, str] | None = None
    order_field: str | None = None
    is_keyset: bool = False
    always: Mapping[str, str] | None = None
    counted: tuple[str, ...] = ()


ENDPOINTS: Mapping[str, Endpoint] = {
    each.name: each
    for each in (
        Endpoint("dealGroups", "dealGroup"),
        Endpoint("dealStages", "dealStage"),
        Endpoint("users", "user"),
        # Both counts come as null unless they are asked for.
        Endpoint("accounts", "account", always={"count_deals": "true"}, counted=("contact_count", "deal_count")),
        Endpoint("contacts", "contact", stamp="udate", orders={"orders[id]": "ASC"}, is_keyset=True),
        Endpoint("deals", "deal", stamp="mdate", orders={"orders[cdate]": "ASC"}, order_field="cdate"),
        Endpoint("dealCustomFieldMeta", "dealCustomFieldMetum"),
        Endpoint("dealCustomFieldData", "dealCustomFieldDatum"),
        Endpoint("dealTasks", "dealTask"),
    )
}

DEFAULT_STREAMS = tuple(ENDPOINTS)
"""Small lists first: what the ids in deals mean is there before the deals."""
