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
    ``parent`` is the field that names the record it belongs to, and the list of those, each of which tells its own.
    """

    name: str
    singular: str
    stamp: str | None = None
    orders: Mapping[str, str] | None = None
    order_field: str | None = None
    is_keyset: bool = False
    always: Mapping[str, str] | None = None
    counted: tuple[str, ...] = ()
    parent: tuple[str, str] | None = None


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
        Endpoint("dealCustomFieldData", "dealCustomFieldDatum", parent=("dealId", "deals")),
        Endpoint("dealTasks", "dealTask"),
    )
}

DEFAULT_STREAMS = tuple(ENDPOINTS)
"""Small lists first: what the ids in deals mean is there before the deals."""

CHILDREN = {each.parent[1]: each.name for each in ENDPOINTS.values() if each.parent is not None}
"""By stream: the stream whose records belong to its own, and are asked for again when one of those changed."""

LANES = {each: each for each in DEFAULT_STREAMS} | {child: parent for parent, child in CHILDREN.items()}
"""Each stream by itself, but for values: read after their deals they hold what changed with these."""
