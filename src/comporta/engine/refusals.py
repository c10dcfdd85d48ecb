"""Are the records at fault, or are we? Where all that is asked for by key is refused, or fails, it may be either.

Records that fail for good are asked for again and again, and must not stop what is told of beside them. So only what
was never answered speaks of us, or of the source: what other records of ours name, or what we have, and each the first
time only. A notification alone does not: anybody may forge one. But nobody can forge an outage: that a server says
that it failed, each time it is asked, is said whoever told of the records.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from comporta.core.counts import too_many
from comporta.core.hint import Hint
from comporta.core.record import REFUSED_LEAST, Key, Page, Rejected, key_from_text
from comporta.core.ticket import successor
from comporta.engine.work import Work
from comporta.errors import (
    AccessRefused,
    ComportaError,
    RecordAbsent,
    RecordRejected,
    SourceBadGateway,
    SourceChangedShape,
    SourceRefused,
    SourceUnavailable,
    TooManyRejected,
)

RAISED = {each.code: each for each in (AccessRefused, SourceRefused, SourceChangedShape, SourceBadGateway)}
"""What a run ends with if all said the same; else, as where they broke off, it may pass."""

REJECTED_LEAST = 20
"""Fewer rejected records than this never fail a run, whatever their share."""


async def fetched(work: Work, keys: Sequence[Key]) -> tuple[Page, ComportaError | None]:
    """Return what is to be written of records that should be there, and what ends the run then.

    What is put in quarantine is claimed, and nobody looks for it soon. So what a server in trouble failed to tell is
    left to the next attempt; only what fails at the last one, too, waits there, for it must not stop the rest for ever.
    """
    page = await work.reader.fetch(keys)
    waiting = {each.key for each in await work.store.quarantine(work.scope)}
    passing = {key: each for key, each in failed(page).items() if each.may_pass and key not in waiting}
    if not passing or successor(work.run, not_before=None) is None:
        return in_quarantine(page), page.failure or _all_failed(work, page, [str(key) for key in keys], waiting)
    first = next(iter(passing.values()))
    message = (
        f"{work.scope}: {len(passing)} records could not be read by key (first: {first.reason}); expected all of them"
    )
    return in_quarantine(_without(page, passing)), _kind_of(passing.values())(message)


def failed(page: Page) -> Mapping[str, Rejected]:
    """Return what was asked for by key and neither shown nor said not to be there, by key."""
    said = {RecordAbsent.code, RecordRejected.code}
    return {each.key: each for each in (*page.unseen, *page.rejected) if each.code not in said}


def in_quarantine(page: Page) -> Page:
    """Return the page with what failed among the rejected: it waits with its reason, and is not taken for gone."""
    known = {each.key for each in page.rejected}
    return replace(page, rejected=[*page.rejected, *(each for key, each in failed(page).items() if key not in known)])


async def all_refused(work: Work, page: Page, wanted: Sequence[Hint]) -> ComportaError | None:
    """Return what ends the run, ``None`` where something was read or too little speaks of us."""
    why = failed(page)
    if page.rows or len(wanted) < REFUSED_LEAST:
        return None
    waiting = {each.key for each in await work.store.quarantine(work.scope)}
    new = [each for each in wanted if each.key not in waiting]
    if all(each.key in why and why[each.key].may_pass for each in wanted):
        return _error(work, why, [each.key for each in new]) if len(new) >= REFUSED_LEAST else None
    first = [each for each in wanted if each.tries == 0]
    if any(each.key not in why for each in first):
        return None
    new = [each for each in first if each.key not in waiting]
    ours = set(map(str, await work.here([key_from_text(each.key) for each in new])))
    new = [each for each in new if each.told_at is None or each.key in ours]
    return _error(work, why, [each.key for each in new]) if len(new) >= REFUSED_LEAST else None


async def too_many_unfit(work: Work, page: Page) -> tuple[frozenset[str], ComportaError | None]:
    """Return what of a page cannot be written, and what ends the run, where that is too much of it.

    What waits in quarantine already was said before, and stops nobody a second time.
    """
    waiting = {each.key for each in await work.store.quarantine(work.scope)} if page.rejected else set()
    unfit = [each for each in page.rejected if each.code == RecordRejected.code and each.key not in waiting]
    read, share = len(page.rows) + len(page.rejected), work.rules.rejected_share
    if not too_many(len(unfit), read, share=share, at_least=REJECTED_LEAST):
        return frozenset(), None
    message = (
        f"{work.scope}: {len(unfit)} of {read} records that were asked for by key cannot be written, more than the"
        f" allowed {share:.0%} (first: {unfit[0].reason}); they are looked for again"
    )
    return frozenset(each.key for each in unfit), TooManyRejected(message)


def _without(page: Page, keys: Collection[str]) -> Page:
    """Return the page without what was said instead of these records."""
    unseen = [each for each in page.unseen if each.key not in keys]
    return replace(page, unseen=unseen, rejected=[each for each in page.rejected if each.key not in keys])


def _all_failed(work: Work, page: Page, keys: Sequence[str], waiting: Collection[str]) -> ComportaError | None:
    """Return what ends the run where each of many records failed, and enough of them did not fail before."""
    why = failed(page)
    new = [key for key in keys if key not in waiting]
    if page.rows or len(new) < REFUSED_LEAST or any(key not in why for key in keys):
        return None
    return _error(work, why, new)


def _error(work: Work, why: Mapping[str, Rejected], keys: Sequence[str]) -> ComportaError:
    kind = _kind_of([why[key] for key in keys])
    said = "were refused" if kind is AccessRefused else "failed"
    message = (
        f"{work.scope}: all {len(keys)} records that were asked for by key {said}"
        f" (first: {why[keys[0]].reason}); expected one of them"
    )
    return kind(message)


def _kind_of(said: Iterable[Rejected]) -> type[ComportaError]:
    """Return what a run ends with by what was said of records: what all said, or that the source is not there."""
    codes = {each.code for each in said}
    return RAISED.get(codes.pop(), SourceUnavailable) if len(codes) == 1 else SourceUnavailable
