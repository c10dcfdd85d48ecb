"""Records that are told of, are not here, and that no record of ours names: how many of them are looked for.

What was looked for in vain is counted with the run, so that every process knows of it. What finds no room waits; or is
let go where records of ours name what there is, for whoever comes to name it hints at it then.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from comporta.core.hint import IN_VAIN, IN_VAIN_MAX, IN_VAIN_SPAN, Hint, has_room, put_off
from comporta.core.record import Page, key_from_text
from comporta.engine.work import Work
from comporta.ports.store import Batch


class Strangers:
    """The strangers among what one run looks at."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._before: int | None = None
        self._asked: AbstractSet[str] = frozenset()
        self._waiting = self._let_go = 0

    async def admitted(self, hints: Sequence[Hint]) -> Sequence[Hint]:
        """Return what is to be asked for; strangers beyond those that may be are made to wait, or let go."""
        here = await keys_here(self._work, [each for each in hints if each.told_at is not None])
        strangers = [each for each in hints if each.told_at is not None and each.key not in here]
        in_vain = await self._in_vain() if strangers else 0
        crowd = [each for place, each in enumerate(strangers) if not has_room(each, in_vain + place)]
        self._asked = {each.key for each in strangers} - {each.key for each in crowd}
        if crowd and not self._work.run.dry_run:
            await self._put_off(crowd, in_vain)
        return [each for each in hints if each not in crowd]

    def looked(self, page: Page) -> None:
        """Count which of those that were asked for did not come, unless it was the server that failed."""
        failed = {each.key for each in page.unseen if each.may_pass}
        in_vain = self._asked - self._work.came_in(page) - failed
        if page.failure is not None:  # of the others nothing was said
            in_vain &= {each.key for each in page.unseen}
        self._work.progress.count_failure(IN_VAIN, times=len(in_vain))

    def tell(self) -> None:
        """Tell of those that were not asked for."""
        by, gone, waiting = self._work.shape.parent_stream, self._let_go, self._waiting
        told = "records that were told of are"
        if gone and self._work.shape.referred_by is not None:
            message, fields = f"{gone} {told} named by no {by}, and let go unseen", {"unnamed": gone, "by": by}
            self._work.tell("hints_let_go", message, fields, level="warning")
        elif gone:
            message = f"{gone} {told} not here, had no turn for a day, and are let go unseen"
            self._work.tell("hints_let_go", message, {"unseen": gone}, level="warning")
        if waiting:
            message = f"{waiting} {told} not here, and wait: {IN_VAIN_MAX} an hour are looked for in vain"
            self._work.tell("hints_wait", message, {"waiting": waiting, "most": IN_VAIN_MAX}, level="warning")

    async def _in_vain(self) -> int:
        """Return how many looks of the last hour brought nothing, in whatever run."""
        if self._before is None:
            since = self._work.clock.now() - IN_VAIN_SPAN
            failures = await self._work.store.failures(self._work.account, self._work.run.stream, since)
            self._before = failures.get(IN_VAIN, 0)
        return self._before + self._work.progress.requests.failures.get(IN_VAIN, 0)

    async def _put_off(self, crowd: Sequence[Hint], in_vain: int) -> None:
        now, is_named = self._work.clock.now(), self._work.shape.referred_by is not None
        ends = [(each, put_off(each, now, in_vain=in_vain, is_named=is_named)) for each in crowd]
        waiting = [wait for _, wait in ends if wait is not None]
        let_go = [each for each, wait in ends if wait is None]
        self._waiting, self._let_go = self._waiting + len(waiting), self._let_go + len(let_go)
        await self._work.write(Batch(self._work.shape, handled_hints=let_go, postponed_hints=waiting))


async def keys_here(work: Work, hints: Sequence[Hint]) -> frozenset[str]:
    """Return the keys of those that are here."""
    return frozenset(map(str, await work.here([key_from_text(each.key) for each in hints])))
