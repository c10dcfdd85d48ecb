"""Which Odoo streams are synced when nobody names any, and which of them belong to a parent.

Only constants, so that the settings of an account can be planned without importing the HTTP client.
"""

DEFAULT_STREAMS = ("sale.order", "sale.order.line", "res.partner", "product.product", "product.template")

PARENTS = {"sale.order.line": ("order_id", "sale.order")}
"""Of a stream: the field that names the parent, and the parent's stream."""

CHILDREN = {parent: stream for stream, (_, parent) in PARENTS.items()}
"""Streams whose records have children that vanish without a trace of their own."""
