"""Leases: whether a run may still write, and whether its heartbeat should go on.

A lease is a right that expires. It lives in the database that receives the data, one row for each
scope (account/stream), beside the fencing *epoch*: a number that rises with every new holder and
never falls. Two questions, answered by two different things:

- **Who is alive?** Time answers, by one clock only: the database server's, or for SQLite the machine's. A
  lease that is not renewed runs out and anybody may take the scope. Time may be wrong: a process can be
  stopped for an hour between two instructions, a clock can jump. So time never decides who may *write*.
- **Who may write?** The epoch answers. The last statement of the transaction that writes rows, counts
  and coverage is

      UPDATE cmp_scope SET commits = commits + 1, expires_at = now + ttl
      WHERE scope = … AND epoch = mine AND holder = me AND commits = what I last saw

  It must hit exactly one row, or everything is rolled back. A holder that slept past its lease and a
  successor that took over are told apart by the epoch, inside the database, at the moment it matters.
  No lock service outside can do that: the write and the check would be two steps.

``commits`` makes a *retry* safe. When the connection dies while COMMIT is under way, nobody knows
whether it happened. We read (epoch, commits) back and ``settle`` decides: moved on by one means it
happened; unchanged means it did not, *yet* - the first COMMIT may still be on its way - so the
repeated transaction carries the same ``commits`` and at most one of the two can pass.

Who raises the epoch: a new holder (acquire), the reaper (an expired lease is taken away and the run
marked ``lost`` in one transaction; marking alone would let the sleeper write after people were told it
is dead), a person (``comporta unlock``: the reaper's statement without the test of time).
Release keeps the epoch and only frees the holder, and only its own.

Liveness: a thread of its own renews while the run makes *progress*. A hung run stops renewing and
cancels itself, so both the dead and the hung end without a person. ``judge_beat`` decides that.

Failure cases: killed -> the lease runs out, the reaper or the next acquire takes over. Stopped and
woken -> its next fence fails, it writes nothing, not even its state. Event loop blocked -> the thread
renews until the stall limit. Clock jumps -> early or late takeover, never two writers; a lease of a clock
that was far ahead (``NEVER``) is taken away, or whoever was killed then would hold its scope until that time.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

TTL_MAX = timedelta(hours=1)
NEVER = 2 * TTL_MAX
"""No lease runs out so late."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A right to write one scope: who, under which epoch, after how many commits."""

    scope: str
    epoch: int
    holder: str
    commits: int

    def advanced(self) -> "Lease":
        """Return the lease as it stands after one more commit of ours."""
        return replace(self, commits=self.commits + 1)


@dataclass(frozen=True, slots=True)
class ScopeState:
    """What the ledger says about a scope now."""

    epoch: int
    holder: str | None
    commits: int


class Settlement(StrEnum):
    """What became of a COMMIT whose answer never came."""

    HAPPENED = "happened"
    NOT_YET = "not_yet"
    LOST = "lost"


def settle(lease: Lease, seen: ScopeState) -> Settlement:
    """Decide, from what the ledger shows, whether the commit after ``lease`` happened.

    >>> settle(Lease("a/s", 3, "run", 7), ScopeState(3, "run", 8)).value
    'happened'
    """
    if seen.epoch != lease.epoch or seen.holder not in {lease.holder, None}:
        return Settlement.LOST
    if seen.commits == lease.commits + 1:
        # Also with no holder: under our epoch only our own last batch frees the lease.
        return Settlement.HAPPENED
    if seen.commits == lease.commits and seen.holder is not None:
        return Settlement.NOT_YET
    return Settlement.LOST


class Beat(StrEnum):
    """What the heartbeat does next."""

    RENEW = "renew"
    STALLED = "stalled"
    OVERDUE = "overdue"


def judge_beat(*, now: float, touched: float, waiting_until: float | None, stall_s: float, deadline: float) -> Beat:
    """Decide whether a run may keep its lease. All in seconds of one monotonic clock.

    A wait whose end is known (Retry-After, a budget) is not a stall before that end.

    >>> judge_beat(now=400, touched=0, waiting_until=None, stall_s=300, deadline=7200).value
    'stalled'
    >>> judge_beat(now=400, touched=0, waiting_until=500, stall_s=300, deadline=7200).value
    'renew'
    """
    if now >= deadline:
        return Beat.OVERDUE
    alive_since = max(touched, waiting_until or touched)
    if now - alive_since >= stall_s:
        return Beat.STALLED
    return Beat.RENEW
