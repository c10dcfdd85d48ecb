"""Who gets the next free place: accounts are equal, however many streams each of them has.

The one thing to get right is what is *not* given: a free place that one account could fill with its second stream
is kept while another account is at work here and has none, for that account may be in a pause between two
attempts, and would come back to find every place taken by a run that hangs. So:

- a place goes to the account that waits and runs the fewest; of two, to the one that had places for a shorter time;
- its first place an account gets whenever one is free;
- a further one only while a place stays free for each account that is at work and has none, and ``spare`` besides,
  which are for accounts that come later.

With fewer places than accounts that hang, the others wait: for the first of these runs to end, at most a stall
timeout long. Then they are first, for whoever hangs had a place for longer.
"""

from collections.abc import Collection, Mapping, Sequence

FOR_PEOPLE_MAX = 4


def for_people(places: int) -> int:
    """Return how many places a server has beside these that only what a person asks for may take."""
    return min(places, FOR_PEOPLE_MAX)


def next_account(
    *,
    places: int,
    running: Mapping[str, int],
    waiting: Sequence[str],
    at_work: Collection[str],
    held_s: Mapping[str, float] | None = None,
    spare: int = 0,
) -> str | None:
    """Return which account gets a place now, ``None`` when nobody does.

    ``waiting`` are the accounts that want one, each once, the longest waiting first. ``at_work`` are those that have
    anything left to do here, whether they want a place at this moment or not, ``held_s`` for how long each had places.

    >>> next_account(places=3, running={"a": 1}, waiting=["a", "b"], at_work=["a", "b"])
    'b'
    >>> next_account(places=3, running={"a": 2}, waiting=["a"], at_work=["a", "b"]) is None
    True
    """
    free = places - sum(running.values())
    if free <= 0 or not waiting:
        return None
    had_s = held_s or {}
    chosen = min(waiting, key=lambda account: (running.get(account, 0), had_s.get(account, 0.0)))
    if not running.get(chosen):
        return chosen
    # Everybody who waits runs something already, so whoever has nothing is in a pause and will be back.
    kept = sum(not running.get(account) for account in at_work)
    return chosen if free > max(kept, spare) else None
