"""Looking at records by key, because something hinted at them.

Two uses. A stream that can be listed is also told of single records, by notifications: ``fetch_hinted`` reads those.
A stream that cannot be listed consists of what another stream refers to: the shipments that orders name. ``gather``
reads those, and what it may claim is what that other stream had covered before: every hint of it was there by then,
because it was committed with the row that gave it.

A run looks at what was hinted at when it began, and ends: what is told meanwhile is for the next one, which follows at
once. A hint is taken away in the transaction that writes its record, and only if nobody told it again meanwhile. One
that a record of ours gave, and nobody else would give again, stays until its record comes: it is shown in quarantine
meanwhile, for what this stream claims may reach as far as that.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from comporta.core.coverage import Coverage
from comporta.core.hint import Hint, Version, is_answered, is_slow, looked_in_vain, told_in_part
from comporta.core.instant import short_text
from comporta.core.record import Key, Page, Rejected, Shape, key_from_text
from comporta.core.schema import WRITTEN_BY
from comporta.core.window import EVERYTHING, WHOLE, Kind
from comporta.engine import recheck
from comporta.engine.named import hint_at_named, is_named
from comporta.engine.plan import first_run_of, is_claiming, make_fit, plan_gathering, recall
from comporta.engine.recheck import RECHECKED_UPTO, known_upto, next_slice, remember
from comporta.engine.refusals import all_refused, failed, too_many_unfit
from comporta.engine.strangers import Strangers, keys_here
from comporta.engine.verify import confirmed_gone, refuse_mass_deletion
from comporta.engine.work import Work, well
from comporta.errors import ComportaError, RecordAbsent, TooManyDeleted
from comporta.ports.rows import Among
from comporta.ports.store import Batch

PORTION = 100
"""Records looked at in one transaction."""
KNOWN_MAX = 100_000
"""Hints kept in memory; where there are more they are taken in turns."""


async def fetch_hinted(work: Work) -> None:
    """Read what hints of the stream tell of, and end the run."""
    await make_fit(work, await recall(work))
    await hint_at_named(work)
    await _drain(work)
    await work.close(Batch(work.shape), well())


async def gather(work: Work) -> None:
    """Read what another stream refers to, and end the run with the claim that this one reaches as far."""
    plan, is_whole = await plan_gathering(work)
    covered = await work.store.coverage(f"{work.account}/{work.shape.parent_stream}")
    if not work.run.dry_run:
        is_new = first_run_of(plan) == work.run.id
        if is_new:
            await _refer(work, is_whole=is_whole)
        is_resumable = is_whole or (is_new and work.request.kind is Kind.RECONCILE)
        await work.store.begin_pass(work.lease, plan, resumable=is_resumable and is_claiming(work))
    if work.run.dry_run and (is_whole or work.request.kind is Kind.RECONCILE):
        await _compare_dry(work, is_whole=is_whole)
    else:
        await _drain(work)
    is_first = plan.window.kind in WHOLE and work.request.kind is Kind.INCREMENTAL  # gone on with, too
    is_compared = (is_whole or is_first or work.request.kind is Kind.RECONCILE) and is_claiming(work)
    # A first pass stands until there is anything to claim, so that the next run does not hint at everything again.
    is_over = bool(covered.intervals) or work.request.kind is not Kind.INCREMENTAL
    compared = await _compared(work, is_whole=is_whole or is_first) if is_compared else None
    ending = well(pass_id=plan.id if is_over else None, reconciled=compared)
    if covered.intervals and is_claiming(work) and work.request.kind is not Kind.NOTIFICATION:
        ending = replace(ending, covered=covered.intervals[-1], replaces=True, fingerprint=plan.fingerprint)
    await work.close(Batch(work.shape), ending)


async def _compared(work: Work, *, is_whole: bool) -> dict[str, object]:
    """Return the result to keep: all that may have changed was read again, or the next slice of it."""
    counts = work.counts
    return {
        "checked_at": short_text(work.clock.now()),
        "mode": "by key",
        "missing": counts.inserted,
        "different": counts.updated,
        "repaired": True,
        RECHECKED_UPTO: None if is_whole else await known_upto(work),
    }


async def _refer(work: Work, *, is_whole: bool) -> None:
    """Hint at everything that is referred to, or, when it is time to compare, at what may have changed since."""
    shape, (parents, column) = work.shape, _named_by(work.shape)
    if is_whole:
        found = await work.store.refer(work.lease, parents, column)
        await work.store.wake(work.lease)
        fields = {"referred": found, "by": shape.parent_stream}
        work.tell("pass_started", f"{found} records that {shape.parent_stream} refer to", fields)
    elif work.request.kind is Kind.RECONCILE:
        again = await next_slice(work, recheck.GATHERED_MAX)
        await work.store.look_again(work.lease, again)
        await remember(work, again[-1] if len(again) == recheck.GATHERED_MAX else None)
        found = len(again) + await work.store.refer(work.lease, parents, column, lacking=shape)
        if gone := await work.store.let_go(work.lease, shape, parents, column):
            message = f"{gone} records that were looked for in vain are named by no {shape.parent_stream} any more"
            work.tell("hints_let_go", message, {"hints": gone, "by": shape.parent_stream})
        await work.store.wake(work.lease)
        work.tell("pass_started", f"{found} records that may still change", {"changeable": found})


def _named_by(shape: Shape) -> tuple[Shape, str]:
    """Return the stream that refers to this one, and the column in which it does."""
    assert shape.parent_stream is not None, "what cannot be listed another stream refers to"  # noqa: S101  for mypy
    assert shape.referred_by is not None, "as was said, in a column"  # noqa: S101  for mypy
    return replace(shape, stream=shape.parent_stream, settled=None), shape.referred_by


async def _compare_dry(work: Work, *, is_whole: bool) -> None:
    """Look at what a run that writes would hint at first, and at what is hinted at: a dry one leaves no hint."""
    parents, column = _named_by(work.shape)
    again = [] if is_whole else await next_slice(work, recheck.GATHERED_MAX)
    named = await work.store.named(work.account, parents, column, lacking=None if is_whole else work.shape)
    told = await work.store.hints(work.scope, KNOWN_MAX, due=work.clock.now())
    known = {each.key for each in told}
    wanted = [*told, *(Hint(str(key)) for key in (*again, *named) if str(key) not in known)]
    wanted = wanted[: work.request.max_records]
    for start in range(0, len(wanted), PORTION):
        part = wanted[start : start + PORTION]
        page = await work.reader.fetch([key_from_text(each.key) for each in part])
        await _write(work, page, hints=part, wanted=part)
        if page.failure is not None:
            raise page.failure


async def _drain(work: Work) -> None:
    coverage, strangers = await work.store.coverage(work.scope), Strangers(work)
    async for portion in _portions(work):
        hints = [each for each in portion if not is_named(work.shape, each)]  # one that is left is for the next run
        answered = await _answered(work, hints, coverage)
        wanted = await strangers.admitted([each for each in hints if each not in answered])
        if not answered and not wanted:
            continue
        keys = [key_from_text(each.key) for each in wanted]
        page = await work.reader.fetch(keys) if keys else Page((), is_last=True)
        if page.failure is not None:  # of the rest nothing is said: it is for the next attempt
            said = _said(work, page)
            wanted = [each for each in wanted if each.key in said]
        strangers.looked(page)
        await _write(work, page, hints=[*answered, *wanted], wanted=wanted)
        if page.failure is not None:
            raise page.failure
    strangers.tell()


async def _portions(work: Work) -> AsyncIterator[Sequence[Hint]]:
    """Yield all that is hinted at by now, or as much of it as was asked for; a dry run takes no hint away.

    Not until nothing is: where one is told of for each that is looked at, the run would never end.
    """
    left, begun = work.request.max_records, work.clock.now()  # what is postponed meanwhile is for another run
    is_more = True
    while is_more and (left is None or left > 0):
        most = min(KNOWN_MAX, left or KNOWN_MAX)
        hints = await work.store.hints(work.scope, most, due=begun)
        for start in range(0, len(hints), PORTION):
            yield hints[start : start + PORTION]
            if work.run.dry_run:
                return
        left = None if left is None else left - len(hints)
        is_more = len(hints) == most


async def _answered(work: Work, hints: Sequence[Hint], coverage: Coverage) -> Sequence[Hint]:
    """Return the hints of which all is known already."""
    told = [each for each in hints if each.told_at is not None]
    if not told or work.shape.referred_by is not None:
        return []
    keys = [key_from_text(each.key) for each in told]
    ours = await _versions(work, keys)
    has_stamp, hides = work.shape.stamp is not None, work.shape.settled is not None
    waiting = {each.key for each in await work.store.quarantine(work.scope)}  # covered, but not here
    return [
        each
        for key, each in zip(keys, told, strict=True)
        if each.key not in waiting and is_answered(each, coverage, ours.get(key), has_stamp=has_stamp, hides=hides)
    ]


async def _versions(work: Work, keys: Sequence[Key]) -> dict[Key, Version]:
    """Return what we have of records; where some are hidden it matters since when that was read."""
    stamps = await work.here(keys)
    if work.shape.settled is None:
        return {key: Version(stamp) for key, stamp in stamps.items()}
    cells = await work.store.cells(work.account, work.shape, keys, [WRITTEN_BY])
    begun = {name: await _begun_at(work, name) for name in sorted({str(name) for (name,) in cells.values()})}
    return {key: Version(stamp, begun[str(cells[key][0])]) for key, stamp in stamps.items()}


async def _begun_at(work: Work, run_id: str) -> datetime | None:
    """Return when a run began by the source's clock, ``None`` if nobody knows any more."""
    run = await work.store.run(run_id)
    offset = timedelta(seconds=(await work.store.facts(work.scope)).clock_offset_s or 0)
    return None if run is None or run.started_at is None else run.started_at + offset


