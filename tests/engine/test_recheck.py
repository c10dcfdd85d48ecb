"""Records that are read again by key, a slice each time, because searches hide what happens to them."""

import pytest
from tests.engine.workshop import ORDER_SCOPE, Workshop, at

from comporta.core.window import Kind
from comporta.engine import recheck
from comporta.errors import SourceUnavailable

DONE = ("state", frozenset({"done"}))
MODES = pytest.mark.parametrize("exact", [False, True], ids=["hours", "exact"])


async def rechecked(workshop: Workshop) -> object:
    """Return how many records the last comparison read again by key."""
    return ((await workshop.store.facts(ORDER_SCOPE)).reconcile_result or {})["rechecked"]


@MODES
async def test_what_changed_without_its_stamp_is_found_slice_by_slice_where_records_are_hidden(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, exact: bool
) -> None:
    """Each time the next slice of those that are still open is read by key; then the first one again."""
    monkeypatch.setattr("comporta.engine.recheck.RECHECKED_MAX", 3)
    orders, old = workshop.source.stream(settled=DONE), at(9) - recheck.SETTLED_FOR
    for key in range(1, 9):
        orders.put(key, stamp=old if key == 2 else at(9), name=f"S{key}", state="done" if key == 2 else "paid")
    await workshop.run()
    for key in range(1, 9):
        orders.write(key, {"name": "refunded", "state": "paid"}, stamp=old if key == 2 else at(9))
    found = []
    for _ in range(4):
        run = await workshop.run(Kind.RECONCILE, exact=exact)
        renamed = [key for key, name in workshop.rows().items() if name == "refunded"]
        found.append((run.counts.read, renamed, await rechecked(workshop)))

    assert found == [
        (3, [1, 3, 4], 3),
        (3, [1, 3, 4, 5, 6, 7], 3),
        (1, [1, 3, 4, 5, 6, 7, 8], 1),
        (3, [1, 3, 4, 5, 6, 7, 8], 3),
    ]


@MODES
async def test_what_was_settled_lately_is_read_again_too(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, exact: bool
) -> None:
    """A cancelled order is hidden, and may be paid back yet; who was told of it and lost that finds it here."""
    monkeypatch.setattr("comporta.engine.recheck.RECHECKED_MAX", 3)
    orders = workshop.source.stream(settled=DONE)
    for key in range(1, 6):
        orders.put(key, stamp=at(9), state="paid")
    await workshop.run()
    for key in (2, 5):
        orders.write(key, {"state": "done"}, stamp=at(12, 10))
    workshop.passes(hours=1)
    await workshop.run()
    for key in (2, 5):
        orders.write(key, {"name": "paid back"}, stamp=at(12, 10))
    found = []
    for _ in range(2):
        run = await workshop.run(Kind.RECONCILE, exact=exact)
        found.append((run.counts.read, [key for key, name in workshop.rows().items() if name == "paid back"]))

    assert found == [(3, [2]), (2, [2, 5])]


@pytest.mark.parametrize(("hours", "is_one"), [(1, True), (30, False)])
async def test_a_first_load_in_two_runs_is_a_comparison_if_they_are_of_one_day(
    workshop: Workshop, hours: int, *, is_one: bool
) -> None:
    """All that is here it brought; what was hidden since the first of them, nobody has looked at."""
    workshop.source.stream(settled=DONE).put_many(range(1, 46), stamp=at(9))
    workshop.source.script.on("page", skip=3, raises=SourceUnavailable("gone"))
    cut = await workshop.run()
    workshop.passes(hours=hours)

    run = await workshop.run()

    assert (cut.counts.inserted, run.counts.inserted) == (30, 15)
    assert ((await workshop.store.facts(ORDER_SCOPE)).reconciled_at is not None) == is_one
