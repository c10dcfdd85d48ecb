"""What belongs to records of another list, asked for record by record: the custom field values of deals.

One request for each deal brings all its values, unless somebody made more fields than a page holds. Nobody documents
whether these answers are paged at all, so a full page is never taken for the end: the next is asked for, from one
record back, until one brings nothing new. A value that slips between two pages is not called gone for that, whoever
compares looks at it directly first; its change waits for the next sweep.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from comporta.core.record import Key, Page, Shape
from comporta.errors import ComportaError
from comporta.ports.progress import Progress
from comporta.sources.activecampaign_rows import Batch, Plan
from comporta.sources.activecampaign_session import ActiveCampaignSession, Leaf
from comporta.sources.activecampaign_streams import Endpoint
from comporta.sources.one_by_one import each_told, end_of, failure_of_all, unseen

PAGE_USUAL = 20
"""Records in a page of a server that does not go by the limit that was asked."""
PAGES_MAX = 100
"""Pages of one parent; an account has some hundreds of fields at most."""


@dataclass(frozen=True, slots=True)
class Children:
    """The records of one stream, by the record of another list that each belongs to."""

    session: ActiveCampaignSession
    endpoint: Endpoint
    plan: Plan
    shape: Shape
    progress: Progress

    async def of(self, parents: Sequence[Key], *, width: int) -> Page:
        """Return all that belongs to these, so many asked at once, as one page; one that is gone has nothing.

        One that is refused or answered oddly is ``unseen``; where all of several are, it may be the account: that is
        raised.
        """
        asked = sorted({int(key) for key in parents})
        found = await each_told(self._of_one, asked, width=width, dice=self.session.dice)
        if (failure := end_of(found) or failure_of_all(found)) is not None:
            raise failure
        page = _merged([batch for batches in found if not isinstance(batches, ComportaError) for batch in batches])
        return replace(page, unseen=unseen(zip(asked, found, strict=True)))

    async def _of_one(self, parent: int) -> Sequence[Batch]:
        batches: list[Batch] = []
        seen: set[int] = set()
        size = self.session.config.page_size
        subject = self.session.subject(self.endpoint.name, f"those of id {parent}")
        for _ in range(PAGES_MAX):
            asked = {"limit": size, "offset": max(len(seen) - 1, 0)}
            leaf = await self.session.page_of_parent(self.endpoint, self.plan, parent, asked, progress=self.progress)
            if leaf is None:
                return batches
            self._check_asked(leaf, parent, subject)
            fresh = [place for place, key in enumerate(leaf.keys) if key not in seen]
            seen.update(leaf.keys)
            batches.append(leaf.batch.only(fresh))
            if not fresh or (len(leaf.keys) < size and len(leaf.keys) != PAGE_USUAL):
                return batches
        message = f"{subject}: {len(seen)} records came in {PAGES_MAX} pages, and no end; expected some hundreds"
        raise self.session.ignored(self.endpoint, message)

    def _check_asked(self, leaf: Leaf, parent: int, subject: str) -> None:
        name = self.shape.parent or self.shape.key
        place = self.shape.index(name)
        for row in leaf.batch.rows:
            if row[place] != parent:
                message = f"{subject} answered record {row[0]} of {name} {row[place]}; expected only those of {parent}"
                raise self.session.ignored(self.endpoint, message)


def _merged(batches: Sequence[Batch]) -> Page:
    starts = [sum(len(before.rows) for before in batches[:place]) for place in range(len(batches))]
    pairs = list(zip(starts, batches, strict=True))
    return Page(
        [row for batch in batches for row in batch.rows],
        [each for batch in batches for each in batch.rejected],
        {start + place: text for start, batch in pairs for place, text in batch.extras.items()},
        is_last=True,
    )
