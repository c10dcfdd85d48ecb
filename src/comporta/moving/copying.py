"""Copying one table, page by page in the order of its keys; a page and how far it is are one transaction.

So whatever is killed at whatever moment, no row is copied twice and none is left out: who goes on reads
how far it is, and a page that finds another beginning than it was read for is not written.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from comporta.errors import Busy
from comporta.ledger.session import Session
from comporta.moving.parts import PAGE_ROWS_FIRST, Cells, Part, Progress, next_limit
from comporta.moving.sides import (
    Side,
    begin_progress,
    key_from,
    key_text,
    progress_of,
    put_progress,
    settled,
)
from comporta.ports.clock import Clock

TELL_EVERY_S = 5.0
"""How often a person hears of a table that takes long."""


@dataclass(slots=True)
class Teller:
    """Tells how far a table is: now and then, and when it is done."""

    tell: Callable[[str], None]
    clock: Clock
    told_s: float = field(init=False)

    def __post_init__(self) -> None:
        self.told_s = self.clock.monotonic()

    def copied(self, part: Part, progress: Progress) -> None:
        """Tell how far a table is: when it is done, and now and then before."""
        so_far = "" if progress.is_done else " so far"
        self._say(f"  {part.table}: {progress.rows:,} rows{so_far}", is_due=progress.is_done)

    def compared(self, part: Part, rows: int) -> None:
        """Tell now and then which table was compared."""
        self._say(f"  {part.table}: {rows:,} rows are the same", is_due=False)

    def _say(self, line: str, *, is_due: bool) -> None:
        now_s = self.clock.monotonic()
        if is_due or now_s - self.told_s >= TELL_EVERY_S:
            self.told_s = now_s
            self.tell(line)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows to write, and how far their table is before and after it."""

    part: Part
    rows: list[Cells]
    was: Progress
    will: Progress


def copy_part(source: Side, target: Side, part: Part, *, number: str, teller: Teller) -> None:
    """Copy what is missing of a table, as the move of that number."""
    progress = settled(target.database, lambda session: _begun(target, session, part, number))
    limit = PAGE_ROWS_FIRST
    while not progress.is_done:
        rows = source.page(part, key_from(progress.after), limit)
        after = key_text(part.key_of(rows[-1])) if rows else progress.after
        reached = Progress(after, progress.rows + len(rows), is_done=len(rows) < limit)
        page = Page(part, rows, was=progress, will=reached)
        settled(target.database, lambda session, page=page: _put(target, session, page, number))  # type: ignore[misc]  # a lambda with a default
        progress, limit = reached, next_limit(rows)
        teller.copied(part, progress)


def _begun(target: Side, session: Session, part: Part, number: str) -> Progress:
    """Return how far a part is, having begun it if nobody has."""
    _refuse_foreign(target, session, number)
    present = progress_of(target, session, part)
    if present is not None:
        return present
    target.make(session.connection, part)
    begin_progress(target, session, part)
    return Progress()


def _put(target: Side, session: Session, page: Page, number: str) -> None:
    """Write a page, unless that was done."""
    part, connection = page.part, session.connection
    _refuse_foreign(target, session, number)
    present = progress_of(target, session, part)
    if present == page.will:
        return
    if present != page.was:
        raise _overtaken(target, f"another process copies {part.table} too")
    if part.shape is None:
        target.seals.set_shut(connection, is_shut=False)
    target.write(connection, part, page.rows)
    if part.shape is None:
        target.seals.set_shut(connection, is_shut=True)
    put_progress(target, session, part, page.will)


def _refuse_foreign(target: Side, session: Session, number: str) -> None:
    """Raise unless the new database still waits for this move."""
    seal = target.seals.seal_of(session.connection)
    if seal is None or seal.move != number:
        raise _overtaken(target, "another process ended the move, or took it back")


def _overtaken(target: Side, what: str) -> Busy:
    step = "Let the other end, then look with `comporta doctor` whether anything is left to do."
    return Busy(f"{target.database.where}: {what}", next_step=step)
