"""The records of a fake source: whatever a test puts there, stamped as real sources stamp.

A stamp is the start of the writing transaction, in whole seconds; a record is seen when that commits.
``begin`` leaves the two apart, as a long transaction does. A test may also script a stamp, as after a
restored backup, or leave it out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from comporta.core.instant import instant_text
from comporta.core.record import Column, ColumnType, Key, Lookup, Nested, Row, Shape, Value
from comporta.errors import ComportaError

FIELDS: Mapping[str, ColumnType] = {"name": ColumnType.TEXT, "state": ColumnType.TEXT}
STAMP = Column("write_date", ColumnType.TIMESTAMP, "write_date")


@dataclass(frozen=True, slots=True)
class FakeRecord:
    """One record; ``spoilt`` says why it cannot be written."""

    key: Key
    values: Mapping[str, Value]
    stamp: str | None
    spoilt: str | None = None


@dataclass(slots=True)
class FakeStream:
    """A stream: its fields, which a test may change, and its records by key."""

    name: str
    now: Callable[[], datetime]
    fields: Mapping[str, ColumnType] = field(default_factory=lambda: dict(FIELDS))
    parent: str | None = None
    parent_stream: str | None = None
    is_stamped: bool = True
    key_type: ColumnType = ColumnType.INTEGER
    settled: tuple[str, frozenset[str]] | None = None
    referred_by: str | None = None
    untold: dict[Key, frozenset[str]] = field(default_factory=dict)
    refused: set[Key] = field(default_factory=set)
    odd: dict[Key, type[ComportaError]] = field(default_factory=dict)
    records: dict[Key, FakeRecord] = field(default_factory=dict)
    lookups: Sequence[Lookup] = ()
    lists: Mapping[str, Mapping[str, ColumnType]] = field(default_factory=dict)
    listed: dict[tuple[str, Key], Sequence[Mapping[str, Value]]] = field(default_factory=dict)

    def put(self, key: Key, *, stamp: datetime | None = None, spoilt: str | None = None, **values: Value) -> Key:
        """Create or change a record, stamped now unless ``stamp`` says otherwise, and commit at once."""
        self.write(key, values, stamp=stamp or self.now(), spoilt=spoilt)
        return key

    def write(self, key: Key, values: Mapping[str, Value], *, stamp: datetime, spoilt: str | None = None) -> None:
        """Create or change a record under that stamp."""
        before = self.records[key].values if key in self.records else {}
        self.records[key] = FakeRecord(key, {**before, **values}, instant_text(stamp.replace(microsecond=0)), spoilt)

    def put_many(self, keys: Sequence[int], *, stamp: datetime | None = None) -> None:
        """Create records that are named after their keys."""
        for key in keys:
            self.put(key, stamp=stamp, name=f"S{key:05}")

    def unstamp(self, key: Key) -> None:
        """Take the stamp from a record, as an import by SQL leaves it."""
        self.records[key] = replace(self.records[key], stamp=None)

    def enlist(self, key: Key, name: str, *items: Mapping[str, Value]) -> None:
        """Say what a record has in one of its lists; each item bears an ``id`` of its own."""
        self.listed[name, key] = items

    def remove(self, *keys: Key) -> None:
        """Delete records; nothing of them remains."""
        for key in keys:
            del self.records[key]

    def begin(self) -> "FakeTransaction":
        """Start a transaction now: its records carry this instant and are seen when it commits."""
        return FakeTransaction(self, self.now())

    def shape(self, source: str, chosen: Sequence[str] | None = None) -> Shape:
        """Return what the source says of the stream, with the fields that were chosen."""
        stamps = (STAMP,) if self.is_stamped else ()
        wanted = [name for name in self.fields if chosen is None or name in chosen]
        columns = [Column("id", self.key_type, "id"), *(Column(name, self.fields[name], name) for name in wanted)]
        return Shape(
            source=source,
            stream=self.name,
            columns=(*columns, *stamps),
            key="id",
            stamp=STAMP.name if self.is_stamped else None,
            parent=self.parent,
            parent_stream=self.parent_stream,
            nested=tuple(self._list_shape(source, name) for name in self.lists),
            settled=self.settled,
            referred_by=self.referred_by,
        )

    def nested(self, shape: Shape, found: Sequence[FakeRecord]) -> list[Nested]:
        """Return what those records list."""
        return [Nested(each, list(self._items(each, found))) for each in shape.nested]

    def _list_shape(self, source: str, name: str) -> Shape:
        columns = [Column(each, kind, each) for each, kind in self.lists[name].items()]
        key, parent = Column("id", ColumnType.TEXT, "id"), Column("record_id", self.key_type, "record_id")
        stamps = (STAMP,) if self.is_stamped else ()
        stamp = STAMP.name if self.is_stamped else None
        return Shape(source, name, (key, parent, *columns, *stamps), key="id", stamp=stamp, parent="record_id")

    def _items(self, shape: Shape, found: Sequence[FakeRecord]) -> Iterator[Row]:
        for record in found:
            for item in self.listed.get((shape.stream, record.key), ()):
                known = {**item, "record_id": record.key, STAMP.name: record.stamp}
                yield tuple(known.get(column.field) for column in shape.columns)


@dataclass(slots=True)
class FakeTransaction:
    """A transaction that is still open: late as long as the test leaves it so."""

    stream: FakeStream
    began: datetime
    changes: dict[Key, Mapping[str, Value]] = field(default_factory=dict)

    def put(self, key: Key, **values: Value) -> Key:
        """Create or change a record, unseen until the commit."""
        self.changes[key] = values
        return key

    def commit(self) -> None:
        """Show everything at once, under the stamp of the start."""
        for key, values in self.changes.items():
            self.stream.write(key, values, stamp=self.began)


def row_of(record: FakeRecord, shape: Shape) -> Row:
    """Return the record as a row of that shape."""
    known = {"id": record.key, STAMP.name: record.stamp, **record.values}
    return tuple(known.get(column.field) for column in shape.columns)
