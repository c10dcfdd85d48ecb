"""The faults of the Mercado Livre simulator, those of the network among them.

Most hold until they are taken away; a word or a number after ``=`` chooses the form.
"""

from comporta.sandbox.server import TRANSPORT_FAULTS

MERCADOLIVRE_FAULTS = {
    **{name: usual for name, usual in TRANSPORT_FAULTS.items() if name not in {"slow_page", "cut_after", "http_429"}},
    "body_403": "access|scopes|policy",
    "body_429": "empty|text|json",
    "cancelled": "shown",
    "cap": "100",
    "denied": "1",
    "denied_operator": "1",
    "duplicate_notifications": "1",
    "error_500": "1",
    "forbidden": "1",
    "hour_truncation": "off|inclusive",
    "ignore_filter": "1",
    "just_notified_404": "1",
    "lying_total": "0.5",
    "missed_limit": "10",
    "multiget_code": "404|403|410|429|500",
    "oauth_429": "1",
    "oauth_500": "1",
    "oauth_cut": "1",
    "oauth_cut_before": "1",
    "oauth_hang": "1",
    "oauth_refusal": "forbidden|invalid_scope|unauthorized_application|unauthorized_client",
    "oauth_slow": "500",
    "odd_notifications": "1",
    "partial_206": "1",
    "pkce_required": "1",
    "price_code": "404|204|403|429|500",
    "price_removed": "1",
    "quiet_end": "1000",
    "scan_ignores_filters": "1",
    "scroll_expiry": "300",
    "scroll_limit": "1",
    "shipment_204": "1",
    "shuffled_notifications": "1",
    "throttled": "1",
    "unauthorized": "1",
    "unknown_topics": "1",
}
