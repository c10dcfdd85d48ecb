"""Comparing a stream with its source, and repairing: what no stamp shows.

Late commits beyond the overlap, deletions, rows restored from a backup. A table of moderate size is
compared by every key and stamp. A large one cheaply first: count and sum of keys for every hour of
stamps, on both sides, then the hours that differ, and the last one that is not over, key by key. That is
blind to a row whose stamp moved within its hour, which ``exact`` sees. What differs is read again and
written whatever the stored stamp says; what is gone is marked only after a direct look.

Where records are hidden once they are settled, some change without their stamp too. So of those that are still open, or
were settled lately, a slice is read again by key each time, the next one the next time: slow, but in the end all.

A row that changed after ``until`` is not stale, only not synced yet: it is written too, and counted apart.
A row that moved to another hour makes two hours differ: it is absent in one and extra in the other, so
both kinds of suspects are fetched before anything is called deleted.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from comporta.core.compare import Differences, compare_stamps, differing_hours
from comporta.core.counts import Counts
from comporta.core.coverage import Coverage
from comporta.core.instant import instant_text, short_text
from comporta.core.nested import only
from comporta.core.record import Key, Page, Shape
from comporta.engine import recheck
from comporta.engine.plan import make_fit, origin_of, recall
from comporta.engine.recheck import RECHECKED_UPTO, next_slice, remember, since_of
from comporta.engine.refusals import fetched
from comporta.engine.verify import confirmed_gone, parts, refuse_mass_deletion, sweep
from comporta.engine.work import Work, well
from comporta.errors import WrongUse
from comporta.ports.rows import Among
from comporta.ports.store import Batch

HOUR = timedelta(hours=1)
PORTION = 100
"""So many are read again by key, and then it is kept how far that was."""
HOURS_MAX = 24
"""More differing hours than this are compared by key at once: an hour costs a walk through the table."""


async def reconcile(work: Work) -> None:
    """Compare, repair unless it is a dry run, and end the run with the result."""
    known = await recall(work)
    until = await _until(work, known.covered)
    if not work.run.dry_run:
        await make_fit(work, known)
    here = await work.store.count_rows(work.account, work.shape)
    is_exact = work.request.exact or here <= work.rules.exact_rows_max
    if is_exact:
        # Without an upper bound rows that bear no stamp are listed too; what is newer is told apart below.
        found, hours = await sweep(work, since=since_of(work)), 0
    else:
        found, hours = await _by_hour(work, until)
    found = await _still_missing(work, found, is_exact=is_exact)
    where, compared = ("", {}) if is_exact else (f" of {hours} hours", {"hours": hours})
    message = f"{found.total} records{where} are looked at again"
    work.tell("reconcile_compared", message, {"suspects": found.total, **compared})
    suspects = {*found.absent, *found.stale, *found.extra}
    counts = await _settle(work, suspects, instant_text(until))
    again = await next_slice(work, recheck.RECHECKED_MAX, settled_for=recheck.SETTLED_FOR)
    for start in range(0, len(again), PORTION):
        part = again[start : start + PORTION]
        counts += await _settle(work, set(part) - suspects, instant_text(until))
        await remember(work, part[-1])
    mode = "exact" if is_exact else "hours"
    result = {"mode": mode, "hours_differing": hours, **_result(work, until, counts, here=here)}
    if work.shape.settled is not None:
        result |= {"rechecked": len(again), RECHECKED_UPTO: again[-1] if len(again) == recheck.RECHECKED_MAX else None}
    step = "reconcile_compared" if work.run.dry_run else "reconcile_repaired"
    work.tell(step, _told(counts), result)
    await work.close(Batch(work.shape), well(reconciled=None if work.run.dry_run else result))


async def _still_missing(work: Work, found: Differences, *, is_exact: bool) -> Differences:
    """Return the differences without what is extra here for a reason that is no deletion.

    Settled records may be hidden at the source, and need no second look. What one listing left out, a second one may
    bring; hours were compared with a listing of their own.
    """
    if not found.extra:
        return found
    extra = found.extra
    if work.shape.settled is not None:
        extra = list(await work.store.stamps(work.account, work.shape, Among(keys=extra, is_open=True)))
    elif is_exact:
        again = set((await sweep(work, since=since_of(work))).extra)
        extra = [key for key in extra if key in again]
    return replace(found, extra=extra)


async def _until(work: Work, covered: Coverage) -> datetime:
    """Return up to where both sides should agree: what is covered, and not the source's present."""
    if work.shape.stamp is None:
        message = f"{work.scope}: has no stamp to go by, so each sync of it reads and compares everything"
        raise WrongUse(
            message, next_step=f"Run `comporta sync {work.scope}`; with --dry-run it only shows what differs."
        )
    if covered.end is None:
        message = f"{work.scope}: nothing is covered yet, so there is nothing to compare"
        raise WrongUse(message, next_step=f"Run `comporta sync {work.scope}` first.")
    return min(covered.end, await work.reader.clock() - work.rules.margin)


