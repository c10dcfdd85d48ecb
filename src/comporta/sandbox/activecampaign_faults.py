"""The faults of the ActiveCampaign simulator, those of the network among them.

Most hold until they are taken away; a word or a number after ``=`` chooses the form.
"""

from comporta.sandbox.server import TRANSPORT_FAULTS

ACTIVECAMPAIGN_FAULTS = {
    **{name: usual for name, usual in TRANSPORT_FAULTS.items() if name not in {"slow_page", "cut_after", "http_429"}},
    "body_429": "empty|json|html",
    "coarse_filter": "1",
    "deal_page": "all|20",
    "empty_200": "1",
    "error_402": "1",
    "error_500": "1",
    "error_503": "1",
    "forbidden": "1",
    "ignore_filter": "1",
    "limited": "3",
    "other_404": "1",
    "other_integration": "2",
    "reorder": "1",
    "retry_after": "none|date|30",
    "throttled": "1",
    "total": "absent|string|integer|too_low|too_high|unfiltered",
    "unstable_ties": "1",
}
