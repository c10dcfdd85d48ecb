"""Writing the lists inside a batch's records, each a table of its own: the same on every database.

A list is as good as its record. Of a record that the table has in a newer version, of one that was refused and of one
of which the source showed only a part, no list is touched; nor is one that its record came without. Of the others each
row is written as any mirrored row is, and what the record does not list any more is marked deleted. A list's row that
the database refuses takes its record into quarantine: all is undone, and done again without that record.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from comporta.core.counts import Counts
from comporta.core.nested import of_parents, parent_of
from comporta.core.record import Key, Rejected, Shape, Value
from comporta.destinations.sort import key_text, newest, only, rejected
from comporta.ports.store import Batch

Upserted = tuple[Counts, list[Rejected], list[Key]]
"""Counts, what was refused, and the keys inserted or updated."""
Versions = Mapping[Key, str | None]
"""The version of each record whose lists are to be written."""


class Tables(Protocol):
    """What is asked of the database, in one account; nothing is said to it for each row."""

    def begin(self) -> None:
        """Set a point to come back to, and let nobody else write these records until the transaction ends."""

    def keep(self) -> None:
        """Forget the point."""

    def undo(self) -> None:
        """Undo what was done since the point, and forget it."""

    def upsert(self, batch: Batch, /) -> Upserted:
        """Write rows."""

    def stamps(self, keys: Sequence[Key]) -> Mapping[Key, str | None]:
        """Return what version the table has of the records."""

    def living(self, shape: Shape, parents: Sequence[Key]) -> Iterable[tuple[Key, Key, str | None]]:
        """Return key, parent and stamp of the living rows of these records."""

    def mark(self, shape: Shape, keys: Sequence[Key]) -> None:
        """Mark rows deleted."""

    def remove(self, shape: Shape, parents: Sequence[Key]) -> None:
        """Remove the rows of these records."""

    def clear(self, shape: Shape) -> None:
        """Remove every row that is marked deleted or has no record any more."""


@dataclass(slots=True)
class Done:
    """What became of a batch's rows; ``nested`` counts the rows of lists that were written or marked, by table."""

    counts: Counts = field(default_factory=Counts)
    rejected: list[Rejected] = field(default_factory=list)
    changed: list[Key] = field(default_factory=list)
    nested: dict[str, int] = field(default_factory=dict)


def has_lists(batch: Batch) -> bool:
    """Say whether a batch writes, marks or removes rows of lists."""
    return bool(batch.nested or (batch.shape.nested and (batch.deleted or batch.removed or batch.remove_deleted)))


def lists_of(batch: Batch) -> list[Shape]:
    """Return the shapes of the lists of a batch's records, in the order in which their tables are written."""
    return sorted({*batch.shape.nested, *(each.shape for each in batch.nested)}, key=lambda shape: shape.table)


def write(tables: Tables, batch: Batch) -> Done:
    """Write the rows of a batch and their lists."""
    batch = _newest(batch)
    refused: list[Rejected] = []
    while True:
        tables.begin()
        counts, own, changed = tables.upsert(batch)
        done = Done(counts, own, changed)
        reasons = _write_lists(tables, batch, done)
        if not reasons:
            tables.keep()
            extra = len(refused)
            done.counts += Counts(read=extra, rejected=extra)
            done.rejected += refused
            return done
        tables.undo()
        batch, more = _without(batch, reasons)
        refused += more


def delete(tables: Tables, batch: Batch, done: Done) -> None:
    """Mark and remove the lists of the records that are."""
    for shape in lists_of(batch):
        if batch.deleted:
            gone = [key for key, _, _ in tables.living(shape, batch.deleted)]
            _mark(tables, shape, gone, done)
        if batch.removed:
            tables.remove(shape, batch.removed)
        if batch.remove_deleted:
            tables.clear(shape)


