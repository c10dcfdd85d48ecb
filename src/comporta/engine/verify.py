"""Is everything of the window here? Nothing is claimed before this says yes.

Three equal counts are enough (core.completeness). Otherwise the source lists the window again, key and
stamp only, and the table is compared with that list: what is missing is fetched and written, and the
list is taken again, until it agrees. A total that fell is explained key by key or the run fails.
Where a stream has no stamps a row may be as old as it likes: only what this pass read is here then.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from comporta.core.compare import Differences, compare_stamps
from comporta.core.completeness import LISTINGS_MAX, Verdict, judge
from comporta.core.counts import too_many
from comporta.core.instant import instant_text
from comporta.core.record import Key, key_from_text
from comporta.core.ticket import successor
from comporta.core.window import Kind, Window
from comporta.engine.refusals import fetched
from comporta.engine.work import Work
from comporta.errors import SourceIncomplete, SourceUnavailable, TooManyDeleted, TotalShrank, UnconfirmedEmpty
from comporta.ports.rows import Among
from comporta.ports.store import Batch, Pass

FETCH_MAX = 1000
"""Records fetched by key in one request."""
DELETED_LEAST = 20
"""So many rows may always be marked deleted, whatever share of a small table they are."""
FEW = 20
"""So many rows that are not there, of those that were not listed, are enough to ask a person about all of them."""
BOUNDING = 2
"""So many listings say where a list ended: one may have been cut short."""


async def verify(work: Work, plan: Pass, *, before: int | None) -> bool:
    """Return when the window is provably complete; raise ``SourceIncomplete`` otherwise.

    Say whether the counts, or pages without a gap, were proof enough: then what was read is what the source has.
    """
    if work.run.dry_run:
        return False
    window = plan.window
    read = plan.read + work.counts.read
    after = await work.reader.count(since=window.asked_since, until=window.asked_until)
    is_unbroken = work.reader.is_unbroken
    verdict = judge(before=before, read=read, after=after, is_unbroken=is_unbroken)
    if verdict is Verdict.AGREED:
        return True
    if verdict is Verdict.EMPTY_UNCONFIRMED:
        await _ask_again(work, window, before=before, after=after)
    listed = await _until_listed(work, window)
    if before is not None and after is not None and after < before and not is_unbroken:
        await _explain_fall(work, window, before=before, after=after)
    # More than it lists, by its own count: its lists prevail, and people ought to hear of it.
    is_higher = listed < min(before or 0, after or 0)
    work.tell(
        "window_verified",
        f"counts were {before} before and {after} after, {read} read; {listed} listed again, all here",
        {"before": before, "read": read, "after": after, "listed": listed},
        level="warning" if is_higher else "info",
    )
    return False


async def gone_at_source(work: Work, plan: Pass, *, is_agreed: bool) -> Batch:
    """Return the batch that takes away what a complete pass did not see, each key looked at directly.

    Nothing is to be looked for when the counts agreed, all in this one run, and the table has as many rows.
    """
    is_clearing = plan.window.kind is Kind.CLEAR_FIRST
    if work.shape.settled is not None and not is_clearing:
        return Batch(work.shape)
    last = Batch(work.shape, released=await _gone_from_quarantine(work), remove_deleted=is_clearing)
    here = await work.store.count_rows(work.account, work.shape)
    if is_agreed and plan.read == 0 and here == work.counts.read - work.counts.rejected:
        return last
    missing = (await sweep(work, since=plan.window.asked_since)).extra
    if is_clearing:
        return replace(last, removed=await confirmed_gone(work, missing))
    await _refuse_at_first_sight(work, missing)
    gone = await confirmed_gone(work, missing)
    await refuse_mass_deletion(work, gone)
    if gone:
        work.tell_deleted(gone)
    return replace(last, deleted=gone, hints=work.rules.hints)


async def _gone_from_quarantine(work: Work) -> list[str]:
    """Return the waiting records that a complete pass did not meet and that a direct look does not find either."""
    waiting = [key_from_text(each.key) for each in await work.store.quarantine(work.scope) if each.run != work.run.id]
    return [str(key) for key in await confirmed_gone(work, waiting, may_wait=True)]


async def sweep(work: Work, *, since: datetime | None, until: datetime | None = None) -> Differences:
    """Compare every key and stamp of a stretch of time with the table, key range by key range, in flat memory."""
    found = Differences()
    after: Key | None = None
    async for part in work.reader.listing(since=since, until=until):
        work.progress.touch()
        if not part:
            continue
        upto = part[-1][0]
        stretch = Among(after=after, upto=upto, since=since, until=until)
        found.add(compare_stamps(dict(part), await work.store.stamps(work.account, work.shape, stretch)))
        after = upto
    rest = await work.store.stamps(work.account, work.shape, Among(after=after, since=since, until=until))
    found.add(compare_stamps({}, rest))
    return found


async def confirmed_gone(work: Work, suspects: Sequence[Key], *, may_wait: bool = False) -> list[Key]:
    """Return those of the keys that a direct look does not find, or that the stream's domain left out.

    Where the server fails for all of many, the next attempt asks again; at the last one, or where they ``may_wait``,
    none of them is gone: records that fail for ever must not keep a window open.
    """
    gone: list[Key] = []
    for part in parts(suspects):
        work.progress.touch()
        try:
            living = await work.reader.existing(part)
        except SourceUnavailable as error:
            if not error.is_of_one or (not may_wait and successor(work.run, not_before=None) is not None):
                raise
            continue
        missing = [key for key in part if key not in living]
        outside = await _outside_domain(work, [key for key in part if key in living])
        gone += [*missing, *outside]
    return gone


async def refuse_mass_deletion(work: Work, gone: Sequence[Key]) -> None:
    """Stop before a run has marked an implausible share of a table deleted, unless a person confirmed it.

    What the run marked before counts too: it may come upon the loss of everything portion by portion.
    """
    if (message := await _too_many(work, len(gone))) is not None:
        raise TooManyDeleted(message, next_step=_way_to_confirm(work))


async def _refuse_at_first_sight(work: Work, missing: Sequence[Key]) -> None:
    """Stop where too many rows were not listed, and none of a few of them is there.

    Where each look is a request of its own, thousands of them would take an account's whole limit for half an hour,
    each time that the stream is read, to come to the same question.
    """
    message = await _too_many(work, len(missing))
    few = missing[:: -(-len(missing) // FEW)] if message is not None else []
    if message is not None and len(await confirmed_gone(work, few)) == len(few):
        seen = f"{message}; {len(few)} of them were looked at"
        raise TooManyDeleted(seen, next_step=_way_to_confirm(work))


async def _too_many(work: Work, gone: int) -> str | None:
    """Say that a person should confirm that so many rows more are gone, ``None`` if nobody has to."""
    rules = work.rules
    if not gone or rules.deletions_confirmed or work.run.dry_run:
        return None
    marked = work.counts.deleted
    here = marked + await work.store.count_rows(work.account, work.shape)
    if not too_many(marked + gone, here, share=rules.deleted_share, at_least=DELETED_LEAST):
        return None
    return (
        f"{work.scope}: {marked + gone} of {here} rows are gone at the source, more than the allowed"
        f" {rules.deleted_share:.0%}; {marked or 'none'} of them marked deleted so far"
    )


def _way_to_confirm(work: Work) -> str:
    """Return the command that compares the stream: one that bears no stamp is compared by its syncs alone."""
    step = TooManyDeleted.next_step.replace("ACCOUNT/STREAM", str(work.scope))
    return step if work.shape.stamp is not None else step.replace("reconcile", "sync").replace(" --repair", "")


async def _outside_domain(work: Work, living: Sequence[Key]) -> list[Key]:
    """Return the living keys that the stream's own domain does not admit any more."""
    if not living or not work.reader.query.get("domain"):
        return []
    admitted = work.came_in(await work.reader.fetch(living))
    return [key for key in living if str(key) not in admitted]


