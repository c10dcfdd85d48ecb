"""Re-listing the children of changed parents: a deleted order line leaves no trace of its own.

When a run writes orders, the ledger notes their keys as hints for the stream of their lines, in the same
transaction. This run drains the hints: it lists the lines of those orders, writes what changed and marks
what is gone, each missing line looked at directly first.

Where a request brings the children of one parent only, as the values of an ActiveCampaign deal, an import would cost
a request for each of its deals. So where a sweep takes fewer, this run is one instead (``engine.drive``), and takes
away the hints that were written before it began. What comes while parents are asked is left to the next run.
"""

from collections.abc import Sequence
from datetime import timedelta

from comporta.core.coverage import Coverage
from comporta.core.hint import SLOW, Hint, is_sweep_cheaper
from comporta.core.record import Key, key_from_text
from comporta.engine.drive import drive
from comporta.engine.plan import make_fit, recall
from comporta.engine.verify import confirmed_gone, refuse_mass_deletion
from comporta.engine.work import Work, well
from comporta.errors import StopRun
from comporta.ports.store import Batch

PARENTS_MAX = 200
"""Parents in one request and one batch: some thousands of lines."""
HINTS_MAX = 100_000
"""Parents drained before what is gone is marked: bounds the keys that are kept in memory."""


async def relist_children(work: Work) -> None:
    """Look at what is hinted at by now, then end the run; or read everything, where that takes fewer requests.

    What is gone is marked only when all of it is known: a loss of everything comes portion by portion. Until then the
    hints of those portions stay; the others go with what they brought.
    """
    known = await recall(work)
    if await _is_sweep_better(work, known.covered):
        await _sweep(work)
        return
    await make_fit(work, known)
    is_more = True
    while is_more and (hints := await work.store.hints(work.scope, HINTS_MAX)):
        is_more = len(hints) == HINTS_MAX
        gone: list[Key] = []
        left: list[Hint] = []
        for start in range(0, len(hints), PARENTS_MAX):
            lost, waiting = await _relist(work, hints[start : start + PARENTS_MAX])
            gone += lost
            left += waiting
        await refuse_mass_deletion(work, gone)
        await work.write(Batch(work.shape, deleted=gone, handled_hints=left))
    await work.close(Batch(work.shape), well())


async def _sweep(work: Work) -> None:
    """Read everything; where a person has to look at what came of it, not again before the next sweep is due anyway."""
    hints = await work.store.hints(work.scope, HINTS_MAX)
    try:
        await drive(work)
    except StopRun:
        later = work.clock.now() + SLOW
        await work.write(Batch(work.shape, postponed_hints=[(each, later) for each in hints]))
        raise


async def _is_sweep_better(work: Work, covered: Coverage) -> bool:
    """Say whether to read everything instead: it takes fewer requests, or has never been done."""
    if work.reader.sweep_rows is None:
        return False
    parents = len(await work.store.hints(work.scope, HINTS_MAX))
    if not parents:
        return False
    if not covered.intervals:
        return True
    rows = await work.store.count_rows(work.account, work.shape)
    if not is_sweep_cheaper(parents, rows=rows, page_rows=work.reader.sweep_rows):
        return False
    message = f"{parents} changed parents are a request each; to read all {rows} records takes fewer"
    work.tell("sweep_chosen", message, {"parents": parents, "rows": rows})
    return True


async def _relist(work: Work, hints: Sequence[Hint]) -> tuple[list[Key], Sequence[Hint]]:
    """Write the children of some parents as they are now; return the keys of those that are gone, and their hints.

    A parent that is refused says nothing of its children, and is asked again later.
    """
    page = await work.reader.fetch_children([key_from_text(each.key) for each in hints])
    work.progress.rows_read += len(page.rows)
    refused = {each.key: each for each in page.unseen}
    for each in page.unseen:
        fields = {"key": each.key, "reason": each.reason, "hours": SLOW // timedelta(hours=1)}
        work.tell("children_untold", f"{each.key}: {each.reason}", fields, level="warning")
    answered = [each for each in hints if each.key not in refused]
    keys = [key_from_text(each.key) for each in answered]
    listed = work.came_in(page)
    ours = await work.store.children(work.account, work.shape, keys)
    suspects = sorted(key for key in ours if str(key) not in listed)
    gone = await confirmed_gone(work, suspects)
    later = work.clock.now() + SLOW
    counts = await work.write(
        work.batch(
            page,
            handled_hints=() if gone else answered,
            postponed_hints=[(each, later) for each in hints if each.key in refused],
        )
    )
    work.tell(
        "children_relisted",
        f"of {len(hints)} changed parents: {counts.inserted} new, {counts.updated} changed, {len(gone)} gone",
        {"parents": len(hints), "gone": len(gone), **counts.as_json()},
    )
    return gone, answered if gone else ()