def _write_lists(tables: Tables, batch: Batch, done: Done) -> dict[Key, str]:
    """Write what the records list; return why a record must be refused for it, by key."""
    versions = _in_force(tables, batch, done)
    reasons: dict[Key, str] = {}
    for each in sorted(batch.nested, key=lambda each: each.shape.table):
        [listed] = of_parents([each], versions)
        part = Batch(each.shape, listed.rows, overwrite=batch.overwrite)
        _, refused, changed = tables.upsert(part)
        if refused:
            reasons = _reasons(part, refused) | reasons
        if not reasons:
            done.nested[each.shape.table] = len(changed)
            telling = {key: version for key, version in versions.items() if key not in listed.untold}
            _mark(tables, each.shape, _vanished(tables, part, telling), done)
    return reasons


def _in_force(tables: Tables, batch: Batch, done: Done) -> Versions:
    """Return the records of which the table has the version that is in the batch."""
    shape = batch.shape
    refused = {each.key for each in done.rejected}
    versions = _versions(batch)
    if refused:
        versions = {key: version for key, version in versions.items() if key_text(key) not in refused}
    if shape.stamp is None or batch.overwrite:
        return versions
    written = set(done.changed)
    there = tables.stamps([each for each in versions if each not in written])
    return {each: version for each, version in versions.items() if (there.get(each) or "") <= (version or "")}


def _versions(batch: Batch) -> dict[Key, str | None]:
    """Return the version of each record that came whole."""
    shape = batch.shape
    key, stamp = shape.index(shape.key), shape.index(shape.stamp) if shape.stamp is not None else None
    return {
        row[key]: None if stamp is None else row[stamp]  # type: ignore[misc]  # a key; a time is text
        for place, row in enumerate(batch.rows)
        if place not in batch.limited
    }


def _newest(batch: Batch) -> Batch:
    """Leave out the older versions of records that come twice, with what they list."""
    whole = newest(batch)
    if len(whole.rows) == len(batch.rows):
        return batch
    versions = _versions(whole)
    lists = []
    for each in of_parents(batch.nested, versions):
        shape = each.shape
        parent, stamp = shape.index(parent_of(shape)), shape.index(shape.stamp or shape.key)
        rows = [row for row in each.rows if shape.stamp is None or not _is_before(row[stamp], versions[row[parent]])]  # type: ignore[index]  # a key
        lists.append(replace(each, rows=rows))
    return replace(whole, nested=lists)


def _vanished(tables: Tables, part: Batch, versions: Versions) -> list[Key]:
    """Return the living rows that their records do not list any more."""
    place = part.shape.index(part.shape.key)
    listed = {row[place] for row in part.rows}
    return [
        key
        for key, parent, stamp in tables.living(part.shape, list(versions))
        if key not in listed and (part.overwrite or not _is_before(versions[parent], stamp))
    ]


def _is_before(one: Value, other: Value) -> bool:
    """Say whether a version is older than another; where one has no stamp nothing is known."""
    return one is not None and other is not None and str(one) < str(other)


def _mark(tables: Tables, shape: Shape, keys: Sequence[Key], done: Done) -> None:
    if keys:
        tables.mark(shape, keys)
        done.nested[shape.table] = done.nested.get(shape.table, 0) + len(keys)


def _reasons(part: Batch, refused: Sequence[Rejected]) -> dict[Key, str]:
    """Return why the records of refused rows cannot be written, by key."""
    shape = part.shape
    told = {each.key: f"{shape.table} {each.key}: {each.reason}" for each in refused}
    key, parent = shape.index(shape.key), shape.index(parent_of(shape))
    found = ((row[parent], told.get(key_text(row[key]))) for row in part.rows)
    return {parent: reason for parent, reason in found if reason is not None}  # type: ignore[misc]  # a key


def _without(batch: Batch, reasons: Mapping[Key, str]) -> tuple[Batch, list[Rejected]]:
    """Take records out of a batch, each with its reason."""
    key = batch.shape.index(batch.shape.key)
    refused = [
        replace(rejected(batch.shape, row, ""), reason=f"its list cannot be written: {reasons[row[key]]}")  # type: ignore[index]  # a key
        for row in batch.rows
        if row[key] in reasons
    ]
    return only(batch, [place for place, row in enumerate(batch.rows) if row[key] not in reasons]), refused