def _said(work: Work, page: Page) -> frozenset[str]:
    """Return the keys of which a page says anything."""
    place = work.shape.index(work.shape.key)
    return frozenset([*(str(row[place]) for row in page.rows), *(each.key for each in (*page.rejected, *page.unseen))])


@dataclass(slots=True)
class _Missing:
    """What was hinted at and did not come, or not all of it: looked for again, shown to people, or given up.

    ``early`` are those shown that may only be late: no warning yet.
    """

    later: list[tuple[Hint, datetime]] = field(default_factory=list)
    untold: list[Hint] = field(default_factory=list)
    shown: list[Rejected] = field(default_factory=list)
    early: set[str] = field(default_factory=set)
    given_up: list[Hint] = field(default_factory=list)

    def look_again(self, hints: Iterable[Hint], now: datetime) -> None:
        """Look for these again later, as for what a record of ours names."""
        found = ((each, looked_in_vain(each, now, is_ours=True)) for each in hints)
        self.later += [(each, at) for each, at in found if at is not None]


async def _write(work: Work, page: Page, *, hints: Sequence[Hint], wanted: Sequence[Hint]) -> None:
    """Write what was found; what was not is looked for again later, and at last believed to be gone."""
    missing = await _missing(work, page, wanted)
    gone, refusal = await _gone(work, missing)
    if (refused := await all_refused(work, page, wanted)) is not None:
        refusal = refused
        _wait_for_all(work, missing, wanted)
    unfit, too_many = await too_many_unfit(work, page)
    if too_many is not None:
        refusal = too_many
        missing.look_again((each for each in wanted if each.key in unfit), work.clock.now())
    page = replace(page, rejected=[*page.rejected, *missing.shown])
    work.progress.rows_read += len(page.rows) + len(page.rejected)
    postponed = {each.key for each, _ in missing.later}
    handled = [each for each in hints if each.key not in postponed]
    overwrite = work.request.kind in EVERYTHING and _are_dated(work, page)
    batch = work.batch(page, overwrite=overwrite, handled_hints=handled, postponed_hints=missing.later, deleted=gone)
    counts = await work.write(batch)
    known, later, given_up = len(hints) - len(wanted), len(missing.later), len(missing.given_up)
    work.tell(
        "hints_handled",
        f"{len(hints)} told of: {known} known already, {counts.inserted} new, {counts.updated} changed,"
        f" {counts.unchanged} unchanged, {later} not there yet, {given_up} not there at all",
        {"hints": len(hints), "known": known, "later": later, "given_up": given_up, **counts.as_json()},
    )
    if missing.untold:
        _tell_untold(work, page, missing)
    for rejected in page.rejected:
        work.tell_rejected(rejected, level="info" if rejected.key in missing.early else "warning")
    if refusal is not None:
        raise refusal


