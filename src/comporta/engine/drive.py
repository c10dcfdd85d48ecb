"""One run of one window, end to end, through ports only.

    plan ─► count ─► page ─► page ─► … ─► count ─► verify ─► close
                      └ rows, counts, resume point, fence: one transaction each
                                                              └ coverage, state, release: one transaction

The next pages are fetched while the last are written, in batches of a bounded size (engine.ahead).
The window closes only after everything in it is provably here (engine.verify); until then
the run may die at any instruction and the next one goes on from the resume point with the same bounds.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from comporta.core.batch import FIRST_ROWS, BatchSize
from comporta.core.counts import too_many
from comporta.core.hint import Hint
from comporta.core.instant import BEGINNING, instant_text, short_text
from comporta.core.record import Page
from comporta.core.window import WHOLE, Kind, Window
from comporta.engine.ahead import in_batches, limited, records
from comporta.engine.plan import (
    RESUMED_WHOLE_MAX,
    Known,
    first_run_of,
    is_resumable,
    make_fit,
    new_pass_id,
    plan_pass,
    tell_of_voiding,
)
from comporta.engine.refusals import REJECTED_LEAST
from comporta.engine.verify import gone_at_source, verify
from comporta.engine.work import Work, well
from comporta.errors import TooManyRejected
from comporta.observability.words import TABLE
from comporta.ports.store import Batch, Pass

AHEAD = timedelta(minutes=5)
"""A stamp further than this ahead of the source's clock is worth a warning."""
RUNS_MAX = 200
"""Runs that are looked at for those of one pass."""
EVER = datetime(9999, 1, 1, tzinfo=UTC)
ANSWERED_MAX = 100_000
"""Hints that one pass takes away; what is left is looked at by itself."""


async def drive(work: Work) -> None:
    """Read a window, write it, and close it; raise what stopped it, claiming nothing."""
    plan, known = await plan_pass(work)
    if not work.run.dry_run:
        plan = await _fit_the_table(work, plan, known)
    if work.shape.stamp is None and plan.read == 0:
        work.seen = set()
    answered = await _hints_that_it_answers(work, plan)
    before = await work.reader.count(since=plan.window.asked_since, until=plan.window.asked_until)
    if before != 0 and not work.run.dry_run:
        await _write_lookups(work)
    work.progress.rows_expected = before
    work.progress.rows_read = plan.read
    counted = "an unknown number of" if before is None else str(before)
    work.tell("pass_started", f"{counted} records in the window by the source's count", {"expected": before})
    await _read(work, plan)
    await _refuse_rejections(work, plan)
    if work.request.max_records is not None:
        await work.close(Batch(work.shape), well(pass_id=plan.id))
        return
    is_agreed = await verify(work, plan, before=before)
    await _close(work, plan, answered, is_agreed=is_agreed)


async def _hints_that_it_answers(work: Work, plan: Pass) -> Sequence[Hint]:
    """Return the hints that the pass will answer: those written before its first request, if it reads everything.

    Only where rows bear no stamp, so that nothing but such a pass, or a look at each parent, reads them.
    """
    if work.shape.parent is None or work.shape.stamp is not None or plan.window.kind not in WHOLE or plan.read:
        return ()
    return await work.store.hints(work.scope, ANSWERED_MAX, due=EVER)  # postponed ones too


async def _fit_the_table(work: Work, plan: Pass, known: Known) -> Pass:
    """Make the table fit and return the pass to work on: another where rows that were covered are gone."""
    had_rows = plan.position is not None or plan.window.since > BEGINNING
    is_made = await make_fit(work, known, plan)
    if is_made and had_rows and not (await work.store.coverage(work.scope)).intervals:
        if known.covered.intervals:
            tell_of_voiding(work, TABLE)
        await work.store.void_coverage(work.lease)  # the pass that was begun a moment ago, too
        plan, _ = await plan_pass(work)
    return plan


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
    most = work.rules.batch_rows_max
    size = BatchSize(min(FIRST_ROWS, most), most)
    counted = _counted(work, limited(pages, work.shape, work.request.max_records))
    async with aclosing(pages), aclosing(in_batches(counted, work.shape, lambda: size.rows)) as ahead:
        async for page in ahead:
            elapsed = timedelta(seconds=work.clock.monotonic() - started)
            _warn_of_the_future(work, page, clock + elapsed)
            if records(page):
                before = work.clock.monotonic()
                await _write_page(work, plan, page)
                size = size.after(records(page), took_s=work.clock.monotonic() - before)


