"""What the product needs from the database: rows and ledger that commit together.

One ``Store`` is one database. Rows, counts, coverage, resume point and fence of a batch are one
transaction, so there is no moment at which one of them is true and another is not. Methods are async
but ``renew`` and ``cancel_requested``, which a heartbeat calls from its own thread.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from comporta.core.counts import Counts
from comporta.core.coverage import Coverage, Interval
from comporta.core.gaps import Voided
from comporta.core.hint import Hint
from comporta.core.lease import Lease, ScopeState
from comporta.core.record import Key, Lookup, Nested, Rejected, Row, Shape
from comporta.core.run import Run, RunState
from comporta.core.ticket import Ticket
from comporta.core.window import Request, Window
from comporta.errors import ComportaError
from comporta.ports.progress import LogLine, Requests
from comporta.ports.rows import Rows
from comporta.ports.stream_state import StreamFacts, StreamState


@dataclass(frozen=True, slots=True)
class Granted:
    """The lease was acquired; the run is running. ``lost``: what it was taken from, because it had run out."""

    lease: Lease
    run: Run
    lost: Sequence[Run] = ()


@dataclass(frozen=True, slots=True)
class Occupied:
    """Somebody else holds the scope."""

    scope: str
    holder: str
    since: datetime | None
    expires_at: datetime
    instance: str | None


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """One line of ``comporta leases``."""

    scope: str
    epoch: int
    holder: str | None
    expires_at: datetime | None
    since: datetime | None
    instance: str | None


@dataclass(frozen=True, slots=True)
class Instance:
    """A server on this database: what it does (``roles``, with spaces), and when it was seen last."""

    instance: str
    roles: str
    seen_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Pass:
    """One traversal for a window; survives the runs that work on it."""

    id: str
    request: str
    window: Window
    fingerprint: str
    position: str | None = None
    read: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction writes.

    ``limited``: indexes of rows of which the source gave only a part; where the table has the key, they count as
    unchanged and change nothing, else they are inserted. A row that was marked deleted lives again as it was, and
    counts as updated.
    ``untold``: by key, columns that rows say nothing of; whoever writes puts in what the table has.
    ``nested``: the lists inside the rows. What a row does not list any more is marked deleted, unless the table has it
    from a newer version; rows that are marked or removed take theirs with them.
    ``overwrite``: repair, full and clear-first passes write whatever the stored stamp says.
    ``deleted``: keys to mark with ``_cmp_deleted_at``. ``removed``: keys to remove for good.
    ``remove_deleted``: remove every row that was marked deleted before, too.
    ``hints``: scopes whose records are to be looked at because of these rows, and the column that names them, ``None``
    for the key. ``handled_hints`` were looked at; ``postponed_hints`` once more often than their tries in vain, and are
    again at an instant.
    ``released``: records in quarantine that the source does not have any more.
    """

    shape: Shape
    rows: Sequence[Row] = ()
    extras: Mapping[int, str] = field(default_factory=dict)
    rejected: Sequence[Rejected] = ()
    limited: frozenset[int] = frozenset()
    lookups: Sequence[Lookup] = ()
    nested: Sequence[Nested] = ()
    untold: Mapping[Key, Collection[str]] = field(default_factory=dict)
    overwrite: bool = False
    deleted: Sequence[Key] = ()
    removed: Sequence[Key] = ()
    remove_deleted: bool = False
    hints: Mapping[str, str | None] = field(default_factory=dict)
    handled_hints: Sequence[Hint] = ()
    postponed_hints: Sequence[tuple[Hint, datetime]] = ()
    released: Sequence[str] = ()
    position: str | None = None
    pass_id: str | None = None
    requests: Requests = field(default_factory=Requests)
    log: Sequence[LogLine] = ()


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ends, in the transaction that frees its lease.

    ``covered`` is what coverage gains; ``replaces`` says that it is all of it. ``reconciled`` is the
    result to keep with the stream. ``successor`` is queued in the same transaction. ``counts`` is what
    a dry run would have counted; a real run's counts are added batch by batch.
    """

    state: RunState
    error: Mapping[str, str] | None = None
    covered: Interval | None = None
    replaces: bool = False
    fingerprint: str | None = None
    pass_id: str | None = None
    reconciled: Mapping[str, object] | None = None
    successor: Ticket | None = None
    counts: Counts | None = None
    requests: Requests = field(default_factory=Requests)
    log: Sequence[LogLine] = ()


@dataclass(frozen=True, slots=True)
class Committed:
    """What a batch did; ``lease`` is the lease to go on with.

    ``nested``: how many rows of the lists inside the records were written or marked, by table. ``log``: what the
    transaction told and kept itself, as what became of a view.
    """

    lease: Lease
    counts: Counts
    nested: Mapping[str, int] = field(default_factory=dict)
    log: Sequence[LogLine] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """What a dry run would do to one row; ``fields`` maps a column to (before, after)."""

    key: Key
    change: str
    fields: Mapping[str, tuple[object, object]]


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One record that waits, with its reason."""

    scope: str
    key: str
    code: str
    reason: str
    payload: str
    run: str
    first_seen: datetime
    last_seen: datetime
    times: int


