"""Are the records at fault, or are we? Where all that is asked for by key is refused, or fails, it may be either.

Records that fail for good are asked for again and again, and must not stop what is told of beside them. So only what
was never answered speaks of us, or of the source: what other records of ours name, or what we have, and each the first
time only. A notification alone does not: anybody may forge one. But nobody can forge an outage: that a server says
that it failed, each time it is asked, is said whoever told of the records.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from comporta.core.hint import Hint
from comporta.core.record import REFUSED_LEAST, Key, Page, Rejected, key_from_text
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
)
from comporta.ports.rows import Among

RAISED = {each.code: each for each in (AccessRefused, SourceRefused, SourceChangedShape, SourceBadGateway)}
"""What a run ends with if all said the same; else, as where they broke off, it may pass."""


def failed(page: Page) -> Mapping[str, Rejected]:
    """Return what was asked for by key and neither shown nor said not to be there, by key."""
    said = {RecordAbsent.code, RecordRejected.code}
    return {each.key: each for each in (*page.unseen, *page.rejected) if each.code not in said}


def in_quarantine(page: Page) -> Page:
    """Return the page with what failed among the rejected: it waits with its reason, and is not taken for gone."""
    known = {each.key for each in page.rejected}
    return replace(page, rejected=[*page.rejected, *(each for key, each in failed(page).items() if key not in known)])


def not_told(page: Page) -> tuple[Page, Mapping[str, Rejected]]:
    """Return the page without what a server in trouble failed to tell, and that by key."""
    passing = {key: each for key, each in failed(page).items() if each.may_pass}
    unseen = [each for each in page.unseen if each.key not in passing]
    rejected = [each for each in page.rejected if each.key not in passing]
    return replace(page, unseen=unseen, rejected=rejected), passing


async def all_failed(work: Work, page: Page, keys: Collection[Key]) -> ComportaError | None:
    """Return what ends the run where each of many records that should be there failed, and none failed before."""
    why = failed(page)
    if page.rows or len(keys) < REFUSED_LEAST or any(str(key) not in why for key in keys):
        return None
    waiting = {each.key for each in await work.store.quarantine(work.scope)}
    new = [str(key) for key in keys if str(key) not in waiting]
    return _error(work, why, new) if len(new) >= REFUSED_LEAST else None


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
    keys = [key_from_text(each.key) for each in new]
    ours = {str(key) for key in await work.store.stamps(work.account, work.shape, Among(keys=keys))} if keys else set()
    new = [each for each in new if each.told_at is None or each.key in ours]
    return _error(work, why, [each.key for each in new]) if len(new) >= REFUSED_LEAST else None


def _error(work: Work, why: Mapping[str, Rejected], keys: Sequence[str]) -> ComportaError:
    kind = kind_of([why[key] for key in keys])
    said = "were refused" if kind is AccessRefused else "failed"
    message = (
        f"{work.scope}: all {len(keys)} records that were asked for by key {said}"
        f" (first: {why[keys[0]].reason}); expected one of them"
    )
    return kind(message)


def kind_of(said: Iterable[Rejected]) -> type[ComportaError]:
    """Return what a run ends with by what was said of records: what all said, or that the source is not there."""
    codes = {each.code for each in said}
    return RAISED.get(codes.pop(), SourceUnavailable) if len(codes) == 1 else SourceUnavailable