async def _write_page(work: Work, plan: Pass, page: Page) -> None:
    overwrite = plan.window.kind in WHOLE
    more = {"pass_id": plan.id, "position": page.position} if is_resumable(work) else {}
    counts = await work.write(work.batch(page, overwrite=overwrite, **more))
    work.tell(
        "batch_compared" if work.run.dry_run else "batch_committed",
        f"{counts.inserted} new, {counts.updated} changed, {counts.unchanged} unchanged, {counts.rejected} rejected",
        {"position": page.position, **counts.as_json(), **work.beside},
    )
    for each in page.rejected:
        work.tell_rejected(each)


async def _close(work: Work, plan: Pass, answered: Sequence[Hint], *, is_agreed: bool) -> None:
    """Claim the window, and take away what it answered, in the transaction that ends the run."""
    window = plan.window
    last = Batch(work.shape)
    if window.kind in WHOLE:
        last = replace(await gone_at_source(work, plan, is_agreed=is_agreed), handled_hints=answered)
    if not work.run.dry_run:
        work.tell("window_closed", _closed(work, window), {"until": short_text(window.until), **work.counts.as_json()})
    await work.close(
        last,
        well(
            covered=window.interval,
            replaces=window.kind in WHOLE,
            fingerprint=plan.fingerprint,
            pass_id=plan.id,
            reconciled=await _compared_whole(work, plan, is_agreed=is_agreed),
        ),
    )


async def _compared_whole(work: Work, plan: Pass, *, is_agreed: bool) -> dict[str, object] | None:
    """Return the result to keep: a complete pass that was verified is a reconciliation too.

    Not one that was asked for by hand and read its first part in an earlier run, nor one that rows are hidden from.
    """
    is_patched = plan.read > 0 and work.request.kind is not Kind.INCREMENTAL
    if plan.window.kind not in WHOLE or is_patched or not await _met_every_row(work, plan, is_agreed=is_agreed):
        return None
    return {"checked_at": short_text(work.clock.now()), "mode": "full", "identical_percent": 100.0, "repaired": True}


async def _met_every_row(work: Work, plan: Pass, *, is_agreed: bool) -> bool:
    """Say whether the pass met every row that is here; those that its source hides nobody has looked at."""
    if work.shape.settled is None:
        return True
    counts, here = work.counts, await work.store.count_rows(work.account, work.shape)
    is_same = is_agreed and plan.read == 0 and here == counts.read - counts.rejected
    return is_same or here == counts.inserted + await _inserted_before(work, plan)


async def _inserted_before(work: Work, plan: Pass) -> int:
    """Return how many rows came with the earlier runs of a pass; none where they were read too long ago."""
    first = await work.store.run(first_run_of(plan)) if plan.read else None
    if first is None or first.started_at is None or work.clock.now() - first.started_at > RESUMED_WHOLE_MAX:
        return 0
    runs = await work.store.runs(account=work.account, stream=work.run.stream, dry_run=False, limit=RUNS_MAX)
    since = [run for run in runs if run.started_at is not None and run.started_at >= first.started_at]
    return sum(run.counts.inserted for run in since if run.id != work.run.id)


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
        latest = max(str(row[place]) for row in ahead)
        message = f"{len(ahead)} rows are stamped ahead of the source's clock, up to {latest}"
        work.tell("stale_rows_ahead", message, {"rows": len(ahead), "latest": latest}, level="warning")


async def _counted(work: Work, pages: AsyncIterator[Page]) -> AsyncGenerator[Page, None]:
    number = largest = 0
    while True:
        with work.progress.trace.span("page", {"comporta.page": number + 1}):
            page = await anext(pages, None)
        if page is None:
            return
        number, largest = number + 1, max(largest, records(page))
        work.progress.touch()
        work.progress.rows_read += records(page)
        last = _last_page(work, number, largest)
        which = f"{number}/{last}" if last else str(number)
        upto = f" to {page.position}" if page.position else ""
        work.tell(
            "page_read",
            f"page {which}: {len(page.rows)} records{upto}",
            {"page": number, "pages": last, "rows": len(page.rows), "position": page.position},
        )
        yield page


def _last_page(work: Work, number: int, largest: int) -> int | None:
    """Return the number of the last page, if those to come are as large as the largest; ``None`` without a total."""
    expected = work.progress.rows_expected
    if expected is None:
        return None
    left = max(0, expected - work.progress.rows_read)
    return number + (-(-left // largest) if largest else 0)
