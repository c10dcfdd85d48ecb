"""Comparing the two sides: every row of every table is read back from both, after the copying.

For each table, how many rows there are and the sum of their hashes must be equal. Where they are not, the
first row that differs is looked for, so that a person can look at it.
"""

from comporta.errors import DestinationRefused
from comporta.moving.copying import Teller
from comporta.moving.parts import PAGE_ROWS_FIRST, Part, next_limit
from comporta.moving.sides import Side
from comporta.moving.values import Sum, sum_of


def compare(source: Side, target: Side, parts: list[Part], teller: Teller) -> dict[str, Sum]:
    """Return the sum of each table; raise if a table's are not equal."""
    sums = {}
    for part in parts:
        ours, theirs = whole_sum(source, part), whole_sum(target, part)
        if ours != theirs:
            raise DestinationRefused(
                f"{part.table} is not the same after it was copied: {ours.rows} rows with sum {ours.text} in"
                f" {source.database.where}, {theirs.rows} rows with sum {theirs.text} in {target.database.where}"
                f"{_first_difference(source, target, part)}",
                next_step=(
                    "Some other program wrote to one of the two. The old database has everything: take the move back"
                    " with `comporta migrate-database FROM TO --abandon`, and move again."
                ),
            )
        sums[part.table] = ours
        teller.compared(part, ours.rows)
    return sums


def whole_sum(side: Side, part: Part) -> Sum:
    """Return the sum of a table, read page by page."""
    total, after, limit = Sum(), None, PAGE_ROWS_FIRST
    while True:
        rows = side.page(part, after, limit)
        total += sum_of(part, rows)
        if len(rows) < limit:
            return total
        after, limit = part.key_of(rows[-1]), next_limit(rows)


def _first_difference(source: Side, target: Side, part: Part) -> str:
    """Say which row differs first. Keys of the ledger's tables sort by each database's own language: not there."""
    if part.shape is None:
        return ""
    after, limit = None, PAGE_ROWS_FIRST
    while True:
        ours, theirs = source.page(part, after, limit), target.page(part, after, limit)
        for mine, other in zip(ours, theirs, strict=False):
            if sum_of(part, [mine]) != sum_of(part, [other]):
                first = min(part.key_of(mine), part.key_of(other), key=str)
                return f"; the first that differs is {'/'.join(map(str, first))}"
        if len(ours) != len(theirs) or len(ours) < limit:
            longer = ours if len(ours) > len(theirs) else theirs
            place = min(len(ours), len(theirs))
            key = "/".join(map(str, part.key_of(longer[place]))) if place < len(longer) else "none"
            return f"; the first that differs is {key}"
        after, limit = part.key_of(ours[-1]), next_limit(ours)
