"""Are the records refused, or are we? Where all that is asked for by key is refused, it may be either.

Records that are refused for good are asked for again and again, and must not stop what is told of beside them. So only
what was never answered speaks of us: what other records of ours name, or what we have, and each the first time only.
A notification alone does not: anybody may forge one.
"""

from collections.abc import Sequence

from comporta.core.hint import Hint
from comporta.core.record import REFUSED_LEAST, Page, key_from_text
from comporta.engine.work import Work
from comporta.errors import AccessRefused
from comporta.ports.rows import Among


async def all_refused(work: Work, page: Page, wanted: Sequence[Hint]) -> AccessRefused | None:
    """Return the refusal that ends the run, ``None`` where something was read or too little speaks of us."""
    refused = {each.key: each for each in (*page.unseen, *page.rejected) if each.code == AccessRefused.code}
    new = [each for each in wanted if each.tries == 0]
    if page.rows or len(new) < REFUSED_LEAST or any(each.key not in refused for each in new):
        return None
    waiting = {each.key for each in await work.store.quarantine(work.scope)}
    new = [each for each in new if each.key not in waiting]
    keys = [key_from_text(each.key) for each in new]
    ours = {str(key) for key in await work.store.stamps(work.account, work.shape, Among(keys=keys))} if keys else set()
    new = [each for each in new if each.told_at is None or each.key in ours]
    if len(new) < REFUSED_LEAST:
        return None
    message = (
        f"{work.scope}: all {len(new)} records that were asked for the first time were refused"
        f" (first: {refused[new[0].key].reason}); expected one of them"
    )
    return AccessRefused(message)
