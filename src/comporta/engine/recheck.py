"""Records that are looked at again by key though nothing says that they changed: a slice of those that may, each time.

The next time it is the next slice. How far the last one was is kept with the result of the comparison.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from comporta.core.instant import BEGINNING
from comporta.core.record import Key
from comporta.engine.plan import origin_of
from comporta.engine.work import Work
from comporta.ports.rows import Among
from comporta.ports.stream_state import StreamFacts

RECHECKED_MAX = 2_000
"""Records in one comparison of a stream that can be listed, too: one request each."""
GATHERED_MAX = 10_000
"""Records in one comparison of a stream that cannot be, which shows nothing else of what changed."""
SETTLED_FOR = timedelta(days=60)
"""For so long after its last change a settled record may change yet: what was paid for a cancelled order goes back."""
RECHECKED_UPTO = "rechecked_upto"


async def next_slice(work: Work, most: int, *, settled_for: timedelta | None = None) -> Sequence[Key]:
    """Return the records that may still change and follow, by key, those that were read again the last time.

    With ``settled_for`` those that were settled no longer ago are among them.
    """
    if work.shape.settled is None:
        return []
    after: Any = await known_upto(work)
    begin = since_of(work)
    which = Among(after=after, since=begin, limit=most, is_open=True)
    found: dict[Any, str | None] = await work.store.stamps(work.account, work.shape, which)
    if settled_for is None:
        return list(found)
    lately = work.clock.now() - settled_for
    which = replace(which, since=lately if begin is None else max(begin, lately), is_open=False)
    return sorted(found | await work.store.stamps(work.account, work.shape, which))[:most]


async def known_upto(work: Work) -> object:
    """Return the key that the last slice ended with, ``None`` where the first one is next."""
    return ((await work.store.facts(work.scope)).reconcile_result or {}).get(RECHECKED_UPTO)


async def remember(work: Work, upto: Key | None) -> None:
    """Keep how far a slice was read: under a throttle that lasts the next attempt goes on there."""
    if not work.run.dry_run:
        known = (await work.store.facts(work.scope)).reconcile_result or {}
        await work.store.learn(work.lease, StreamFacts(reconcile_result={**known, RECHECKED_UPTO: upto}))


def since_of(work: Work) -> datetime | None:
    """Return where the stream begins, ``None`` for the beginning of time: what lies before is not ours.

    Nor is what the source keeps no longer.
    """
    origin, oldest = origin_of(work), work.reader.oldest
    if oldest is not None:
        return max(origin, oldest)
    return None if origin == BEGINNING else origin
