"""What each ActiveCampaign stream looks like: its fields, what they hold, and the columns they become.

The API describes nothing about itself, and writes most numbers as text, so the shapes are written down here. A field
that is not listed is no error: it is kept beside the row, whole.

A time without a zone is text, as it came, with its best reading in UTC in a column beside it (``edate``,
``edate_utc``): nobody knows for certain which zone was meant.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from comporta.core.record import Column, ColumnType, Shape
from comporta.core.schema import column_name
from comporta.errors import BadValue, UnknownField, UnknownStream
from comporta.ports.source import StreamRequest
from comporta.sources.activecampaign_streams import ENDPOINTS

SOURCE = "activecampaign"
KEY = "id"
UTC_SUFFIX = "_utc"


class Kind(StrEnum):
    """What a field holds."""

    INTEGER = "integer"
    TEXT = "text"
    FLAG = "flag"
    TIME = "time"
    LOCAL_TIME = "local time"
    LOCAL_TIME_UTC = "local time in utc"
    DATE = "date"
    ANY = "any"
    DOCUMENT = "document"


TYPES: Mapping[Kind, ColumnType] = {
    Kind.INTEGER: ColumnType.INTEGER,
    Kind.TEXT: ColumnType.TEXT,
    Kind.FLAG: ColumnType.BOOLEAN,
    Kind.TIME: ColumnType.TIMESTAMP,
    Kind.LOCAL_TIME: ColumnType.TEXT,
    Kind.LOCAL_TIME_UTC: ColumnType.TIMESTAMP,
    Kind.DATE: ColumnType.DATE,
    Kind.ANY: ColumnType.TEXT,
    Kind.DOCUMENT: ColumnType.JSON,
}

DROPPED = frozenset({"links"})
"""Addresses of other requests: they follow from the ids, and change with the host that answers."""

ALIASES = {"emailDomain": "email_domain"}
"""One field under two names: in a single contact, and in a list of them."""

_FIELDS: Mapping[str, Mapping[Kind, str]] = {
    "deals": {
        Kind.INTEGER: (
            "id owner contact organization account customerAccount group stage value percent winProbability status"
            " nexttaskid nextTask nextdealid activitycount"
        ),
        Kind.TEXT: "title description hash currency",
        Kind.TIME: "cdate mdate winProbabilityMdate nextdate",
        Kind.LOCAL_TIME: "edate",
        Kind.FLAG: "isDisabled",
    },
    "dealCustomFieldMeta": {
        Kind.INTEGER: "id isFormVisible isRequired displayOrder knownFieldId hideFieldFlag",
        Kind.TEXT: "fieldLabel fieldType fieldDefaultCurrency personalization",
        Kind.ANY: "fieldDefault",
        Kind.DOCUMENT: "fieldOptions",
        Kind.LOCAL_TIME: "createdTimestamp updatedTimestamp",
    },
    "dealCustomFieldData": {
        Kind.INTEGER: "id dealId customFieldId dealCustomFieldMetumId",
        Kind.TEXT: "fieldCurrency",
        Kind.ANY: "fieldValue",
        Kind.LOCAL_TIME: "createdTimestamp updatedTimestamp",
    },
    "dealGroups": {
        Kind.INTEGER: "id allgroups allusers autoassign",
        Kind.TEXT: "title currency",
        Kind.DOCUMENT: "stages",
        Kind.TIME: "cdate udate",
    },
    "dealStages": {
        Kind.INTEGER: "id group order width",
        Kind.TEXT: "title dealOrder cardRegion1 cardRegion2 cardRegion3 cardRegion4 cardRegion5 color",
        Kind.TIME: "cdate udate",
    },
    "contacts": {
        Kind.INTEGER: (
            "id orgid organization bounced_hard bounced_soft sentcnt gravatar deleted anonymized created_by updated_by"
        ),
        Kind.TEXT: (
            "email phone firstName lastName orgname segmentio_id ip ua hash email_local email_domain"
            " created_utc_timestamp updated_utc_timestamp created_timestamp updated_timestamp"
        ),
        Kind.TIME: "cdate udate adate",
        Kind.LOCAL_TIME: "edate deleted_at socialdata_lastcheck rating_tstamp",
        Kind.DATE: "bounced_date",
        Kind.FLAG: "email_empty",
        Kind.DOCUMENT: "scoreValues accountContacts",
    },
    "accounts": {
        Kind.INTEGER: "id contactCount dealCount",
        Kind.TEXT: "name accountUrl",
        Kind.TIME: "createdTimestamp updatedTimestamp",
    },
    "users": {
        Kind.INTEGER: "id",
        Kind.TEXT: "username firstName lastName email phone signature localZoneid",
        Kind.LOCAL_TIME: "cdate udate",
        Kind.FLAG: "mfaEnabled",
    },
    "dealTasks": {
        Kind.INTEGER: "id relid status user assignee assignee_userid dealTasktype automation doneAutomation outcome_id",
        Kind.TEXT: "title note reltype outcome_info",
        Kind.TIME: "duedate edate cdate udate",
        Kind.DOCUMENT: "owner",
    },
}
"""By what they hold; ids and counts come as text, amounts in cents. ``*_utc_timestamp`` of contacts is not UTC."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the API and what it holds."""

    name: str
    kind: Kind

    @property
    def column(self) -> Column:
        """Return the column the field becomes."""
        return Column(column_name(self.name), TYPES[self.kind], self.name)


