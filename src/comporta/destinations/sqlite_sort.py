"""Deciding what must be done with each row of a batch: insert, update, leave, or refuse.

The stored hashes of the batch's keys are read first, by one indexed query per thousand. The counts come
out of this decision, so ``write`` and ``preview`` share it and cannot disagree.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from struct import unpack
from typing import NamedTuple

import msgspec

from comporta.core.record import Column, Key, Rejected, Row, Shape
from comporta.destinations.upsert import chunks, marks, quoted
from comporta.errors import RecordRejected
from comporta.ports.store import Batch

_INT64 = 2**63
_encode = msgspec.msgpack.Encoder().encode


class Changed(NamedTuple):
    """A row that must be written; one is made for each, and a named tuple is made fastest."""

    key: Key
    row: Row
    hash: int
    extra: str | None


@dataclass(frozen=True, slots=True)
class Sorted:
    """A batch, sorted into what must be done with each row."""

    inserts: list[Changed] = field(default_factory=list)
    updates: list[Changed] = field(default_factory=list)
    refused: list[Rejected] = field(default_factory=list)
    unchanged: int = 0


_Stored = tuple[int | None, str | None, str | None]
"""Hash, stamp and time of deletion, as the table has them."""


def newest(batch: Batch) -> Batch:
    """Keep one row of each key, the newest: a page may hold a record twice."""
    shape, rows = batch.shape, batch.rows
    key = shape.index(shape.key)
    last = {row[key]: place for place, row in enumerate(rows)}
    if len(last) == len(rows):
        return batch
    if shape.stamp is not None:
        stamp = shape.index(shape.stamp)
        by_stamp = sorted(range(len(rows)), key=lambda place: str(rows[place][stamp] or ""))
        last = {rows[place][key]: place for place in by_stamp}
    return _only(batch, sorted(last.values()))


def sort_batch(connection: sqlite3.Connection, account: str, batch: Batch, *, present: Mapping[str, Column]) -> Sorted:
    """Decide for each row of a batch without repeated keys; ``present`` are the table's columns."""
    try:
        return _decide(batch, _stored(connection, account, batch, present))
    except (OverflowError, UnicodeEncodeError):
        good, refused = _set_aside(batch)
        return replace(_decide(good, _stored(connection, account, good, present)), refused=refused)


def row_hashes(rows: Sequence[Row], extras: Mapping[int, str], columns: Sequence[Column]) -> Sequence[int]:
    """Return the 64-bit hash of each row's source fields, as SQLite's signed integer.

    What a row has beside its columns is hashed with it, and so are the columns' names and types: the
    same value under another name is another row. The digests are unpacked at once: a call for each row
    would take as long as the hash itself.
    """
    named = "\n".join(f"{column.name} {column.type}" for column in columns).encode("utf-8", "backslashreplace")
    person = blake2b(named, digest_size=16).digest()
    contents: Sequence[object] = rows
    if extras:
        contents = [(row, extras[place]) if place in extras else row for place, row in enumerate(rows)]
    digests = [blake2b(_encode(content), digest_size=8, person=person).digest() for content in contents]
    return unpack(f"<{len(digests)}q", b"".join(digests))


def rejected(shape: Shape, row: Row, reason: str) -> Rejected:
    """Return a refused row for the quarantine, in plain ASCII: its text may be what is wrong."""
    named = dict(zip((each.field for each in shape.columns), row, strict=True))
    key = str(row[shape.index(shape.key)]).encode("utf-8", "backslashreplace").decode()
    return Rejected(key, RecordRejected.code, f"the database refused the row: {reason}", json.dumps(named))


def _stored(
    connection: sqlite3.Connection, account: str, batch: Batch, present: Mapping[str, Column]
) -> dict[Key, _Stored]:
    if not present:
        return {}
    shape = batch.shape
    place = shape.index(shape.key)
    stamp = quoted(shape.stamp) if shape.stamp is not None and shape.stamp in present else "NULL"
    start = f"SELECT {quoted(shape.key)}, _cmp_hash, {stamp}, _cmp_deleted_at FROM {quoted(shape.table)}"
    found: dict[Key, _Stored] = {}
    cursor = connection.cursor()
    cursor.row_factory = None  # plain tuples: one for each row of a batch
    for chunk in chunks([row[place] for row in batch.rows]):
        query = f"{start} WHERE account = ? AND {quoted(shape.key)} IN ({marks(chunk)})"
        found.update((row[0], row[1:]) for row in cursor.execute(query, (account, *chunk)))
    return found


def _decide(batch: Batch, stored: Mapping[Key, _Stored]) -> Sorted:
    """Leave an older version, unless overwriting; write a row that comes back from deletion."""
    inserts, updates, unchanged = [], [], 0
    place = batch.shape.index(batch.shape.key)
    stamp_place = batch.shape.index(batch.shape.stamp) if batch.shape.stamp else None
    hashes = row_hashes(batch.rows, batch.extras, batch.shape.columns)
    for number, (row, new_hash) in enumerate(zip(batch.rows, hashes, strict=True)):
        key: Key = row[place]  # type: ignore[assignment]  # a source never yields a row without a key
        extra = batch.extras.get(number) if batch.extras else None
        present = stored.get(key)
        if present is None:
            inserts.append(Changed(key, row, new_hash, extra))
            continue
        stored_hash, stamp, deleted_at = present
        is_kept = stored_hash == new_hash or (not batch.overwrite and _is_older(row, stamp, stamp_place))
        if is_kept and deleted_at is None:
            unchanged += 1
        else:
            updates.append(Changed(key, row, new_hash, extra))
    return Sorted(inserts, updates, unchanged=unchanged)


def _is_older(row: Row, stored: str | None, stamp_place: int | None) -> bool:
    """Say whether the stored version is newer. Equal stamps are not: the later pass wins a tie."""
    if stamp_place is None or stored is None:
        return False
    return str(row[stamp_place] or "") < stored


def _set_aside(batch: Batch) -> tuple[Batch, list[Rejected]]:
    """Take out the rows that hold an integer beyond 64 bits or text that is not Unicode."""
    reasons = [_unfit(row, batch.extras.get(place)) for place, row in enumerate(batch.rows)]
    refused = [rejected(batch.shape, row, reason) for row, reason in zip(batch.rows, reasons, strict=True) if reason]
    return _only(batch, [place for place, reason in enumerate(reasons) if reason is None]), refused


def _unfit(row: Row, extra: str | None) -> str | None:
    for value in (*row, extra):
        if isinstance(value, int) and not -_INT64 <= value < _INT64:
            return f"the integer {value} does not fit into 64 bits"
        if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
            return f"the text {value!a} is not valid Unicode"
    return None


def _only(batch: Batch, places: list[int]) -> Batch:
    extras = {number: batch.extras[place] for number, place in enumerate(places) if place in batch.extras}
    return replace(batch, rows=[batch.rows[place] for place in places], extras=extras)
