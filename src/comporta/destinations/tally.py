"""Adding up what a batch did to a table, and telling what it would do: the same on every database.

``write`` counts what happened and ``preview`` what would; both go through here, so they add up alike.
"""

from collections.abc import Container, Mapping, Sequence

from comporta.core.counts import Counts
from comporta.core.record import Key, Value
from comporta.core.schema import TablePlan
from comporta.destinations.sort import Changed, Sorted
from comporta.ports.store import Batch, Change


def total(counts: Counts, batch: Batch, *, deleted: int) -> Counts:
    """Return the counts of a batch: of its rows, with what the source rejected and what was deleted."""
    return Counts(
        read=counts.read + len(batch.rejected),
        inserted=counts.inserted,
        updated=counts.updated,
        unchanged=counts.unchanged,
        rejected=counts.rejected + len(batch.rejected),
        deleted=deleted,
    )


def foreseen(batch: Batch, todo: Sorted, *, deleted: int) -> Counts:
    """Return what the counts of a batch would be."""
    refused, inserted, updated = len(todo.refused), len(todo.inserts), len(todo.updates)
    read = inserted + updated + todo.unchanged + refused
    return total(Counts(read, inserted, updated, todo.unchanged, refused), batch, deleted=deleted)


def change(one: Changed, plan: TablePlan, before: Mapping[str, Value] | None) -> Change:
    """Return what would happen to one row, with the fields that would differ, before and after."""
    after = dict(zip(plan.placed, one.row, strict=True))
    if before is None:
        return Change(one.key, "inserted", {name: (None, value) for name, value in after.items() if value is not None})
    if one.hash is None:
        return Change(one.key, "updated", {})
    fields = {name: (before.get(name), value) for name, value in after.items() if before.get(name) != value}
    return Change(one.key, "updated", fields)


def gone(batch: Batch, *, living: Container[Key], there: Container[Key]) -> Sequence[Change]:
    """Return which keys would be marked deleted or removed, once for each: not what is gone already."""
    keys = [key for key in dict.fromkeys(batch.deleted) if key in living]
    keys += [key for key in dict.fromkeys(batch.removed) if key in there]
    return [Change(key, "deleted", {}) for key in keys]
