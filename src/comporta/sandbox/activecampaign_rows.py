"""What a row of each stream has, with the values of one nobody has filled in.

Ids and numbers are texts, as the API shows them, but for the few that the fact sheet knows as numbers.
The fields of ``dealTasks`` are those of an open client's schema: the fact sheet names the stream only.
"""

from typing import Any

from comporta.sandbox.activecampaign_world import Row

ZERO_DAY = "0000-00-00"
ZERO_STAMP = "0000-00-00 00:00:00"
_BLANK: dict[str, Row] = {
    "deals": {
        "hash": "", "owner": "1", "contact": "1", "organization": None, "group": "1", "stage": "1", "title": "",
        "description": "", "percent": "0", "nextdate": None, "nexttaskid": None, "value": "0", "currency": "brl",
        "winProbability": None, "winProbabilityMdate": None, "status": "0", "activitycount": "0", "nextdealid": "0",
        "edate": ZERO_STAMP, "isDisabled": False, "nextTask": None, "account": None, "customerAccount": None,
    },
    "dealGroups": {"title": "", "currency": "brl", "allgroups": "1", "allusers": "1", "autoassign": "0", "stages": []},
    "dealStages": {
        "title": "", "group": "1", "order": "1", "dealOrder": "next-action DESC", "cardRegion1": "title",
        "cardRegion2": "next-action", "cardRegion3": "show-avatar", "cardRegion4": "contact-fullname-orgname",
        "cardRegion5": "value", "color": "32B0FC", "width": "280",
    },
    "contacts": {
        "email": "", "phone": "", "firstName": "", "lastName": "", "orgid": "0", "orgname": "", "segmentio_id": "",
        "bounced_hard": "0", "bounced_soft": "0", "bounced_date": ZERO_DAY, "ip": "0", "ua": None, "hash": "",
        "socialdata_lastcheck": ZERO_STAMP, "email_local": "", "email_domain": "", "sentcnt": "0",
        "rating_tstamp": ZERO_DAY, "gravatar": "0", "deleted": "0", "anonymized": "0", "adate": None, "edate": None,
        "deleted_at": ZERO_STAMP, "created_by": "0", "updated_by": "0", "email_empty": False, "scoreValues": [],
        "accountContacts": [], "organization": None,
    },
    "accounts": {"name": "", "accountUrl": None, "links": []},
    "users": {
        "username": "", "firstName": "", "lastName": "", "email": "", "phone": "", "signature": None,
        "localZoneid": "America/Chicago", "mfaEnabled": "0",
    },
    "dealTasks": {
        "title": "", "note": None, "reltype": "Deal", "relid": "1", "dealTasktype": "1", "status": "0",
        "duedate": None, "edate": None, "user": "1", "assignee": "1", "automation": None, "doneAutomation": None,
    },
}  # fmt: skip


def filled(stream: str, **values: Any) -> Row:
    """Return a blank row with these values."""
    return {**_BLANK.get(stream, {}), **values}