async def _by_hour(work: Work, until: datetime) -> tuple[Differences, int]:
    """Compare the hours that differ, and those that the stream's origin or the present cut short."""
    origin = origin_of(work)
    last = until.replace(minute=0, second=0, microsecond=0)
    theirs = await work.reader.buckets(until=last)
    ours = await work.store.buckets(work.account, work.shape, last)
    hours = [hour for hour in differing_hours(theirs, ours) if _start(hour) + HOUR > origin]
    if len(hours) > HOURS_MAX:
        return await sweep(work, since=since_of(work), until=until), len(hours)
    found = Differences(compared=sum(bucket.rows for bucket in theirs))
    for hour in hours:
        found.add(await _slice(work, max(_start(hour), origin), _start(hour) + HOUR))
    found.add(await _slice(work, max(last, origin), until))
    return found, len(hours)


def _start(hour: str) -> datetime:
    return datetime.fromisoformat(f"{hour}:00:00").replace(tzinfo=UTC)


async def _slice(work: Work, since: datetime, until: datetime) -> Differences:
    """Compare the records stamped in a short interval."""
    if since >= until:
        return Differences()
    theirs = {key: stamp async for part in work.reader.listing(since=since, until=until) for key, stamp in part}
    work.progress.touch()
    ours = await work.store.stamps(work.account, work.shape, Among(since=since, until=until))
    return replace(compare_stamps(theirs, ours), compared=0)


async def _settle(work: Work, suspects: Collection[Key], until: str) -> Counts:
    """Read every suspect again, write what differs, mark what is gone; return what was not as it should be.

    One that is refused waits in quarantine, and stops no other; that all of many were is raised, and so is what a
    server in trouble failed to tell: a comparison that passed over it would come again only the next day.
    """
    wrong = Counts()
    missing: list[Key] = []
    for part in parts(sorted(suspects, key=lambda key: (isinstance(key, str), key))):
        page, failure = await fetched(work, part)
        seen = work.came_in(page)
        missing += [key for key in part if str(key) not in seen]
        settled, moved_on = _split(page, work.shape, until)
        wrong += await work.write(work.batch(settled, overwrite=True))
        await work.write(work.batch(moved_on, overwrite=True))
        if failure is not None:
            raise failure
    gone = [] if work.shape.settled else await confirmed_gone(work, list(await work.here(missing)))
    await refuse_mass_deletion(work, gone)
    if gone:
        work.tell_deleted(gone)
        wrong += await work.write(Batch(work.shape, deleted=gone, hints=work.rules.hints))
    return wrong


def _split(page: Page, shape: Shape, until: str) -> tuple[Page, Page]:
    """Return the records stamped before ``until`` and those that changed since, each as a page."""
    place = shape.index(shape.stamp or shape.key)
    new = [number for number, row in enumerate(page.rows) if str(row[place] or "") >= until]
    old = sorted(set(range(len(page.rows))).difference(new))
    return only(page, shape, old), replace(only(page, shape, new), rejected=(), lookups=())


def _result(work: Work, until: datetime, counts: Counts, *, here: int) -> dict[str, object]:
    on_either_side = here + counts.inserted
    same = max(0, here - counts.updated - counts.deleted - counts.rejected)
    return {
        "checked_at": short_text(work.clock.now()),
        "until": short_text(until),
        "rows": here,
        "missing": counts.inserted,
        "different": counts.updated,
        "extra": counts.deleted,
        "identical_percent": round(100 * same / on_either_side, 3) if on_either_side else 100.0,
        "repaired": not work.run.dry_run,
    }


def _told(counts: Counts) -> str:
    unfit = f", {counts.rejected} cannot be written" if counts.rejected else ""
    return f"{counts.inserted} were missing, {counts.updated} different, {counts.deleted} gone at the source{unfit}"
