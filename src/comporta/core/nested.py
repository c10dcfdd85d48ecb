"""Which rows of the lists inside a page's records belong to which of its records.

A list's row names its record by the key. Where a record comes twice, in two versions, only what its newest version
lists is in it: what the older one listed besides has gone.
"""

from collections.abc import Collection, Container, Sequence
from dataclasses import replace

from comporta.core.record import Key, Nested, Page, Row, Shape, Value


def parent_of(shape: Shape) -> str:
    """Return the column by which a list's row names its record."""
    return shape.parent or shape.key


def latest(shape: Shape, rows: Sequence[Row], limited: Container[int]) -> list[int] | None:
    """Return the places of the newest row of each key, a whole one rather than a part; ``None`` if no key repeats.

    >>> from comporta.core.record import Column, ColumnType
    >>> latest(Shape("shop", "thing", (Column("id", ColumnType.INTEGER, "id"),), key="id"), [(7,), (8,), (7,)], set())
    [1, 2]
    """
    key = shape.index(shape.key)
    last = {row[key]: place for place, row in enumerate(rows)}
    if len(last) == len(rows):
        return None
    stamp = shape.index(shape.stamp) if shape.stamp is not None else None

    def rank(place: int) -> tuple[bool, str]:
        return place not in limited, str(rows[place][stamp] or "") if stamp is not None else ""

    return sorted({rows[place][key]: place for place in sorted(range(len(rows)), key=rank)}.values())


def of_parents(lists: Sequence[Nested], parents: Container[Value]) -> list[Nested]:
    """Return the lists with the rows of these records alone."""
    kept = []
    for each in lists:
        place = each.shape.index(parent_of(each.shape))
        untold = frozenset(key for key in each.untold if key in parents)
        kept.append(Nested(each.shape, [row for row in each.rows if row[place] in parents], untold))
    return kept


def only(page: Page, shape: Shape, places: Sequence[int]) -> Page:
    """Return the page with the rows at these places alone, and what belongs to them."""
    rows = [page.rows[place] for place in places]
    extras = {new: page.extras[old] for new, old in enumerate(places) if old in page.extras}
    limited = frozenset(new for new, old in enumerate(places) if old in page.limited)
    kept = page.nested and of_parents(page.nested, _keys(shape, rows))
    return replace(page, rows=rows, extras=extras, limited=limited, nested=kept)


def lists_of(pages: Sequence[Page], shape: Shape) -> list[Nested]:
    """Return the lists of several pages as one of each shape; of a record that comes twice, as it is in the newest."""
    found: dict[Shape, list[Row]] = {each.shape: [] for page in pages for each in page.nested}
    untold: dict[Shape, frozenset[Key]] = dict.fromkeys(found, frozenset())
    for page, rows in zip(pages, _newest_rows(pages, shape), strict=True) if found else ():
        for each in of_parents(page.nested, _keys(shape, rows)):
            found[each.shape] += each.rows
            untold[each.shape] |= each.untold
    return [Nested(each, rows, untold[each]) for each, rows in found.items()]


def _newest_rows(pages: Sequence[Page], shape: Shape) -> list[Sequence[Row]]:
    """Return of each page the rows that are not in another page in a newer version."""
    rows = [row for page in pages for row in page.rows]
    starts = [sum(len(page.rows) for page in pages[:number]) for number in range(len(pages))]
    limited = {start + place for start, page in zip(starts, pages, strict=True) for place in page.limited}
    places = latest(shape, rows, limited)
    if places is None:
        return [page.rows for page in pages]
    kept = set(places)
    return [
        [row for place, row in enumerate(page.rows, start) if place in kept]
        for start, page in zip(starts, pages, strict=True)
    ]


def _keys(shape: Shape, rows: Sequence[Row]) -> Collection[Value]:
    place = shape.index(shape.key)
    return {row[place] for row in rows}
