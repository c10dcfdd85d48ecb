"""Trying the records in quarantine again: each is read by key, as the source has it now.

What can be written leaves quarantine with the batch that writes it; what the source no longer has leaves it too, once
a second, direct look says so, unless other records name it; the rest waits on, with today's reason, and so does what is
refused or fails.
"""

from comporta.core.record import key_from_text
from comporta.engine.plan import make_fit, recall
from comporta.engine.refusals import in_quarantine
from comporta.engine.verify import confirmed_gone, parts
from comporta.engine.work import Work, well
from comporta.ports.store import Batch


async def retry_quarantine(work: Work) -> None:
    """Read every waiting record again, write what can be written, and end the run."""
    await make_fit(work, await recall(work))
    waiting = [key_from_text(each.key) for each in await work.store.quarantine(work.scope)]
    for part in parts(waiting):
        page = in_quarantine(await work.reader.fetch(part))
        found = work.came_in(page)
        is_silence = page.failure is not None or work.shape.referred_by is not None
        missing = [] if is_silence else [key for key in part if str(key) not in found]
        released = [str(key) for key in await confirmed_gone(work, missing, may_wait=True)]
        counts = await work.write(work.batch(page, released=released))
        work.tell(
            "batch_committed",
            f"{counts.inserted + counts.updated + counts.unchanged} can be written now, {counts.rejected} still"
            f" cannot, {len(released)} are no longer at the source",
            {"released": len(released), **counts.as_json(), **work.beside},
        )
        if page.failure is not None:
            raise page.failure
    await work.close(Batch(work.shape), well())