class Store(Rows, Protocol):
    """The database: mirrored tables and ledger."""

    async def enqueue(self, ticket: Ticket, *, run_id: str | None = None) -> Run:
        """Queue a run, or return the queued one of equal kind and bounds, hurried along.

        One that a person asks for, too, is theirs from then on: as urgent, and done though the account is paused.
        A caller that chose the id sees by it whether the run is its own.
        """

    async def queued(self, scope: str) -> Sequence[Run]:
        """Return what waits in the queue of a stream, the oldest first."""

    def now(self) -> datetime:
        """Return the instant by the database's clock, by which ticks are taken; it asks nobody."""

    def trouble(self) -> ComportaError | None:
        """Return why nobody can reach the database now, as far as that is known already; it asks nobody."""

    async def tick(self, ticket: Ticket, at: datetime, *, run_id: str) -> Run | None:
        """Queue a run for a tick of its schedule, or let one that waits anyway serve it.

        Return what was queued; ``None`` when nothing was, because somebody took this tick, or a later one, before.
        """

    async def due(self, limit: int, accounts: Collection[str] | None = None) -> Sequence[Run]:
        """Return the queued runs of these accounts that may begin now, the most urgent first; paused: those by hand."""

    async def stranded(self, limit: int, *, accounts: Collection[str], before: datetime) -> Sequence[Run]:
        """Return runs that wait since before, for an account that is not among these, not kept here and not paused.

        What a person asked for is not among them, nor its retries: another process may know the account.
        """

    async def beat(self, instance: str, *, roles: str, version: str) -> None:
        """Say that a server is alive."""

    async def leave(self, instance: str) -> None:
        """Say that a server ended as it should."""

    async def instances(self) -> Sequence[Instance]:
        """Return the servers that were ever seen, the oldest first."""

    async def acquire(self, run: Run, *, ttl: timedelta, timeout: timedelta, instance: str) -> Granted | Occupied:
        """Take the lease for a queued run and start it, or say who holds the scope."""

    async def put_off(self, run_id: str, until: datetime) -> None:
        """Let a queued run wait until then, unless it may begin at once: whoever joined it wants it to."""

    async def skip(self, run: Run, error: Mapping[str, str]) -> Run:
        """End a queued run that had nothing to do or found the scope held."""

    def renew(self, lease: Lease, ttl: timedelta) -> bool:
        """Extend the lease; say whether it is still ours. Blocking, for the heartbeat's thread."""

    def cancel_requested(self, run_id: str) -> bool:
        """Say whether a person asked the run to end. Blocking, for the heartbeat's thread."""

    async def reap(self) -> Sequence[Run]:
        """Take every expired lease away, mark its run lost, queue a successor; return the lost runs."""

    async def forget(self, before: datetime) -> int:
        """Forget ended runs and their logs that were queued before; return how many, 0 when none is left.

        Dry runs that wait for longer than an hour are ended as skipped: nobody is there to do them.
        """

    async def unlock(self, scope: str) -> Sequence[Run] | None:
        """Free a scope by raising its epoch; return the runs that are lost by it, ``None`` when nobody held it.

        A login's renewal is no run: none is lost then.
        """

    async def cancel(self, run_id: str) -> Run | None:
        """Cancel a queued run, or ask a running one to end; ``None`` when there is no such run."""

    async def scope_state(self, scope: str) -> ScopeState:
        """Return epoch, holder and commits of a scope."""

    async def prepare(self, lease: Lease, shape: Shape, *, is_known: bool = False) -> Sequence[LogLine]:
        """Make the table and views fit the shape; return what to tell of it.

        ``is_known`` says that rows with these very columns were written before. Then a column that is missing was
        taken away, and as with a missing table nothing is covered any more, in any account: every row is written
        again when it is read again.
        """

    async def begin_pass(self, lease: Lease, new: Pass, *, resumable: bool) -> None:
        """Record the window of the run and, if a later run may resume it, the pass it works on.

        An older pass of the same request is replaced.
        """

    async def commit(self, lease: Lease, batch: Batch, ending: Ending | None = None) -> Committed:
        """Write a batch under the fence, and end the run in the same transaction if ``ending`` is given.

        Raises ``LeaseLost`` when the fence fails and ``CommitOutcomeUnknown`` when the connection was
        lost while COMMIT was under way; nothing else may have been written in the first case.
        """

    async def finish(self, lease: Lease, ending: Ending) -> Run:
        """End a run and free its lease, guarded by epoch and holder; ``LeaseLost`` if it is not ours."""

    async def note(self, run_id: str, lines: Sequence[LogLine]) -> None:
        """Append log lines to a run outside a batch."""

    async def tell(self, lease: Lease, lines: Sequence[LogLine]) -> None:
        """Append log lines to the run that holds a lease, outside a batch; ``LeaseLost`` if it is not ours."""

    async def coverage(self, scope: str) -> Coverage:
        """Return what is covered."""

    async def void_coverage(self, lease: Lease) -> None:
        """Forget the coverage and the passes of a stream, because its query changed.

        Its hints go too, for all is read again; not those of which its source told: a pass may not be shown them.
        """

    async def cut_coverage(self, lease: Lease, at: datetime) -> None:
        """Take back what is covered from ``at`` on, and the passes that would claim it."""

    async def voided(self, scope: str, *, limit: int) -> Voided | None:
        """Return where coverage was taken back last, by the logs of so many of the newest runs."""

    async def open_pass(self, scope: str, request: Request) -> Pass | None:
        """Return the unfinished pass for that request, if there is one."""

    async def facts(self, scope: str) -> StreamFacts:
        """Return what else is known of the stream."""

    async def states(self, scopes: Sequence[str]) -> Mapping[str, StreamState]:
        """Return how each of these streams stands, all in one state; however many, in a few statements."""

    async def learn(self, lease: Lease, facts: StreamFacts) -> None:
        """Record the facts that are not ``None``."""

    async def hints(self, scope: str, limit: int, *, due: datetime | None = None) -> Sequence[Hint]:
        """Return what is to be looked at now, or at ``due``: first what was looked for least, by key."""

    async def look_again(self, lease: Lease, keys: Sequence[Key]) -> None:
        """Hint the lease's own scope at these records, whatever is known of them.

        What was looked for in vain before goes on being looked for as seldom.
        """

    async def refer(self, lease: Lease, shape: Shape, column: str, *, lacking: Shape | None = None) -> int:
        """Hint as ``look_again`` at every value of a column in a table's living rows; return how many.

        ``lacking`` leaves out what is a living row of that table.
        """

    async def named(self, account: str, shape: Shape, column: str, *, lacking: Shape | None = None) -> Sequence[Key]:
        """Return what ``refer`` would hint at."""

    async def let_go(self, lease: Lease, shape: Shape, parents: Shape, column: str) -> int:
        """Forget what was looked for in vain, is not here and no living row of ``parents`` names; return how many."""

    async def wake(self, lease: Lease) -> None:
        """Let what records of ours name be looked for now, however long it was to wait."""

    async def preview(self, account: str, batch: Batch) -> tuple[Counts, Sequence[Change]]:
        """Return what ``commit`` would count and change, writing nothing."""

    async def quarantine(self, scope: str | None = None) -> Sequence[Quarantined]:
        """Return the records that wait."""

    async def run(self, run_id: str) -> Run | None:
        """Return one run."""

    async def runs(
        self,
        *,
        account: str | None = None,
        stream: str | None = None,
        state: RunState | None = None,
        dry_run: bool | None = None,
        limit: int = 50,
    ) -> Sequence[Run]:
        """Return the newest runs first."""

    async def failures(self, account: str, stream: str, since: datetime) -> Mapping[str, int]:
        """Return what went wrong in the runs of a stream that were queued after an instant, by operation."""

    async def afoot(self, since: datetime) -> Sequence[Run]:
        """Return what waits or runs, and what was queued since and has ended, the oldest first."""

    async def log_end(self, run_id: str) -> int:
        """Return the number of a run's last log line, 0 without one."""

    async def log(self, run_id: str, after: int = 0) -> Sequence[tuple[int, datetime, LogLine]]:
        """Return the log lines of a run that follow number ``after``."""

    async def leases(self) -> Sequence[LeaseRow]:
        """Return every scope that was ever held."""

    async def pause(self, account: str) -> bool:
        """Let no run of an account be started that nobody asked for by name; say whether it was not paused before."""

    async def resume(self, account: str) -> bool:
        """End the pause of an account; say whether there was one."""

    async def pauses(self) -> Mapping[str, datetime]:
        """Return since when each paused account is paused."""

    async def aclose(self) -> None:
        """Wait for what is being written and close."""


Checkpoint = Callable[[str], None]
"""Called by a store at named points (after_acquire, before_fence, after_fence, before_release): tests
pause or kill there; in production it does nothing."""