async def _ask_again(work: Work, window: Window, *, before: int | None, after: int | None) -> None:
    """Fail unless a second look finds the records that the source counts and the first did not bring."""
    async for part in work.reader.listing(since=window.asked_since, until=window.asked_until):
        if part:
            return
    message = (
        f"{work.scope}: no record came, twice, but the source counts {max(before or 0, after or 0)} in the window"
        f" ({before} before, {after} after)"
    )
    raise UnconfirmedEmpty(message)


async def _until_listed(work: Work, window: Window) -> int:
    """List the window and fetch what is missing, until a listing finds everything here.

    Stamps say what is younger than the window. Where there are none, ids rise, and what neither of two listings
    reached came after them: a list that grows faster than its records are fetched would never be here otherwise.
    """
    found = _Listed(0, (), None)
    reached: list[int] = []
    for _ in range(LISTINGS_MAX):
        is_bounded = work.shape.stamp is None and len(reached) == BOUNDING
        found = await _listed(work, window, upto=max(reached) if is_bounded else None)
        if not found.missing:
            return found.count
        reached += [found.last] if found.last is not None and len(reached) < BOUNDING else []
        for part in parts(found.missing):
            page, failure = await fetched(work, part)
            await work.write(work.batch(page))
            if failure is not None:
                raise failure
    message = (
        f"{work.scope}: after {LISTINGS_MAX} listings {len(found.missing)} records of the window are still not here"
        f" (first: {found.missing[:5]})"
    )
    raise SourceIncomplete(message)


