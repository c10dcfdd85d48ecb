"""One run of one window, end to end, through ports only.

    plan ─► count ─► page ─► page ─► … ─► count ─► verify ─► close
                      └ rows, counts, resume point, fence: one transaction each
                                                              └ coverage, state, release: one transaction

The next page is fetched while the last is written, one ahead and no more, so memory does not grow with
the stream. The window closes only after everything in it is provably here (engine.verify); until then
the run may die at any instruction and the next one goes on from the resume point with the same bounds.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta

from comporta.core.counts import too_many
from comporta.core.instant import instant_text, short_text
from comporta.core.record import Page
from comporta.core.window import WHOLE, Kind, Window
from comporta.engine.plan import first_run_of, is_resumable, new_pass_id, plan_pass
from comporta.engine.verify import gone_at_source, verify
from comporta.engine.work import Work, well
from comporta.errors import TooManyRejected
from comporta.ports.store import Batch, Pass

AHEAD = timedelta(minutes=5)
"""A stamp further than this ahead of the source's clock is worth a warning."""
REJECTED_LEAST = 20
"""Fewer rejected records than this never fail a run, whatever their share."""


async def drive(work: Work) -> None:
    """Read a window, write it, and close it; raise what stopped it, claiming nothing."""
    plan = await plan_pass(work)
    if not work.run.dry_run:
        for change in await work.store.prepare(work.lease, work.shape):
            work.tell("schema_changed", change)
    before = await work.reader.count(since=plan.window.asked_since, until=plan.window.asked_until)
    if before and not work.run.dry_run:
        await _write_lookups(work)
    work.progress.rows_expected = before
    work.progress.rows_read = plan.read
    work.tell("pass_started", f"{before} records in the window by the source's count", {"expected": before})
    await _read(work, plan)
    await _refuse_rejections(work, plan)
    if work.request.max_records is not None:
        await work.close(Batch(work.shape), well(pass_id=plan.id))
        return
    is_agreed = await verify(work, plan, before=before)
    await _close(work, plan, is_agreed=is_agreed)


async def _write_lookups(work: Work) -> None:
    """Name what the ids in the stream mean; a run that finds nothing has nothing to name."""
    lookups = await work.reader.lookups()
    if lookups:
        await work.write(Batch(work.shape, lookups=lookups))


async def _read(work: Work, plan: Pass) -> None:
    clock = await work.reader.clock()
    started = work.clock.monotonic()
    pages = work.reader.pages(
        since=plan.window.asked_since,
        until=plan.window.asked_until,
        after=plan.position,
        limit=work.request.max_records,
    )
    # Closed here and now when a commit fails, so that no request of this run outlives it.
    async with aclosing(_one_ahead(_counted(work, _limited(pages, work.request.max_records)))) as ahead:
        async for page in ahead:
            elapsed = timedelta(seconds=work.clock.monotonic() - started)
            _warn_of_the_future(work, page, clock + elapsed)
            if page.rows or page.rejected:
                await _write_page(work, plan, page)


async def _write_page(work: Work, plan: Pass, page: Page) -> None:
    overwrite = plan.window.kind in WHOLE
    more = {"pass_id": plan.id, "position": page.position} if is_resumable(work) else {}
    counts = await work.write(work.batch(page, overwrite=overwrite, **more))
    work.tell(
        "batch_committed",
        f"{counts.inserted} new, {counts.updated} changed, {counts.unchanged} unchanged, {counts.rejected} rejected",
        {"position": page.position, **counts.as_json()},
    )
    for each in page.rejected:
        work.tell("records_rejected", f"{each.key}: {each.reason}", {"key": each.key}, level="warning")


async def _close(work: Work, plan: Pass, *, is_agreed: bool) -> None:
    """Claim the window, in the transaction that ends the run."""
    window = plan.window
    last = Batch(work.shape)
    if window.kind in WHOLE:
        last = await gone_at_source(work, plan, is_agreed=is_agreed)
    work.tell("window_closed", _closed(work, window), work.counts.as_json())
    await work.close(
        last,
        well(
            covered=window.interval,
            replaces=window.kind in WHOLE,
            fingerprint=plan.fingerprint,
            pass_id=plan.id,
            reconciled=_compared_whole(work, plan),
        ),
    )


