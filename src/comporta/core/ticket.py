"""A wish to run, and the wish that follows a run that ended without its own fault.

A ticket becomes a queued run; an equal one that is already queued is joined, not doubled, and so is one that reads
more.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from comporta.core.retry import RUN_RETRIES
from comporta.core.run import Run, Trigger
from comporta.core.schedule import urgency
from comporta.core.window import Kind, Request, parse_request

JOINED_MAX = timedelta(hours=2)
"""By how much more than was asked for a run may read that is joined."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A wish to run: which stream, what for, who asked. ``at_least`` is how urgent what it follows was."""

    account: str
    stream: str
    request: Request
    trigger: Trigger
    dry_run: bool = False
    attempt: int = 1
    not_before: datetime | None = None
    at_least: int = 0

    @property
    def priority(self) -> int:
        """Return its place in the queue: the higher goes first."""
        return max(self.at_least, urgency(self.trigger, self.request.text))

    @property
    def scope(self) -> str:
        """Return the scope a lease is taken for; a dry run is given one of its own by the ledger."""
        return f"{self.account}/{self.stream}"


def joining(ticket: Ticket, waiting: Iterable[Run]) -> Ticket:
    """Return the ticket with the request of a run that waits and reads all that is asked for; else as it is.

    "The last two hours" begins later at each click. What waits reads up to when it runs, so it holds them all. One that
    reads much more, or that is to begin later, is not joined: it would keep the person waiting.
    """
    if ticket.dry_run or not _is_up_to_now(ticket.request):
        return ticket
    for run in waiting:
        request = parse_request(run.request)
        if run.not_before is None and _is_up_to_now(request):
            more = ticket.request.since - request.since  # type: ignore[operator]  # both are set
            if timedelta() <= more <= JOINED_MAX:
                return replace(ticket, request=request)
    return ticket


def _is_up_to_now(request: Request) -> bool:
    return request == Request(Kind.MANUAL, request.since) and request.since is not None


def successor(run: Run, *, not_before: datetime | None, got_on: bool = False) -> Ticket | None:
    """Return the next attempt of a run; ``None`` after the last in a row, and for what nobody confirmed again.

    A clear-first load removes rows, so it is never handed over: who wants it still asks for it again. The successor is
    as urgent as what it follows, though nobody asks for it: whoever waited for the one, waits for the other.
    ``got_on``: it wrote something and was only told to end, which is no attempt in vain: it keeps its number.
    """
    request = parse_request(run.request)
    attempt = run.attempt if got_on else run.attempt + 1
    if attempt > RUN_RETRIES.retries + 1 or run.dry_run or request.kind is Kind.CLEAR_FIRST:
        return None
    return Ticket(
        account=run.account,
        stream=run.stream,
        request=request,
        trigger=Trigger.RETRY,
        attempt=attempt,
        not_before=not_before,
        at_least=max(run.priority, urgency(run.trigger, run.request)),
    )