@dataclass(frozen=True, slots=True)
class _Listed:
    """How many records a window lists, the keys that are not here at that version, and the last number listed."""

    count: int
    missing: Sequence[Key]
    last: int | None


async def _listed(work: Work, window: Window, *, upto: int | None) -> _Listed:
    """List a window and look for each record here; keys beyond ``upto`` are not missing."""
    waiting = {each.key for each in await work.store.quarantine(work.scope)}
    claimed = instant_text(window.until)
    count, missing = 0, list[Key]()
    last: int | None = None
    async for part in work.reader.listing(since=window.asked_since, until=window.asked_until):
        work.progress.touch()
        count += len(part)
        last = max((key for key, _ in part if isinstance(key, int)), default=last)
        ours = await work.here([key for key, _ in part])
        for key, stamp in part:
            is_read = work.seen is None or key in work.seen
            is_here = key in ours and is_read and str(ours[key] or "") >= str(stamp or "")
            is_younger = upto is not None and isinstance(key, int) and key > upto
            if not is_here and not is_younger and str(stamp or "") < claimed and str(key) not in waiting:
                missing.append(key)
    return _Listed(count, missing, last)


async def _explain_fall(work: Work, window: Window, *, before: int, after: int) -> None:
    """Fail unless each record that left while we read is known by key."""
    bounds = Among(since=window.asked_since, until=window.asked_until)
    ours = await work.store.stamps(work.account, work.shape, bounds)
    listed: set[Key] = set()
    async for part in work.reader.listing(since=window.asked_since, until=window.asked_until):
        listed.update(key for key, _ in part)
    left = [key for key in ours if key not in listed]
    unexplained = before - after - len(left)
    if unexplained > 0:
        message = (
            f"{work.scope}: the source counted {before} records before and {after} after;"
            f" {len(left)} of the {before - after} that left are known by key, {unexplained} are not"
        )
        raise TotalShrank(message)


def parts(keys: Sequence[Key]) -> Sequence[Sequence[Key]]:
    """Return the keys in portions that one request can ask for."""
    return [keys[start : start + FETCH_MAX] for start in range(0, len(keys), FETCH_MAX)]