def _are_dated(work: Work, page: Page) -> bool:
    """Say whether each record tells its version: one that tells none is the shell of one, and replaces nothing."""
    place = work.shape.index(work.shape.stamp or work.shape.key)
    return all(row[place] is not None for row in page.rows)


def _wait_for_all(work: Work, missing: _Missing, wanted: Sequence[Hint]) -> None:
    """Look again later at what is in quarantine, too: it was us, or the source, and said nothing of the records."""
    known = {each.key for each, _ in missing.later} | {each.key for each in missing.given_up}
    missing.look_again((each for each in wanted if each.key not in known), work.clock.now())


def _tell_untold(work: Work, page: Page, missing: _Missing) -> None:
    """Tell which records came without all of them; as a warning where that lasts."""
    keys = [each.key for each in missing.untold]
    columns = ", ".join(sorted({name for names in page.untold.values() for name in names}))
    work.tell(
        "records_untold",
        f"{len(keys)} records came without {columns}: what is known of these stays, and they are asked for again",
        {"rows": len(keys), "columns": columns, "keys": keys[:50]},
        level="warning" if any(is_slow(each) for each in missing.untold) else "info",
    )


async def _missing(work: Work, page: Page, wanted: Sequence[Hint]) -> _Missing:
    """Sort what did not come; a record that others name is never given up while it may say something new.

    It is shown from the first look on: what this stream claims reaches as far as the record that names it. So is one
    that is here and failed: something of it was told, and nobody may tell it again. And what a server in trouble did
    not tell is looked for until it does: that is no answer.
    """
    found = work.came_in(page)
    said = {each.key: each for each in page.unseen}
    lost = [each for each in wanted if each.key not in found]
    settled = await _settled(work, lost)
    ours = await keys_here(work, [each for each in lost if each.key in failed(page)])
    missing = _Missing()
    untold = {str(key) for key in page.untold}
    for each in wanted:
        is_named = work.shape.referred_by is not None and each.told_at is None
        is_ours = (is_named or each.key in ours) and each.key not in settled
        if each.key in untold:
            missing.untold.append(each)
            at = told_in_part(each, work.clock.now(), is_ours=is_ours)
            missing.later += [] if at is None else [(each, at)]
        if each.key in found:
            continue
        seen = said.get(each.key) or Rejected.untold(each.key, RecordAbsent("the source has no such record"))
        at = looked_in_vain(each, work.clock.now(), is_ours=is_ours or seen.may_pass)
        if at is None:
            missing.given_up.append(each)
            continue
        missing.later.append((each, at))
        if is_ours:
            missing.shown.append(seen)
            missing.early |= {each.key} if seen.code == RecordAbsent.code and not is_slow(each) else set()
    return missing


async def _settled(work: Work, hints: Sequence[Hint]) -> frozenset[str]:
    """Return the keys of those that are here and change no more."""
    if not hints or work.shape.settled is None:
        return frozenset()
    keys = [key_from_text(each.key) for each in hints]
    here = await work.here(keys)
    still_open = await work.store.stamps(work.account, work.shape, Among(keys=keys, is_open=True))
    return frozenset(str(key) for key in here.keys() - still_open.keys())


async def _gone(work: Work, missing: _Missing) -> tuple[Sequence[Key], ComportaError | None]:
    """Return those of the missing records that we have and the source deletes; others are only out of sight.

    If they are implausibly many, none is, and a person is asked: they are looked at again later, and hold up nothing
    that is told of meanwhile.
    """
    if not missing.given_up or work.shape.settled is not None:
        return [], None
    ours = await work.here([key_from_text(each.key) for each in missing.given_up])
    gone = await confirmed_gone(work, list(ours))
    try:
        await refuse_mass_deletion(work, gone)
    except TooManyDeleted as error:
        missing.look_again(missing.given_up, work.clock.now())
        missing.given_up.clear()
        return [], error
    return gone, None
