"""From ActiveCampaign's records to canonical rows, column by column, and record by record where one is odd.

Numbers come as text, flags as numbers or text, times with an offset, without one, or as zeros that stand for nothing.
A whole column is converted in one call; where that fails its values are read one by one (``activecampaign_values``), so
that one record that nobody can type waits in quarantine and the others go on.

A record of a pipeline that the key's user may not see comes with ``id``, ``title`` and ``isDisabled`` alone. It is
marked as limited: what it does not say, nobody knows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any, cast

import msgspec

from comporta.core.record import Rejected, Row, Value
from comporta.errors import RecordRejected, SourceChangedShape
from comporta.sources.activecampaign_shape import ALIASES, DROPPED, KEY, UTC_SUFFIX, Field, Kind
from comporta.sources.activecampaign_values import NOTHING, read_value
from comporta.sources.answers import quote
from comporta.sources.values import INTEGER_MAX, INTEGER_MIN, UnfitError, as_text, compact, refuse_halves

Record = dict[str, Any]
LIMITED = "isDisabled"
_YES = (True, "1")
DIGITS_MAX = 19
"""Digits of the greatest id that a database can store."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One answer's records: ``keys`` of all of them, rejected ones too, in the order they came."""

    keys: Sequence[int]
    rows: Sequence[Row] = ()
    rejected: Sequence[Rejected] = ()
    extras: Mapping[int, str] = field(default_factory=dict)
    limited: frozenset[int] = frozenset()

    def only(self, places: Sequence[int]) -> "Batch":
        """Return the records at these places, of those in ``keys``."""
        if len(places) == len(self.keys):
            return self
        spoilt = {int(each.key): each for each in self.rejected}
        row_of: dict[int, int] = {}
        for place, key in enumerate(self.keys):  # an id may come twice, once as a row and once rejected
            if len(row_of) < len(self.rows) and self.rows[len(row_of)][0] == key:
                row_of[place] = len(row_of)
        kept = [row_of[place] for place in places if place in row_of]
        return Batch(
            keys=[self.keys[place] for place in places],
            rows=[self.rows[row] for row in kept],
            rejected=[spoilt[self.keys[place]] for place in places if place not in row_of],
            extras={new: self.extras[old] for new, old in enumerate(kept) if old in self.extras},
            limited=frozenset(new for new, old in enumerate(kept) if old in self.limited),
        )


class Plan:
    """How the records of one stream are converted. Unknown fields are kept unless somebody named those to keep."""

    def __init__(
        self,
        fields: Sequence[Field],
        *,
        stamp: str | None = None,
        order: str | None = None,
        zone: tzinfo,
        keeps_unknown: bool = True,
    ) -> None:
        self.fields = tuple(fields)
        self._stamp = stamp
        self._order = next((place for place, each in enumerate(fields) if each.name == order), None)
        self._zone = zone
        self._known = {each.name for each in fields} | DROPPED if keeps_unknown else None

    def rows(self, records: object, *, subject: str) -> Batch:
        """Return the records as rows; raise only for what has no id, and so can be no record."""
        try:
            return self._batch(_records(records, subject), subject)
        except RecursionError as error:
            message = f"{subject} answered records that are nested hundreds of levels deep; expected a few"
            raise SourceChangedShape(message) from error

    def order(self, batch: Batch) -> Sequence[Any]:
        """Return what the records are in order of, by id where nothing else is; ``None`` for one that does not say."""
        if self._order is None:
            return batch.keys
        known = {row[0]: row[self._order] for row in batch.rows}
        return [None if known.get(key) is None else (known[key], key) for key in batch.keys]

    def _batch(self, found: list[Record], subject: str) -> Batch:
        keys = [_key(record, subject) for record in found]
        for record in found:
            for alias, name in ALIASES.items():
                if alias in record:
                    record[name] = record.pop(alias)
        try:
            return self._by_column(keys, found)
        except (UnfitError, *UNFIT):
            return self._by_record(keys, found)

    def _by_column(self, keys: Sequence[int], records: Sequence[Record]) -> Batch:
        if not records:
            return Batch(keys)
        if any(map(self._is_part, records)):
            raise UnfitError
        columns = [self._column(each, records) for each in self.fields]
        rows = list(zip(*columns, strict=True))
        extras = {place: text for place, record in enumerate(records) if (text := self._beside(record))}
        refuse_halves([*extras.values()])
        limited = frozenset(place for place, record in enumerate(records) if self._is_limited(record))
        return Batch(keys, rows, extras=extras, limited=limited)

    def _column(self, each: Field, records: Sequence[Record]) -> Sequence[Value]:
        name = each.name.removesuffix(UTC_SUFFIX) if each.kind is Kind.LOCAL_TIME_UTC else each.name
        values = [record.get(name) for record in records]
        return _COLUMN[each.kind](values, self._zone)

    def _by_record(self, keys: Sequence[int], records: Sequence[Record]) -> Batch:
        rows: list[Row] = []
        rejected: list[Rejected] = []
        extras: dict[int, str] = {}
        limited: set[int] = set()
        for key, record in zip(keys, records, strict=True):
            try:
                row, beside = self._row(record)
                refuse_halves([beside, *row])
            except UnfitError as error:
                rejected.append(Rejected(str(key), RecordRejected.code, str(error), compact(record, ascii_only=True)))
                continue
            if beside:
                extras[len(rows)] = beside
            if self._is_limited(record):
                limited.add(len(rows))
            rows.append(row)
        return Batch(keys, rows, rejected, extras, frozenset(limited))

    def _row(self, record: Record) -> tuple[Row, str]:
        if self._is_part(record):
            message = f"{self._stamp} is missing, and with it who knows what; expected a whole record"
            raise UnfitError(message)
        cells: list[Value] = []
        guessed: dict[str, object] = {}
        for each in self.fields:
            name = each.name.removesuffix(UTC_SUFFIX) if each.kind is Kind.LOCAL_TIME_UTC else each.name
            cell, is_guess = self._cell(each, record.get(name))
            if is_guess and name == self._stamp:
                message = f"{name} is {quote(repr(record.get(name)))}, without a zone; expected a time with its offset"
                raise UnfitError(message)
            if is_guess:
                guessed[name] = record[name]
            cells.append(cell)
        return tuple(cells), self._beside(record, guessed)

    def _cell(self, each: Field, value: object) -> tuple[Value, bool]:
        """Return what a column would make of a value; only what it refuses is looked at more closely."""
        try:
            return _COLUMN[each.kind]([value], self._zone)[0], False
        except (UnfitError, *UNFIT):
            return read_value(each, value, self._zone)

    def _beside(self, record: Record, more: Mapping[str, object] | None = None) -> str:
        """Return what no column holds, as JSON text."""
        unknown = record.keys() - self._known if self._known is not None else frozenset()
        beside = {name: record[name] for name in sorted(unknown)} | (dict(more) if more else {})
        return compact(beside) if beside else ""

    def _is_part(self, record: Record) -> bool:
        """Say whether a record lacks what each has that may be seen: it would make nulls of good values."""
        return self._stamp is not None and self._stamp not in record and not self._is_limited(record)

    def _is_limited(self, record: Record) -> bool:
        return record.get(LIMITED) in _YES and (self._stamp is None or record.get(self._stamp) is None)


