"""Alerts as rows of cmp_alert, and back.

That somebody is just telling one, and since when it may be over, stands inside ``fields``: the table was made before
that was known to matter.
"""

import json
from collections.abc import Mapping

from comporta.core.alert import Alert, Kind, Level
from comporta.ledger.rows import instant_from, instant_of, text_of
from comporta.ledger.session import Row

SENDING = "_sending"
WELL = "_well_since"


def alert_from(row: Row) -> Alert:
    """Return the alert of a row."""
    fields = json.loads(row["fields"])
    is_sending = bool(fields.pop(SENDING, False))
    well_since = instant_from(fields.pop(WELL, None))
    return Alert(
        key=row["key"],
        kind=Kind(row["kind"]),
        level=Level(row["level"]),
        message=row["message"],
        next_step=row["next_step"],
        account=row["account"],
        stream=row["stream"],
        fields=fields,
        opened_at=instant_of(row["opened_at"]),
        updated_at=instant_of(row["updated_at"]),
        closed_at=instant_from(row["closed_at"]),
        muted_until=instant_from(row["muted_until"]),
        told_at=instant_from(row["told_at"]),
        told_closed_at=instant_from(row["told_closed_at"]),
        is_sending=is_sending,
        times=row["times"],
        well_since=well_since,
    )


def values_of(alert: Alert) -> Mapping[str, object]:
    """Return the parameters that store an alert."""
    fields = {**alert.fields, SENDING: True} if alert.is_sending else dict(alert.fields)
    if alert.well_since is not None and alert.is_open:
        fields[WELL] = text_of(alert.well_since)
    return {
        "key": alert.key,
        "kind": alert.kind.value,
        "level": alert.level.value,
        "account": alert.account,
        "stream": alert.stream,
        "message": alert.message,
        "next_step": alert.next_step,
        "fields": json.dumps(fields),
        "opened_at": text_of(alert.opened_at),
        "updated_at": text_of(alert.updated_at),
        "closed_at": text_of(alert.closed_at),
        "told_at": text_of(alert.told_at),
        "told_closed_at": text_of(alert.told_closed_at),
    }