def fields_of(request: StreamRequest) -> tuple[Field, ...]:
    """Return the fields to keep, the key first; those that somebody named, if anybody did."""
    if request.stream not in ENDPOINTS:
        near = difflib.get_close_matches(request.stream, ENDPOINTS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(ENDPOINTS)}"
        message = f"activecampaign has no stream {request.stream!r}{hint}"
        raise UnknownStream(message, next_step="Correct the stream's name in comporta.toml.")
    if request.domain:
        message = f"stream {request.stream} has a `domain`; ActiveCampaign knows none, only Odoo does"
        raise BadValue(message, next_step="Take `domain` out of the stream in comporta.toml.")
    known = {name: kind for kind, names in _FIELDS[request.stream].items() for name in names.split()}
    wanted = _wanted(request, known)
    chosen = []
    for name in sorted(wanted, key=lambda name: (name != KEY, name)):
        chosen.append(Field(name, known[name]))
        if known[name] is Kind.LOCAL_TIME:
            chosen.append(Field(f"{name}{UTC_SUFFIX}", Kind.LOCAL_TIME_UTC))
    return tuple(chosen)


def shape_of(stream: str, fields: Sequence[Field]) -> Shape:
    """Return the stream's shape; only a stream that can be filtered by its stamp has one."""
    endpoint = ENDPOINTS[stream]
    field, parent_stream = endpoint.parent or (None, None)
    return Shape(
        SOURCE,
        stream,
        tuple(each.column for each in fields),
        key=KEY,
        stamp=endpoint.stamp,
        parent=None if field is None else column_name(field),
        parent_stream=parent_stream,
        is_parent_indexed=False,  # views of all deals would fetch the values one by one, and take longer
    )


def _wanted(request: StreamRequest, known: Mapping[str, Kind]) -> set[str]:
    if request.fields is None:
        return set(known)
    unknown = [name for name in request.fields if name not in known]
    if unknown:
        near = difflib.get_close_matches(unknown[0], known, n=1, cutoff=0.5)
        hint = f"; the nearest is {near[0]!r}" if near else ""
        message = f"activecampaign {request.stream}: there is no field {unknown[0]!r} among the {len(known)}{hint}"
        raise UnknownField(message, next_step="Correct `fields` of the stream in comporta.toml.")
    endpoint = ENDPOINTS[request.stream]
    parent = endpoint.parent[0] if endpoint.parent is not None else None
    needed = {name for name in (KEY, endpoint.stamp, endpoint.order_field, parent) if name is not None}
    return {*request.fields, *needed, *({"isDisabled"} & known.keys())}
