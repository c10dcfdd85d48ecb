"""Deciding what must be done with each row of a batch: insert, update, leave, or refuse.

The decision is the same on every database: a destination reads the stored hashes of the batch's keys
first and hands them in. The counts come out of this decision, so ``write`` and ``preview`` share it and
cannot disagree.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import repeat
from struct import unpack

import msgspec

from comporta.core.nested import latest
from comporta.core.record import Column, Key, Rejected, Row, Shape, Value
from comporta.errors import RecordRejected
from comporta.ports.store import Batch

_INT64 = 2**63
_encode = msgspec.msgpack.Encoder().encode


class Changed(msgspec.Struct, frozen=True, gc=False):
    """A row that must be written; one is made for each, and a named tuple takes four times as long to make.

    ``hash`` is ``None`` where the source gave only a part of the row: it may be inserted, or bring a deleted row
    back as it was, but it never writes a field of a row that is there.
    """

    key: Key
    row: Row
    hash: int | None
    extra: str | None


@dataclass(frozen=True, slots=True)
class Sorted:
    """A batch, sorted into what must be done with each row."""

    inserts: list[Changed] = field(default_factory=list)
    updates: list[Changed] = field(default_factory=list)
    refused: list[Rejected] = field(default_factory=list)
    unchanged: int = 0

    def in_order(self, batch: Batch) -> Iterator[Changed]:
        """Yield what must be written in the order of the batch."""
        changed = {each.key: each for each in (*self.inserts, *self.updates)}
        place = batch.shape.index(batch.shape.key)
        return (changed[row[place]] for row in batch.rows if row[place] in changed)  # type: ignore[index]  # a key


Stored = tuple[int | None, str | None, object]
"""Hash, stamp, and what tells a deleted row (its time, or true), as the table has them."""


Judge = Callable[[Row, str | None], str | None]
"""Given a row and its extra, says why they fit into no table; ``None`` if they do."""


class UnfitError(ValueError):
    """Some value of the batch fits into no column; which one is found out by looking at each."""


def newest(batch: Batch) -> Batch:
    """Keep one row of each key, the newest, and a whole one rather than a part: a page may hold a record twice."""
    places = latest(batch.shape, batch.rows, batch.limited)
    return batch if places is None else only(batch, places)


def sort_batch(batch: Batch, stored: Callable[[Batch], Mapping[Key, Stored]], judge: Judge | None = None) -> Sorted:
    """Decide for each row of a batch without repeated keys; ``stored`` reads what the table has of them.

    Only if reading or hashing fails, each row is looked at, and refused for the reason that ``judge`` has.
    """
    try:
        return decide(batch, stored(batch))
    except (OverflowError, UnicodeEncodeError, UnfitError):
        good, refused = set_aside(batch, judge or unfit)
        return replace(decide(good, stored(good)), refused=refused)


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
    empty = blake2b(digest_size=8, person=person)  # copied for each row, which is quicker than made
    digests = []
    for content in contents:
        digest = empty.copy()
        digest.update(_encode(content))
        digests.append(digest.digest())
    return unpack(f"<{len(digests)}q", b"".join(digests))


def rejected(shape: Shape, row: Row, reason: str) -> Rejected:
    """Return a refused row for the quarantine, in plain ASCII: its text may be what is wrong."""
    named = dict(zip((each.field for each in shape.columns), row, strict=True))
    key = key_text(row[shape.index(shape.key)])
    return Rejected(key, RecordRejected.code, f"the database refused the row: {reason}", json.dumps(named))


def key_text(key: Value) -> str:
    """Return a key as the quarantine has it."""
    return str(key).encode("utf-8", "backslashreplace").decode()


def decide(batch: Batch, stored: Mapping[Key, Stored]) -> Sorted:
    """Leave an older version, unless overwriting; write a row that comes back from deletion.

    Of a limited row that is there nothing is written but that it lives.
    """
    inserts: list[Changed] = []
    updates: list[Changed] = []
    unchanged = 0
    place = batch.shape.index(batch.shape.key)
    stamp_place = batch.shape.index(batch.shape.stamp) if batch.shape.stamp else None
    hashes = row_hashes(batch.rows, batch.extras, batch.shape.columns)
    if not stored and not batch.limited and not batch.extras:  # most of a first load: no need to look at each row
        keys = [row[place] for row in batch.rows]
        return Sorted(list(map(Changed, keys, batch.rows, hashes, repeat(None))))  # type: ignore[arg-type]  # as below
    for number, (row, new_hash) in enumerate(zip(batch.rows, hashes, strict=True)):
        key: Key = row[place]  # type: ignore[assignment]  # a source never yields a row without a key
        is_limited = number in batch.limited
        present = stored.get(key)
        if present is not None:
            stored_hash, stamp, deleted = present
            is_same = is_limited or stored_hash == new_hash
            if not deleted and (is_same or (not batch.overwrite and _is_older(row, stamp, stamp_place))):
                unchanged += 1
                continue
        extra = batch.extras.get(number) if batch.extras else None
        change = Changed(key, row, None if is_limited else new_hash, extra)
        (inserts if present is None else updates).append(change)
    return Sorted(inserts, updates, unchanged=unchanged)


def set_aside(batch: Batch, judge: Judge) -> tuple[Batch, list[Rejected]]:
    """Take out the rows for which ``judge``, given row and extra, has a reason to."""
    reasons = [judge(row, batch.extras.get(place)) for place, row in enumerate(batch.rows)]
    refused = [rejected(batch.shape, row, reason) for row, reason in zip(batch.rows, reasons, strict=True) if reason]
    return only(batch, [place for place, reason in enumerate(reasons) if reason is None]), refused


def unfit(row: Row, extra: str | None) -> str | None:
    """Say why no database could hold a row: an integer beyond 64 bits, text that is not Unicode."""
    return next((reason for value in (*row, extra) if (reason := unfit_value(value))), None)


def unfit_value(value: Value, *, int_max: int = _INT64) -> str | None:
    """Say why no database could hold a value; an integer must be less than ``int_max``."""
    if isinstance(value, int) and not -_INT64 <= value < int_max:
        return f"the integer {value} does not fit into 64 bits"
    if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        return f"the text {value!a} is not valid Unicode"
    return None


def only(batch: Batch, places: Sequence[int]) -> Batch:
    """Return the batch with the rows at these places alone, and their extras."""
    extras = {number: batch.extras[place] for number, place in enumerate(places) if place in batch.extras}
    limited = frozenset(number for number, place in enumerate(places) if place in batch.limited)
    return replace(batch, rows=[batch.rows[place] for place in places], extras=extras, limited=limited)


def _is_older(row: Row, stored: str | None, stamp_place: int | None) -> bool:
    """Say whether the stored version is newer. Equal stamps are not: the later pass wins a tie."""
    if stamp_place is None or stored is None:
        return False
    return str(row[stamp_place] or "") < stored
