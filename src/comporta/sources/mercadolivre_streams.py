"""Which Mercado Livre streams there are, and which of them are told of changes in another.

Only constants, so that the settings of an account can be planned without importing the HTTP client.
"""

ORDERS, SHIPMENTS, PACKS, ITEMS = "orders", "shipments", "packs", "items"
DEFAULT_STREAMS = (ORDERS, SHIPMENTS, PACKS, ITEMS)

REFERENCES = {ORDERS: ((SHIPMENTS, "shipping_id"), (PACKS, "pack_id"))}
"""By stream: the streams whose records its columns name. Those have no list of their own."""

LANES = {ITEMS: ITEMS}
"""Products wait for no order; shipments and packs follow the orders that name them."""