def _compared_whole(work: Work, plan: Pass) -> dict[str, object] | None:
    """Return the result to keep: a complete pass that was verified is a reconciliation too.

    Not one that was asked for by hand and read its first part in an earlier run.
    """
    is_patched = plan.read > 0 and work.request.kind is not Kind.INCREMENTAL
    if plan.window.kind not in WHOLE or is_patched:
        return None
    return {"checked_at": short_text(work.clock.now()), "mode": "full", "identical_percent": 100.0, "repaired": True}


def _closed(work: Work, window: Window) -> str:
    counts = work.counts
    return (
        f"covered to {short_text(window.until)}: {counts.inserted} new, {counts.updated} changed,"
        f" {counts.unchanged} unchanged, {counts.rejected} rejected"
    )


async def _refuse_rejections(work: Work, plan: Pass) -> None:
    """Fail above the allowed share of the whole pass, and let the next run read all of it again.

    Going on from the resume point it would read nothing, see no rejected record and close the window.
    """
    read = plan.read + work.counts.read
    rejected = work.counts.rejected + (await _rejected_before(work, plan) if plan.read else 0)
    if too_many(rejected, read, share=work.rules.rejected_share, at_least=REJECTED_LEAST):
        message = (
            f"{work.scope}: {rejected} of {read} records cannot be written,"
            f" more than the allowed {work.rules.rejected_share:.0%}; the window stays open"
        )
        again = replace(plan, id=new_pass_id(work), position=None, read=0)
        await work.store.begin_pass(work.lease, again, resumable=is_resumable(work))
        raise TooManyRejected(message)


async def _rejected_before(work: Work, plan: Pass) -> int:
    """Return how many records that earlier runs of the pass rejected still wait in quarantine."""
    first = await work.store.run(first_run_of(plan))
    if first is None or first.started_at is None:
        return 0
    waiting = await work.store.quarantine(work.scope)
    return sum(each.last_seen >= first.started_at and each.run != work.run.id for each in waiting)


def _warn_of_the_future(work: Work, page: Page, clock: datetime) -> None:
    if work.shape.stamp is None:
        return
    place = work.shape.index(work.shape.stamp)
    limit = instant_text(clock + AHEAD)
    ahead = [row for row in page.rows if str(row[place] or "") > limit]
    if ahead:
        message = (
            f"{len(ahead)} rows are stamped ahead of the source's clock, up to {max(str(row[place]) for row in ahead)}"
        )
        work.tell("stale_rows_ahead", message, {"rows": len(ahead)}, level="warning")


async def _one_ahead(pages: AsyncGenerator[Page, None]) -> AsyncGenerator[Page, None]:
    """Yield pages, fetching the next while the caller works on one."""
    fetching = asyncio.ensure_future(anext(pages, None))
    try:
        while (page := await fetching) is not None:
            if not page.is_last:
                fetching = asyncio.ensure_future(anext(pages, None))
            yield page
            if page.is_last:
                return
    finally:
        fetching.cancel()
        await asyncio.gather(fetching, return_exceptions=True)
        await pages.aclose()


async def _counted(work: Work, pages: AsyncIterator[Page]) -> AsyncGenerator[Page, None]:
    async for page in pages:
        work.progress.touch()
        work.progress.rows_read += len(page.rows) + len(page.rejected)
        work.tell(
            "page_read",
            f"{len(page.rows)} records to {page.position}",
            {"rows": len(page.rows), "position": page.position},
        )
        yield page


async def _limited(pages: AsyncIterator[Page], maximum: int | None) -> AsyncGenerator[Page, None]:
    """Yield at most ``maximum`` records and then stop asking."""
    left = maximum
    async for page in pages:
        if left is None or len(page.rows) + len(page.rejected) < left:
            left = None if left is None else left - len(page.rows) - len(page.rejected)
            yield page
            continue
        rejected = page.rejected[:left]
        kept = left - len(rejected)
        extras = {place: extra for place, extra in page.extras.items() if place < kept}
        yield replace(page, rows=page.rows[:kept], rejected=rejected, extras=extras, is_last=True)
        return