UNFIT = (msgspec.MsgspecError, ValueError, OverflowError, TypeError)


def _records(records: object, subject: str) -> list[Record]:
    if isinstance(records, list) and all(isinstance(each, dict) for each in records):
        return records
    message = f"{subject} answered {quote(compact(records, ascii_only=True))}; expected a list of records"
    raise SourceChangedShape(message)


def _key(record: Record, subject: str) -> int:
    key = record.get(KEY)
    if isinstance(key, str) and key.isascii() and key.isdecimal() and len(key) <= DIGITS_MAX:
        key = int(key)
    if type(key) is int and 0 <= key <= INTEGER_MAX:
        return key
    seen = quote(compact(record, ascii_only=True))
    message = f"{subject} answered a record with id {quote(repr(key))} ({seen}); expected a whole number"
    raise SourceChangedShape(message)


def _integers(values: Sequence[object], _: tzinfo) -> Sequence[Value]:
    plain = [None if value in NOTHING else value for value in values]
    if bool in set(map(type, plain)):
        raise UnfitError
    done: list[int | None] = msgspec.convert(plain, list[int | None], strict=False)
    if any(value is not None and not INTEGER_MIN <= value <= INTEGER_MAX for value in done):
        raise UnfitError
    return done


def _flags(values: Sequence[object], _: tzinfo) -> Sequence[Value]:
    return cast("list[Value]", msgspec.convert(values, list[bool | None], strict=False))


def _times(values: Sequence[object], _: tzinfo) -> Sequence[Value]:
    plain = [None if value in NOTHING else value for value in values]
    times: list[datetime | None] = msgspec.convert(plain, list[datetime | None])
    if any(time is not None and time.tzinfo is None for time in times):
        raise UnfitError
    return [
        None if time is None else time.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z" for time in times
    ]


def _one_by_one(kind: Kind) -> Callable[[Sequence[object], tzinfo], Sequence[Value]]:
    """Return the conversion of columns whose values are looked at one at a time: they are few, or all different."""

    def convert(values: Sequence[object], zone: tzinfo) -> Sequence[Value]:
        each = Field("", kind)
        return [None if value is None else read_value(each, value, zone)[0] for value in values]

    return convert


def _texts(values: Sequence[object], _: tzinfo) -> Sequence[Value]:
    done = [value if value is None or type(value) is str else as_text(value) for value in values]
    refuse_halves(done)
    return done


_COLUMN: Mapping[Kind, Callable[[Sequence[object], tzinfo], Sequence[Value]]] = {
    Kind.INTEGER: _integers,
    Kind.TEXT: _texts,
    Kind.FLAG: _flags,
    Kind.TIME: _times,
    Kind.LOCAL_TIME: _one_by_one(Kind.LOCAL_TIME),
    Kind.LOCAL_TIME_UTC: _one_by_one(Kind.LOCAL_TIME_UTC),
    Kind.DATE: _one_by_one(Kind.DATE),
    Kind.ANY: _texts,
    Kind.DOCUMENT: _one_by_one(Kind.DOCUMENT),
}
